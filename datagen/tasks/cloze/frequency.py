"""How frequent a word is in its language, by the lists of the library wordfreq (Speer, 2022), and which words follow
from words that are.

Words are looked up as they are, without the library's tokenizers: Chinese and Japanese ones were cut by ICU before.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_left
from functools import cache, lru_cache
from math import ceil, log10
from typing import Any, cast

import wordfreq
from wordfreq.language_info import get_language_info
from wordfreq.preprocess import preprocess_text

from datagen.tasks.cloze.affixes import INFLECTED, SUFFIXES
from datagen.tasks.cloze.words import is_mark
from datagen.text.likeness import simplified
from datagen.text.scripts import KATAKANA

_LINKS = ("", "s", "es", "n", "en", "-")  # between the parts of a Germanic compound
_COMPOUNDING = frozenset({"da", "de", "en", "fi", "hu", "is", "nb", "nl", "sv"})
_MOST_PARTS = 4
_COMMON = 5.0  # on the Zipf scale: two characters that stand alone as often as this make no rare word
_PREFIXES = {
    "de": re.compile(r"(?:an|ab|auf|aus|bei|ein|ent|er|ver|vor|zu|zer|be|ge|um|un|über|unter|nach|mit|rück|wieder)"),
    "en": re.compile(r"(?:un|re|non|dis|mis|over|under|in|im|pre|sub|fore|out)"),
}
_ABSTRACT = {  # endings of nouns that are made from verbs and adjectives as one needs them
    "de": re.compile(
        r"(?:ung|ungen|keit|heit|ität|itäten|schaft|schaften|tion|tionen|ismus|ierer|barem|lichem|ischem)s?$"
    ),
    "en": re.compile(r"(?:ness|ization|isation|ability|ibility|nesses)$"),
}
_BY_CHARACTER = frozenset({"zh", "ja", "ko"})
_NASALS = re.compile("[\u0900-\u0902\u093c]")
_KATAKANA = re.compile(f"[{KATAKANA}]+")
_SEMITIC_STEM = 0.55  # of a word's letters: what is left without prefixes and suffixes, at the least
_SEMITIC = {"ar": ("ولبكفسيتنأاملإ", "هاكمنويتةىئءًاتيان"), "he": ("והבלמשכיתנא", "יםותהנוכןךסית")}
_LONG = 7  # letters: of words that have hardly another one beside them by chance
_FORMS = 60  # words with a stem in common, that are looked at
_PART = 4  # letters: what a part of a compound has, at the least
_STEM_SHARE = 0.7  # of a word's letters: what an inflection or a derivation has in common with its word, at the least


@cache
def _list(code: str) -> dict[str, float]:
    """The words of a language with their frequencies on the Zipf scale: 3 is once in a million, 6 in a thousand."""
    if code not in wordfreq.available_languages("small"):
        return {}
    frequencies = wordfreq.get_frequency_dict(code, "small")
    return {word: log10(f) + 9 for word, f in frequencies.items()}


@cache
def _sorted(code: str) -> list[str]:
    return sorted(w for w, f in _list(code).items() if f >= 3)


@lru_cache(maxsize=1 << 16)
def _key(word: str, code: str) -> str:
    if code == "zh":
        return unicodedata.normalize("NFKC", word).translate(simplified()).casefold()
    return preprocess_text(word, cast(Any, code)) if code and get_language_info(code) else word.casefold()


def zipf(word: str, code: str) -> float:
    """A word's frequency on the Zipf scale, 0 to 8: log10 of how often it stands in a billion words.

    0 where it is not in the list; English words count in every language, as do those of a script without its own list.
    """
    if word.isascii() and code != "en":
        return max(_list("en").get(word.casefold(), 0.0), _list(code).get(word.casefold(), 0.0) if code else 0.0)
    return _list(code).get(_key(word, code), 0.0) if code else _list("en").get(word.casefold(), 0.0)


@cache
def _all(code: str) -> dict[str, float]:
    if code not in wordfreq.available_languages("large"):
        return {}
    return {word: log10(f) + 9 for word, f in wordfreq.get_frequency_dict(code, "large").items()}


def is_attested(word: str, code: str) -> bool:
    """Whether the list with rare words has a word; False for all of a language without such a list."""
    return _key(word, code) in _all(code)


def in_english(word: str) -> float:
    """The frequency of a word or an abbreviation in English texts, by the list with rare words; 0 where it lacks it."""
    return _all("en").get(word.casefold(), 0.0)


def of_forms(word: str, code: str) -> float:
    """The frequency of a word, or of the most frequent form of it where its language inflects names."""
    found = zipf(word, code)
    if code not in INFLECTED or word.isascii() or len(word) < 5:
        return found
    key = _key(word, code)
    stem, known = key[: max(4, len(key) - 2)], _sorted(code)
    at = bisect_left(known, stem)
    for other in known[at : at + _FORMS]:
        if not other.startswith(stem):
            break
        if len(other) <= len(key) + 1:
            found = max(found, _list(code)[other])
    return found


@cache
def _letters(code: str) -> str:
    return "".join(sorted({c for word in _sorted(code)[:: max(1, len(_sorted(code)) // 2000)] for c in word}))


@lru_cache(maxsize=1 << 14)
def is_misspelt(word: str, code: str) -> bool:
    """Whether a long word is a known one but for two neighbours that changed places, or for a letter, wrong or missing.

    Not near its end, where another letter is an inflection; never where the language, `code`, is not known.
    """
    key = _key(word, code)
    if not code or len(key) < _LONG or is_known(word, code):
        return False
    listed = _list(code)
    for n in range(len(key) - 2):
        swapped = key[:n] + key[n + 1] + key[n] + key[n + 2 :]
        replaced = (key[:n] + letter + key[n + 1 :] for letter in _letters(code))
        missing = (key[:n] + letter + key[n:] for letter in _letters(code)) if n else ()
        if any(listed.get(other, 0) >= 3 for other in (swapped, *replaced, *missing)):
            return True
    return False


def is_known(word: str, code: str) -> bool:
    """Whether a word is among those of 1 in a million words of its language."""
    return zipf(word, code) >= 3


@lru_cache(maxsize=1 << 14)
def is_familiar(word: str, code: str) -> bool:
    """Whether a word is known, or is an inflection, a derivation or a compound of words that are.

    By spelling: most of it is the beginning of a known word, or known words follow each other in it, or a known word is
    left when letters that its language attaches are taken away.
    """
    key = _key(word, code) if code else word.casefold()
    if is_known(word, code) or len(key) < 2:
        return True
    if code in _BY_CHARACTER and not word.isascii():
        return _is_kana_compound(key) if _KATAKANA.fullmatch(key) else _is_cut(key, code)
    languages = ("en", code) if word.isascii() else (code,)
    if code == "hi" and _skeleton(key) in _skeletons(code):
        return True
    return any(
        _is_derived(key, each) or (each in _COMPOUNDING and _is_compound(key, each, _MOST_PARTS)) for each in languages
    ) or _is_semitic_form(key, code)


def _skeleton(key: str) -> str:
    """A Hindi word without nasal signs and dots, which are often left out."""
    return _NASALS.sub("", unicodedata.normalize("NFD", key))


@cache
def _skeletons(code: str) -> frozenset[str]:
    return frozenset(map(_skeleton, _sorted(code)))


def _is_derived(key: str, code: str) -> bool:
    stem = key[: max(4, ceil(_STEM_SHARE * len(key)))]
    known = _sorted(code)
    at = bisect_left(known, stem)
    if at < len(known) and known[at].startswith(stem) and len(stem) < len(key):
        return True
    if code in _PREFIXES and (prefix := _PREFIXES[code].match(key)) and is_known(key[prefix.end() :], code):
        return True
    if code in _ABSTRACT and _ABSTRACT[code].search(key):
        return True
    suffixes = SUFFIXES.get(code, "").split()
    return any(key.endswith(s) and len(key) - len(s) > 2 and is_known(key[: -len(s)], code) for s in suffixes)


def _is_compound(key: str, code: str, parts: int) -> bool:
    """Whether a word is known words in a row, with what may stand between the parts of a compound.

    In other languages than English it is enough that it ends with a known word of some length: compounds are made there
    as they are needed.
    """
    if code != "en" and any(is_known(key[n:], code) for n in range(_PART - 1, len(key) - _PART)):
        return True
    for n in range(_PART - 1, len(key) - _PART + 1):
        if is_mark(key[n]) or not is_known(key[:n], code):
            continue
        for link in _LINKS:
            rest = key[n:].removeprefix(link)
            if len(rest) < _PART:
                continue
            if is_known(rest, code) or _is_derived(rest, code) or (parts > 2 and _is_compound(rest, code, parts - 1)):
                return True
    return False


def _is_cut(key: str, code: str) -> bool:
    """Whether a word of Chinese, Japanese or Korean is known words in a row, most of it words of two characters."""
    best: list[int | None] = [0] + [None] * len(key)  # how many characters lie in longer words, up to each place
    for end in range(1, len(key) + 1):
        for start in range(max(0, end - 5), end):
            so_far = best[start]
            if so_far is not None and is_known(key[start:end], code):
                best[end] = max(best[end] or 0, so_far + (end - start if end - start > 1 else 0))
    return (best[-1] or 0) >= 0.5 * len(key) or (len(key) == 2 and all(zipf(c, code) >= _COMMON for c in key))


def _is_kana_compound(key: str) -> bool:
    return any(is_known(key[n:], "ja") for n in range(2, len(key) - 2)) or any(
        is_known(key[:n], "ja") for n in range(_PART, len(key) - 1)
    )


def _is_semitic_form(key: str, code: str) -> bool:
    """Whether a known stem is left without letters that stand for articles, prepositions, persons and numbers."""
    if code not in _SEMITIC:
        return False
    before, after = _SEMITIC[code]
    for start in range(min(4, len(key))):
        if start and key[start - 1] not in before:
            break
        for end in range(len(key), max(start + 3, start + ceil(_SEMITIC_STEM * len(key))) - 1, -1):
            if end < len(key) and key[end] not in after:
                break
            if is_known(key[start:end], code):
                return True
            if code == "ar" and end < len(key) and key[end - 1] == "ت" and is_known(key[start : end - 1] + "ة", code):
                return True
    return False
