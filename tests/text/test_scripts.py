import re

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


@pytest.mark.parametrize(
    ("character", "questions"),
    [
        ("字", {"UNSPACED", "WRAPPED_ANYWHERE"}),
        ("𠮟", {"UNSPACED", "WRAPPED_ANYWHERE"}),
        ("か", {"UNSPACED", "WRAPPED_ANYWHERE"}),
        ("々", {"UNSPACED", "WRAPPED_ANYWHERE"}),
        ("、", {"WRAPPED_ANYWHERE"}),
        ("Ａ", {"WRAPPED_ANYWHERE"}),
        ("ก", {"UNSPACED", "UNSTOPPED"}),
        ("ລ", {"UNSPACED", "UNSTOPPED"}),
        ("က", {"UNSPACED"}),
        ("ខ", {"UNSPACED"}),
        ("한", set()),
        ("བ", set()),
        ("a", set()),
    ],
)
def test_what_is_asked_of_scripts_without_spaces_differs(character, questions):
    tables = ("UNSPACED", "WRAPPED_ANYWHERE", "UNSTOPPED")
    assert {name for name in tables if re.match(f"[{getattr(scripts, name)}]", character)} == questions
