import pytest

from datagen.text import scripts


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("", ""),
        ("1, 2, 3 …", ""),
        ("Just a line, with мир in it.", "Latin"),
        ("Мир и люди, peace", "Cyrillic"),
        ("人人生而自由", "Han"),
        ("すべての人間は、生まれながら", "Japanese"),
        ("国際連合総会の世界人権宣言", "Japanese"),
        ("모든 인간은", "Hangul"),
        ("ＡＢＣ", "Latin"),
        ("हर सुबह दादा", "Devanagari"),
    ],
)
def test_the_script_is_that_of_most_letters(text, script):
    assert scripts.script(text) == script
