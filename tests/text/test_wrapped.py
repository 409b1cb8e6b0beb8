"""Line ends in Korean words: the document's own words say which they are."""

from __future__ import annotations

import re
import textwrap
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from datagen.text.prose_view import views
from datagen.text.wrapped import inside_of_words, unwrapped, vocabulary

TEXT = (
    "오래된 등대는 바다 위의 절벽에 서 있었다. 등대를 지은 사람은 석공이었다. 그 석공은 마을에서 살았다. "
    "사람들은 그 석공을 기억했고 등대의 불빛을 바라보았다. 마을의 사람들은 바다를 바라보았다. "
    "가을에 폭풍이 오면 바다는 검게 변했고 등대에서 나오는 불빛은 절벽을 비추었다. 폭풍은 마을을 지나갔다. "
    "그래서 마을에서 온 사람은 절벽의 등대와 바다를 그림에 담았다. 그 그림을 본 사람은 석공을 기억했다. "
)


def wrapped(text: str, width: int) -> str:
    """Lines filled to the last character, without the blanks that a line begins or ends with."""
    return "\n".join(text[i : i + width].strip() for i in range(0, len(text), width))


def seen(*chunks: str) -> list[str]:
    return [view.text for view in unwrapped(views(chunks, "prose"))]


def test_words_that_a_line_end_cuts_are_whole_again():
    text = TEXT * 3
    for width in (17, 23, 30):
        whole, before, after = (Counter(t.split()) for t in (text, wrapped(text, width), seen(wrapped(text, width))[0]))
        assert (whole - before).total() > 8
        assert (whole - after).total() <= 2


def test_what_is_left_out_keeps_its_place():
    text = wrapped(TEXT * 3, 23)
    view = unwrapped(views([text], "prose"))[0]
    assert all(text[place] == character for place, character in zip(view.offsets, view.text, strict=True))


def test_lines_wrapped_at_blanks_stay_as_they_are():
    text = textwrap.fill(TEXT * 3, 25, break_long_words=False)
    assert seen(text) == [text]
    assert seen("Wrapped at\nblanks.", "또\n하나") == ["Wrapped at\nblanks.", "또\n하나"]


def test_a_particle_on_the_next_line_belongs_to_the_word_before():
    words = vocabulary([TEXT])
    cut = [("등", "대의"), ("사", "람은"), ("폭", "풍이"), ("석공", "을"), ("절벽에서", "바다를"), ("마을", "사람들은")]
    assert inside_of_words(cut, words) == [True, True, True, True, False, False]


@given(st.lists(st.text("가나다라 \n\u00a0\tab.", max_size=60), max_size=4))
def test_only_white_space_is_left_out(chunks: list[str]):
    for chunk, shown in zip(chunks, seen(*chunks), strict=True):
        assert re.sub(r"\s", "", shown) == re.sub(r"\s", "", chunk)
