"""The language of a sentence: by its script, then by the words of it that are a language's most frequent.

Source of the second step: naive Bayes over frequent words, as in Grefenstette (1995), "Comparing two language
identification schemes"; the frequencies are those of the library wordfreq, the `small` lists.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence, Set
from functools import cache, lru_cache

import wordfreq

from datagen.tasks.cloze import affixes, frequency
from datagen.tasks.cloze.boundaries import pieces
from datagen.tasks.cloze.words import is_unspaced, words
from datagen.text.lexicon import DETERMINERS
from datagen.text.scripts import HIRAGANA

# Where scripts begin, and what is written in them; letters between two rows belong to none that is known here.
_SCRIPTS = (
    (0x0, ""), (0x41, "latin"), (0x250, ""), (0x370, "el"), (0x400, "cyrillic"), (0x530, "hy"), (0x590, "he"),
    (0x600, "arabic"), (0x700, ""), (0x750, "arabic"), (0x780, ""), (0x8A0, "arabic"), (0x900, "hi"), (0x980, "bn"),
    (0xA00, "pa"), (0xA80, "gu"), (0xB00, "or"), (0xB80, "ta"), (0xC00, "te"), (0xC80, "kn"), (0xD00, "ml"),
    (0xD80, "si"), (0xE00, "th"), (0xE80, "lo"), (0xF00, "bo"), (0x1000, "my"), (0x10A0, "ka"), (0x1100, "ko"),
    (0x1200, "am"), (0x1400, ""), (0x1780, "km"), (0x1800, ""), (0x1E00, "latin"), (0x1F00, "el"), (0x2000, ""),
    (0x3005, "zh"), (0x3008, ""), (0x3040, "ja"), (0x3100, ""), (0x3400, "zh"), (0xA000, ""), (0xAC00, "ko"),
    (0xD7B0, ""), (0xF900, "zh"), (0xFB00, ""), (0xFB1D, "he"), (0xFB50, "arabic"), (0xFE00, ""), (0x20000, "zh"),
    (0x40000, ""),
)  # fmt: skip
_STARTS = [start for start, _ in _SCRIPTS]
_SHARED = {
    "latin": tuple(
        "ca cs da de en es fi fil fr hu id is it lt lv ms nb nl pl pt ro sh sk sl sv tr vi".split()  # noqa: SIM905
    ),
    "cyrillic": ("bg", "mk", "ru", "uk"),
    "arabic": ("ar", "fa", "ur"),
}
_NATIVE = 0.25  # of the letters: with as many of another script, Latin words are quoted
_HALF = 0.5  # where both scripts have capitals, the other one's words are as often a language of their own
_FREQUENT, _FUNCTION = 1000, 150  # words of a language that tell it; its function words, by and large
_FLOOR = 600  # centibels below 1: what a word that is not frequent counts as
NO_CAPITALS = frozenset(
    [
        "ar",
        "fa",
        "ur",
        "he",
        "hi",
        "bn",
        "pa",
        "gu",
        "or",
        "ta",
        "te",
        "kn",
        "ml",
        "si",
        "th",
        "lo",
        "bo",
        "my",
        "ka",
        "ko",
        "am",
        "km",
        "ja",
        "zh",
    ]
)
_KNOWN = 0.88  # of the words: with fewer in a language of `JOINED`, glyphs were read for the wrong letters
JOINED = frozenset({"ar", "fa", "ur"})  # joined scripts, whose letters PDF files often hold as shapes
UNLISTED = frozenset(["hy", "pa", "gu", "or", "te", "kn", "ml", "si", "th", "lo", "bo", "my", "ka", "am", "km"])


@lru_cache(maxsize=4096)
def language(text: str) -> str:
    """The language of a sentence as a code of ISO 639, or "" where its words don't tell."""
    script = script_of(text)
    if script not in _SHARED:
        return script
    known = _frequent(script)
    scores: Counter[str] = Counter()
    spelled = words(text)
    for word in spelled:
        for code, weight in known.get(word, ()):
            scores[code] += weight
    best = max(_SHARED[script], key=lambda code: scores[code])
    hits = sum(word in function_words(best) for word in spelled)
    return best if hits >= 2 or (hits and len(spelled) < 4) else ""


def scripts_of(word: str) -> frozenset[str]:
    """The scripts of a word's letters, or the languages where one alone is written in them; Han and kana are one."""
    if word.isascii():
        return frozenset(["latin"])
    found = {_SCRIPTS[bisect_right(_STARTS, ord(c)) - 1][1] for c in word if c.isalpha()}
    return frozenset("ja" if code == "zh" else code for code in found if code)


def script_of(text: str) -> str:
    """The script that most letters of a text are in, or its language where one alone is written in it."""
    if text.isascii():
        return "latin"
    counts: Counter[str] = Counter()
    for character, n in Counter(text).items():
        if character.isalpha():
            counts[_SCRIPTS[bisect_right(_STARTS, ord(character)) - 1][1]] += n
    del counts[""]
    if counts["ja"] * 10 >= counts["zh"]:
        counts["ja"] += counts.pop("zh", 0)  # kana are written among Han characters
    native = [(n, code) for code, n in counts.items() if code != "latin"]
    if not native:
        return "latin"
    n, code = max(native)
    return code if n >= counts.total() * (_HALF if code in {"cyrillic", "el", "hy"} else _NATIVE) else "latin"


@cache
def _ranked(code: str, n: int) -> list[tuple[str, int]]:
    """The n most frequent words of a language, with how rare each is in centibels."""
    path = wordfreq.available_languages("small").get(code)
    if path is None:
        return []
    found: list[tuple[str, int]] = []
    for centibels, listed in enumerate(wordfreq.read_cBpack(path)):
        found += [(word, centibels) for word in listed if not word[0].isdigit()]
        if len(found) >= n:
            break
    return found[:n]


@cache
def _frequent(script: str) -> dict[str, list[tuple[str, int]]]:
    """The frequent words of a script's languages, each with the languages and how much it speaks for them."""
    table: dict[str, list[tuple[str, int]]] = {}
    for code in _SHARED[script]:
        for word, centibels in _ranked(code, _FREQUENT):
            table.setdefault(word, []).append((code, max(1, _FLOOR - centibels)))
    return table


@cache
def function_words(code: str) -> frozenset[str]:
    """The most frequent words of a language; none where no list of it is known."""
    return frozenset(word for word, _ in _ranked(code, _FUNCTION))


def reads_like_prose(shown: str, code: str, common: Set[str]) -> bool:
    """Whether a sentence has as many function words as prose has; a bare list of names or terms has few.

    `common`: the words all over the document, which stand in for them where the language has no list.
    In Arabic script most of its words must be known as well: a torn text is full of words that are none.
    """
    if code in JOINED:
        native = [w for w in words(shown) if not w.isascii() and len(w) > 1 and not w.isdigit()]
        if sum(frequency.is_familiar(w, code) for w in native) < _KNOWN * len(native):
            return False
    if code == "ja":
        kana = len(re.findall(f"[{HIRAGANA}]", shown))
        return kana >= 0.15 * len(shown)
    phrase: Sequence[str] = pieces(shown, code) if code == "zh" else words(shown)
    if code == "ko":
        return sum(affixes.ending(word, code) > 0 for word in phrase) >= max(2, 0.3 * len(phrase))
    known = function_words(code) if code and code not in UNLISTED else frozenset(common)
    with_articles = code in DETERMINERS or (not code and not (phrase and is_unspaced(phrase[0])))
    share = 0.2 if with_articles else 0.1
    hits = sum(word in known for word in phrase)
    return hits >= max(2, share * len(phrase))
