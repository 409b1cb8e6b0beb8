"""Terms that their sentence says a second time: in another script, as it is read, or as an abbreviation.

A text puts a foreign word in brackets behind its translation ("التحقق من المدخلات (Input Validation)"), a name behind
its transcription, an abbreviation behind what it stands for. Who knows both languages fills such a blank without the
document.
"""

from __future__ import annotations

import re

from datagen.tasks.cloze import frequency
from datagen.tasks.cloze.blanks import BLANK
from datagen.tasks.cloze.languages import function_words, scripts_of
from datagen.tasks.cloze.words import words
from datagen.text.scripts import KANA

_OPEN, _CLOSE = "['\"“‘«*_]*", "['\"”’»*_]*"
_ABBREVIATED = re.compile(rf"{BLANK}{_CLOSE}(?:\s?[(（]|\s[-–]\s)([A-Z]{{2,6}})[)）]")
_SHORT = re.compile(r"[(（]([A-Za-z]{2,6})[)）]")
_EXPLAINED = re.compile(rf"{BLANK}{_CLOSE}\s?[(（]{_OPEN}([^\W\d_]+)")
_PHRASE = re.compile(rf"{BLANK}((?: [^\W\d_]+){{1,2}})\s?[(（]([^()（）]+)[)）]")  # "_____ of words (words of it)"
_EXPLAINS = re.compile(  # the word before a bracket, and the bracket up to its end or to a mark
    rf"([^\W\d_]+){_CLOSE}\s?[(（]([^()（）,;،、，；]{{0,40}}{BLANK}[^()（）,;،、，；]{{0,40}}?)(?:[()（）,;،、，；]|\s[-–])"
)
_BESIDE = re.compile(rf"([^\W\d_]+) {BLANK}(?! [A-Za-z])")
_BARE = frozenset({"ar", "fa", "ur", "he", "hi"})  # languages whose texts add an English word without a bracket, too
_KANA = re.compile(f"[{KANA}]+")
_TRANSLATION = 2.0  # on the Zipf scale: a lower-case English word, and not the name of a program


def is_gloss(term: str, blanked: str, code: str) -> bool:
    """Whether a term and what stands beside it say the same.

    blanked: the term's sentence without it. code: that one's language. Latin names of things, which translate nothing
    (identifiers, words that are not English), are none.
    """
    folded = words(term)
    if (short := _ABBREVIATED.search(blanked)) and folded and short[1][-1].casefold() == folded[-1][0]:
        return True
    if any(_spells(term, blanked[: match.start()], match[1]) for match in _SHORT.finditer(blanked)):
        return True
    if (inside := _EXPLAINED.search(blanked)) and _says(inside[1], term):
        return True
    if (phrase := _PHRASE.search(blanked)) and len(words(phrase[2])) > 1 and _says(words(phrase[2])[0], term):
        return True
    if term.isascii() and (re.search(r"[\d_]", term) or (term.islower() and not _is_english(term))):
        return False
    if (before := _EXPLAINS.search(blanked)) and all(_says(before[1], word) for word in [term, *words(before[2])]):
        return True
    bare = _BESIDE.search(blanked) if code in _BARE and term.isascii() and term.islower() else None
    return bare is not None and not bare[1].isascii() and bare[1] not in function_words(code)


def _spells(term: str, before: str, short: str) -> bool:
    """Whether a term is one of the words before an abbreviation that it stands for: "_____ of Service (DoS)"."""
    spelled = re.findall(rf"{BLANK}|[^\W_]+", before)[-len(short) :]
    initials = "".join(term[0] if word == BLANK else word[0] for word in spelled)
    return BLANK in spelled and initials.casefold() == short.casefold()


def _is_english(word: str) -> bool:
    return frequency.in_english(word) >= _TRANSLATION


def _says(word: str, term: str) -> bool:
    """Whether a word may say a term in another script, or how its characters are read."""
    reads = _KANA.fullmatch(word) is not None and not _KANA.search(term)
    return any(c.isalpha() for c in term) and (reads or scripts_of(word).isdisjoint(scripts_of(term)))
