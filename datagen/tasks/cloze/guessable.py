"""How well a blank can be guessed by someone who has its sentence and not the document.

`guessability` is an estimate, from 0 to 1, of the share of such blanks that are filled right in five tries:

- what the sentence says itself (its digits, an abbreviation spelled out, a number that follows from its other numbers,
  the same in another script beside it) is guessed: 1;
- a key of a keyboard is guessed: 1, and so is what a manual makes up, such as `my_project`;
- a number, by how many would do as well: one of a few round, small or binary numbers 1, a number of two digits 0.5, a
  year or a number of three digits and more 0.15 to 0.05;
- a word, by its frequency in its language: 0.02 below 3 on the Zipf scale (once in a million words), rising to 1 at
  6.9, so that days, months, colours, and the cities and countries that everyone knows are guessed in any language;
  a lower-case word that is in no list, but is an inflection or a compound of words that are, as much as a known one;
- an abbreviation in capitals (TCP, ISO), by how frequent it is in English: 25 times as likely where it is used;
- a term of several words, by its rarest word, and by a third less for each further word that tells something; once more
  for an identifier, whose words may be joined in several ways.

Whether it holds against something that really guesses is measured by benchmarks/guessable.py.
"""

from __future__ import annotations

import re
from itertools import combinations

from datagen.tasks.cloze import frequency
from datagen.tasks.cloze.blanks import BLANK
from datagen.tasks.cloze.boundaries import pieces
from datagen.tasks.cloze.glosses import is_gloss
from datagen.tasks.cloze.languages import UNLISTED, function_words
from datagen.tasks.cloze.words import is_unspaced, spelled_words, words

MOST = 0.35  # a blank that is guessed more often is not worth asking for

_LEAST, _COMMON, _RARE = 0.02, 6.9, 2.9  # what the rarest word counts; where on the Zipf scale it is 1, and least
_INITIALS = 1.4  # what an abbreviation in capitals is more likely, in the texts that have it, on the Zipf scale
_FOLLOWING = 4.2  # what a word that is in no list, and follows from known ones, counts as, on the Zipf scale
_LOWER = 1.1  # what a word without a capital is more likely than a name of its frequency, on the Zipf scale
_LONG = 7  # letters: where a language has no list, a word as long as this counts as rare
_LONGEST_INITIALS = 6
_FURTHER = 0.7
_SPELLING = 0.7  # an identifier of several words may be spelled in several ways
_DIGITS = re.compile(r"\d+(?:[.,'’ \u00a0\u202f]\d+)*")
_CLOSED = frozenset({12, 24, 25, 36, 48, 52, 75, 99, 120, 144, 150, 180, 250, 255, 360, 365, 366, 404, 720, 750, 999})
_KEYS = frozenset(
    {"esc", "escape", "ctrl", "alt", "altgr", "tab", "enter", "return", "shift", "del", "delete", "insert"}
)
_PLACEHOLDER = re.compile(  # what a manual makes up
    r"(?:my|your|some|foo|bar|baz|example)(?:_|[A-Z])\w+"
    r"|my(?:class|file|project|package|module|app|table|func\w*|var\w*|dir\w*|host|domain|user\w*|name|object|data)"
)
_MOST_NUMBERS = 8  # of a sentence, that are tried in pairs


def guessability(term: str, rest: str, code: str) -> float:
    """The estimate for a term; `rest` is its blanked sentence, in the language `code` ("" where it is unknown)."""
    if is_gloss(term, rest, code):
        return 1.0
    rest = rest.replace(BLANK, " ")
    if _told(term, rest):
        return 1.0
    if term.casefold() in _KEYS or _PLACEHOLDER.fullmatch(term):
        return 1.0
    if not any(c.isalpha() for c in term):
        return _of_number(term, rest)
    return _of_words(term, code)


