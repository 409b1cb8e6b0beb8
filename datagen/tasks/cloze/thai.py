"""Terms of Thai, which has no capitals, and no list of whose words is known.

Asked for is what says itself that it is a name: what stands in quotation marks, and what follows a word such as
"province", "hospital" or "Mr." up to a blank or a function word. Long words that stand in one chunk are not: most are
words of every day, or a half of one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from datagen.tasks.cloze.boundaries import segments

_THAI = "\u0e01-\u0e3a\u0e40-\u0e4e"
_KINDS = (
    "จังหวัด อำเภอ ตำบล แขวง เมือง นคร กรุง เกาะ คลอง แม่น้ำ หมู่บ้าน โรงพยาบาล โรงเรียน มหาวิทยาลัย "
    "มูลนิธิ บริษัท ท่าเรือ อาคาร ถนน สะพาน เขื่อน นาย นางสาว พลเอก พระยา เจ้าพระยา"
)
_FUNCTION_WORDS = (
    "ที่ ใน และ ของ โดย ซึ่ง เป็น มี ได้ จะ กับ ให้ ว่า ไป มา แล้ว หรือ ถึง จาก เพื่อ ก็ แต่ คือ อยู่ นี้ "
    "นั้น ด้วย ไม่ ต้อง เมื่อ จึง ตาม แห่ง ทั้ง ต่อ อัน ยัง คง อีก เคย กำลัง ถูก ตั้งแต่ รวมถึง เพราะ "
    "ดังกล่าว เหล่านี้ เหล่า ต่าง ทุก แก่ เข้า ออก ขึ้น ลง ไว้ กัน เอง ผู้ เรา เขา ผม ท่าน คน อื่น อะไร "
    "ใด ไหน นำ ส่ง มาก ใหญ่ ใหม่ เก่า เดียว"
)
_NAMED, _GRAMMAR = frozenset(_KINDS.split()), frozenset(_FUNCTION_WORDS.split())
_LETTER = re.compile(f"[{_THAI}]")
_QUOTED = re.compile(rf"[“\"]([{_THAI}]{{6,40}})[”\"]")
_MOST_PARTS = 4  # segments of a name, or of the word before it
_FEWEST_QUOTED, _LONG_QUOTED = 3, 12  # segments, or else characters, of what is quoted: fewer are words of every day
_SHORTEST = 4  # characters of a name


def names(shown: str) -> Iterator[tuple[int, int]]:
    """Where names stand in a sentence: what is quoted, and what follows the word for what has a name."""
    found = segments(shown, "th")
    words = [shown[a:b] for a, b in found]
    for match in _QUOTED.finditer(shown):
        inside = [word for word, (a, _) in zip(words, found, strict=True) if match.start(1) <= a < match.end(1)]
        long = len(inside) >= _FEWEST_QUOTED or len(match[1]) >= _LONG_QUOTED
        if inside and long and inside[0] not in _GRAMMAR and inside[-1] not in _GRAMMAR:
            yield match.span(1)
    i = 0
    while i < len(found):
        j = i
        if _ends_with_kind(words[:i]):
            while j < min(i + _MOST_PARTS, len(found)) and _is_part(words, j):
                j += 1
        if j > i and (j == len(found) or not _is_part(words, j)) and found[j - 1][1] - found[i][0] >= _SHORTEST:
            yield found[i][0], found[j - 1][1]
        i = max(j, i + 1)


def _ends_with_kind(words: Sequence[str]) -> bool:
    """Whether a word for what has a name, which may be several segments, ends a row of segments."""
    return any("".join(words[-n:]) in _NAMED for n in range(1, min(_MOST_PARTS, len(words)) + 1))


def _is_part(words: Sequence[str], i: int) -> bool:
    """Whether a segment is a part of a name: Thai, no function word, and not where another name's kind begins."""
    kinds = ("".join(words[i : i + n]) for n in range(1, _MOST_PARTS + 1))
    return _LETTER.match(words[i]) is not None and words[i] not in _GRAMMAR and _NAMED.isdisjoint(kinds)
