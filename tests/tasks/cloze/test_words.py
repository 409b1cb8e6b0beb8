"""Words, counted and shown."""

from __future__ import annotations

from datagen.tasks.cloze.words import length, show, words


def test_show_joins_wrapped_lines():
    assert show("an after-\nlecture  debate\n in the hall") == "an after-lecture debate in the hall"
    assert show("灯台守は\n静かな人") == "灯台守は静かな人"


def test_words_ignore_case_markup_and_punctuation():
    assert words("_Love_ Laughs, at `__init__` snake_case") == ["love", "laughs", "at", "init", "snake_case"]
    assert words("漢字 and 1,000") == ["漢", "字", "and", "1", "000"]
    assert length("漢字漢字 and more") == 4