def _told(term: str, rest: str) -> bool:
    """Whether the sentence spells out an abbreviation, or abbreviates what is spelled out."""
    letters = term.replace(".", "")
    if sum(c.isupper() for c in letters) > 1:  # "QoS" as well
        letters = letters.upper()
    if letters.isupper() and letters.isalpha() and 2 <= len(letters) <= 6 and not is_unspaced(letters):
        initials = "".join(w[0] for w in words(rest))
        return letters.casefold() in initials
    if numbered := re.fullmatch(r"(\D+)(\d{1,3})", term):  # "sda2" beside "sda1" and "sda3"
        stem, number = numbered[1].casefold(), int(numbered[2])
        return not {f"{stem}{number - 1}", f"{stem}{number + 1}"}.isdisjoint(words(rest))
    pieces_of = _pieces(term)
    if any(len(pieces_of) > 1 and _pieces(word) == pieces_of for word in words(rest)):  # "id2label" beside "label2id"
        return True
    parts = re.findall(r"[^\W_]+", term)
    if len(parts) < 2:
        return False
    initials = "".join(p[0] for p in parts if p[0].isupper())
    of_all = "".join(p[0] for p in parts).upper()
    short = {"".join(c for c in w if c.isupper()) for w in spelled_words(rest)}
    return len(initials) > 1 and (any(initials in capitals for capitals in short) or of_all in short)


def _pieces(word: str) -> list[str]:
    """The runs of letters and of digits that an identifier is made of, sorted."""
    return sorted(re.findall(r"\d+|[^\W\d_]+", word.casefold()))


def value(number: str) -> float | None:
    """What a number says, its separators read as those of thousands where three digits follow each; else None."""
    digits = re.sub(r"[^\d.,]", "", number)
    if re.fullmatch(r"\d+", digits) or re.fullmatch(r"\d{1,3}(?:[.,]\d{3})+", digits):
        return float(int(re.sub(r"\D", "", digits)))
    found = re.fullmatch(r"(\d+)[.,](\d+)", digits)
    return float(f"{int(found[1])}.{int(found[2]):0{len(found[2])}d}") if found else None


def _of_number(term: str, rest: str) -> float:
    found = value(term)
    if found is None:
        return 0.15
    others = [v for n in _DIGITS.findall(rest)[:_MOST_NUMBERS] if (v := value(n)) is not None]
    if _follows(found, others):
        return 1.0
    if found != int(found):
        return 0.15
    whole = str(int(found))
    significant = len(whole.rstrip("0"))
    if significant <= 1 or int(found) in _CLOSED or _is_binary(int(found)) or len(set(whole)) == 1:
        return 1.0
    if len(whole) <= 2 or (significant == 2 and len(whole) == 3):
        return 0.5 if len(whole) <= 2 else 0.3
    if significant == 2:
        return 0.3
    year = 1400 <= found <= 2100 or 2400 <= found <= 2600  # the latter in Thailand
    return 0.15 if year or len(whole) == 3 else 0.05


def _is_binary(number: int) -> bool:
    return any(number + d > 15 and (number + d) & (number + d - 1) == 0 for d in (0, 1))


def _follows(number: float, others: list[float]) -> bool:
    """Whether a number is next to another one, or is made of others: a sum, a difference, a product, a share."""
    if any(abs(number - other) <= 1 or number in (100 - other, 2 * other, other / 2) for other in others):
        return True
    for a, b in combinations(others, 2):
        if number in (a + b, abs(a - b), a * b) or (a and b and number in (a / b, b / a)):
            return True
    return False


def _of_words(term: str, code: str) -> float:
    initials = term.removesuffix("s")  # "SMEs"
    if term.isascii() and initials.isalpha() and initials.isupper() and len(initials) <= _LONGEST_INITIALS:
        return _share(frequency.in_english(initials) + _INITIALS)
    unspaced = any(map(is_unspaced, term))
    parts = pieces(term, code) if unspaced else _parts(term)
    telling = [p for p in parts if p not in function_words(code) and (unspaced or len(p) > 1)]
    if not telling:
        return 1.0
    lower = not unspaced and term.islower() and len(telling) == 1
    spelled = _SPELLING if len(telling) > 1 and " " not in term and term.isascii() else 1.0
    return min(_of_word(p, code, lower) for p in telling) * _FURTHER ** (len(telling) - 1) * spelled


def _parts(term: str) -> list[str]:
    """The words of a term, those that an identifier is made of apart."""
    return re.findall(r"[^\W_a-z]?[^\W_A-Z]+|[^\W_a-z]+", term) if term.isascii() else spelled_words(term)


def _of_word(word: str, code: str, lower: bool) -> float:
    seen = frequency.of_forms(word, code)
    if not seen and code in UNLISTED and not word.isascii():
        seen = _RARE if len(word) >= _LONG else _FOLLOWING + 1
    if lower and not seen and frequency.is_familiar(word, code):
        seen = _FOLLOWING
    elif lower:
        seen += _LOWER
    return _share(seen)


def _share(zipf: float) -> float:
    return max(_LEAST, min(1.0, (zipf - _RARE) / (_COMMON - _RARE)))
