"""How much a text is like text: the likelihood of its words in the language that fits them best.

A word's likelihood is a mixture of its frequency in the language (the lists of wordfreq, Speer 2022,
doi:10.5281/zenodo.7199437) and of a letter-bigram model made of the same list (interpolated with single letters,
Jelinek and Mercer 1980), which knows what words of the language look like. Whatever stands between words has a
likelihood by its kind. All are base-10 logarithms, so that those of two readings of the same bytes can be compared: the
difference is how many powers of ten the one is likelier than the other.
"""

from __future__ import annotations

import gzip
import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, reduce
from itertools import pairwise

from datagen.text.scripts import LANGUAGES_OF

COMMON, LISTED = 500, 600  # hundredths of a power of ten: words of 1 in 100,000, and in 1,000,000
KNOWN, LOANED = 0.5, 0.02  # how much of a word's likelihood is its frequency, and that in other languages
PAIRED, SINGLE = 0.8, 0.2  # how much of a letter's likelihood is its frequency after the one before, and anywhere
NEW_LETTER, NO_LETTER = 1e-5, 1e-8  # of the script of the language, and of another one
UNKNOWN = math.log10(1 - KNOWN - LOANED)
NO_WORD = 1e-9  # a language's share in a word that is not among its common ones, when languages are compared
ACCENTS = "\u0300-\u036f"
THAI = "\u0e01-\u0e3a\u0e40-\u0e4e"
POINTED = "[\u05d0-\u05f2][\u0591-\u05c7]*|[\u0620-\u064a\u0671-\u06d3][\u064b-\u065f\u0670]*"
WORD = re.compile(rf"[{THAI}]+|(?:{POINTED}|[^\W\d_{THAI}][{ACCENTS}]*|(?<=[lL])·(?=[lL]))+")
STRIPPED = re.compile(rf"[{ACCENTS}\u0591-\u05c7\u064b-\u065f\u0670\u0640]")
THAI_MARKS = "\u0e31\u0e34-\u0e3a\u0e47-\u0e4e"
MISPLACED = re.compile(rf"(?<![\u0e01-\u0e2e{THAI_MARKS}])[{THAI_MARKS}]|(.)\1\1")
GLUED = re.compile(rf"[a-zA-Z](?=[{THAI}])|[{THAI}](?=[a-zA-Z])|\d(?=[À-\u06ff])|[À-\u06ff](?=\d)")
ODD_IN_WORDS = re.compile(rf"[{ACCENTS}\ufb00-\ufb06]")
THAI_LETTERS = 70
LATIN_END = "\u0250"

# Characters between words, by what they stand beside.
SIGNS = re.compile("[^\x00-\x7f]|[\x00-\x08\x0b\x0e-\x1f\x7f]")
TYPOGRAPHY = frozenset("“”‘’„‚«»‹›–—―…·•\u00a0¡¿№、。「」『』（），．！？：；《》〈〉【】・〜～ー　،؛؟־׳״")
INSIDE = frozenset("’‘ʼ\u00ad\u200c\u200d‐‑–—\u00a0、。「」『』（），．！？：；《》〈〉【】・〜～ー　…")
NUMERIC = frozenset("§£€¥¢©®™½¼¾²³¹±×÷ªº´¶†‡‰→←°％＋－＝／")
AFTER_LETTERS = frozenset("®™²³¹†‡ªº")
CURRENCIES, MEASURES = frozenset("£€¥"), frozenset("£€¥°")
QUOTES = frozenset("“”‘’")
LOW_QUOTES, DASHES = frozenset("„‚"), frozenset("–—")
MEASURED, TYPICAL, USED, ODD, BROKEN, MISFIT, MIXED = -1.5, -2.0, -3.0, -5.0, -8.0, -6.0, -4.0
SIMILAR = str.maketrans({"ي": "ی", "ك": "ک", "ى": "ی", "ş": "ș", "ţ": "ț", "ё": "е", "ß": "ss", "ς": "σ"})


@dataclass(frozen=True)
class Model:
    """A language: its common words and its letters, as likelihoods (no logarithms)."""

    words: Mapping[str, float]
    loans: Mapping[str, float]
    letters: Mapping[str, float]
    pairs: Mapping[str, float]
    is_latin: bool

    def log(self, word: str) -> float:
        """The base-10 logarithm of a word's likelihood; the word is folded."""
        total, spelt, before = 0.0, 1.0, " "
        for letter in f"{word} ":
            single = self.letters.get(letter)
            if single is None:
                single = NEW_LETTER if (letter < LATIN_END) == self.is_latin else NO_LETTER
            spelt *= PAIRED * self.pairs.get(before + letter, 0) + SINGLE * single
            before = letter
            if spelt < 1e-200:
                total, spelt = total + math.log10(spelt), 1.0
        total += math.log10(spelt)
        known = KNOWN * self.words.get(word, 0) + LOANED * self.loans.get(word, 0)
        return math.log10(known + (1 - KNOWN - LOANED) * 10**total) if known else total + UNKNOWN


SERBIAN = "sr"  # in Cyrillic: the list of words has it in Latin letters
AS_CYRILLIC = str.maketrans("abvgdđežzijklmnoprstćufhcčš", "абвгдђежзијклмнопрстћуфхцчш")
OTHER_SCRIPTS = frozenset(language for languages in LANGUAGES_OF.values() for language in languages)  # than Latin


def languages() -> list[str]:
    """The codes of the languages that are known, sorted."""
    import wordfreq

    return sorted((*wordfreq.available_languages("small"), SERBIAN))


def _in_serbian(words: Mapping[str, float]) -> list[tuple[str, float]]:
    """Words as Serbian writes them, the letters of two signs as one; those of other alphabets are left out."""
    pairs = (("dž", "џ"), ("lj", "љ"), ("nj", "њ"))
    found = ((reduce(lambda text, pair: text.replace(*pair), pairs, word), n) for word, n in words.items())
    return [(word, n) for word, n in found if not re.search("[qwxy]", word)]


@cache
def words_of(language: str, rarest: int = COMMON) -> dict[str, float]:
    """A language's words, folded, with their frequencies; the rarest has 10**(-rarest/100)."""
    import wordfreq

    if language == SERBIAN:
        return {word.translate(AS_CYRILLIC): frequency for word, frequency in _in_serbian(words_of("sh", rarest))}
    buckets = wordfreq.read_cBpack(wordfreq.available_languages("small")[language])
    return {
        folded(word): 10 ** (-cb / 100) for cb, words in enumerate(buckets[:rarest]) for word in words if word.isalpha()
    }


@cache
def model(language: str) -> Model:
    """The model of a language's words and letters."""
    words = words_of(language, LISTED)
    pairs: defaultdict[str, float] = defaultdict(float)
    letters: defaultdict[str, float] = defaultdict(float)
    for word, frequency in words.items():
        weight = math.sqrt(frequency)
        padded = f" {word} "
        for before, letter in pairwise(padded):
            pairs[before + letter] += weight
            letters[letter] += weight
    after: defaultdict[str, float] = defaultdict(float)
    for pair, weight in pairs.items():
        after[pair[0]] += weight
    total = sum(letters.values())
    is_latin = language not in OTHER_SCRIPTS
    return Model(
        words,
        _loans() if is_latin else {},
        {letter: weight / total for letter, weight in letters.items()},
        {pair: weight / after[pair[0]] for pair, weight in pairs.items()},
        is_latin,
    )


@cache
def _loans() -> dict[str, float]:
    """The words with accents of all languages of the Latin script, each with the largest of its frequencies."""
    loans: dict[str, float] = {}
    for language in languages():
        for word, frequency in words_of(language).items() if language not in OTHER_SCRIPTS else ():
            if not word.isascii():
                loans[word] = max(frequency, loans.get(word, 0))
    return loans


@cache
def simplified() -> dict[int, str]:
    """Traditional Chinese characters, as code points, with the simplified ones that the list of words is written in."""
    import msgpack
    import wordfreq

    with gzip.open(wordfreq.DATA_PATH / "_chinese_mapping.msgpack.gz") as file:
        mapping = msgpack.load(file, raw=False, strict_map_key=False)
    assert isinstance(mapping, dict)
    return {int(code): str(char) for code, char in mapping.items()}


def folded(word: str) -> str:
    """A word without what writings of it differ in: case, vowel points, forms of one letter."""
    word = unicodedata.normalize("NFC", word).lower()
    return word if word.isascii() else STRIPPED.sub("", word).translate(SIMILAR)


@dataclass(frozen=True)
class Parts:
    """A text taken apart: its words, folded, with their counts, and what is not ASCII besides, with how likely it is
    whatever the language: the signs between words, and capitals and joints within.
    """

    words: Counter[str]
    n_signs: int
    signs: float
    shapes: float


def parts(text: str) -> Parts:
    """Take a text apart. It should be in NFC."""
    words: Counter[str] = Counter()
    shapes = MISFIT * len(GLUED.findall(text))
    for word, n in Counter(WORD.findall(text)).items():
        words[folded(word)] += n
        if not word.isascii():
            shapes += n * (_case(word) + MISFIT * len(ODD_IN_WORDS.findall(word)))
    masked = f"  {WORD.sub(lambda word: 'x' * len(word[0]), text)}\n\n"
    found = [_sign(masked, sign.start()) for sign in SIGNS.finditer(masked)]
    return Parts(words, len(found), sum(found), shapes)


def _case(word: str) -> float:
    """How likely a word's mixture of small letters and capitals is."""
    if word.islower() or word.lower() == word.upper():
        return 0.0
    if word[1:] == word[1:].lower():
        return -0.5
    return -1.0 if word.isupper() else MIXED


def _sign(text: str, at: int) -> float:
    """How likely a character is that is no letter, where it stands; letters are x."""
    before, sign, after = text[at - 1 : at + 2]
    beside = (before == "x") + (after == "x")
    if sign in TYPOGRAPHY or sign in INSIDE:
        wrong = (
            (beside == 2 and sign not in INSIDE)
            or (sign in LOW_QUOTES and before == "x")
            or (sign in DASHES and before == "x" and after.isspace())
            or (sign in QUOTES and before.isspace() and after.isspace())
            or (sign in "«»" and (before + after).strip("x").isalnum())
        )
        return TYPICAL + MISFIT * wrong
    if sign in MEASURES and re.search(r"\d[ \u00a0]?$", text[at - 2 : at]):
        return MEASURED
    if sign in CURRENCIES and after.isdigit():
        return MEASURED
    if sign in NUMERIC or sign.isnumeric():
        fits = (not beside or (before == "x" and sign in AFTER_LETTERS)) and beside < 2
        return USED + MISFIT * (not fits or (sign == "§" and after == "\n"))
    kind = unicodedata.category(sign)
    if kind == "Po" and beside < 2:
        return TYPICAL
    return (BROKEN if kind in ("Cc", "Co", "Cn") or sign == "\ufffd" else ODD) + MISFIT * bool(beside)


def rough(words: Iterable[tuple[str, int]], language: str) -> float:
    """How well words fit a language, by its common words alone: quick, to tell which languages are worth a model."""
    known = words_of(language)
    return sum(n * math.log10(known.get(word, NO_WORD)) for word, n in words)


def known(words: Mapping[str, int], language: str) -> float:
    """The share of words that a language's list has; 0 of no words."""
    listed = words_of(language, LISTED) if language != "th" else {}
    return sum(n for word, n in words.items() if word in listed) / max(1, sum(words.values()))


def log(words: Iterable[tuple[str, int]], language: str) -> float:
    """The base-10 logarithm of how likely words, folded and with their counts, are in a language."""
    if language == "th":
        return sum(n * thai(word) for word, n in words)
    of = model(language).log
    chinese = language == "zh"
    return sum(n * of(word.translate(simplified()) if chinese and word > "\x7f" else word) for word, n in words)


def thai(word: str) -> float:
    """The base-10 logarithm of how likely letters are as Thai, which has no list: any of its letters are, but its marks
    need a letter.
    """
    n = sum("\u0e01" <= c <= "\u0e4e" for c in word)
    return -n * math.log10(THAI_LETTERS) - 2 * len(MISPLACED.findall(word)) + (len(word) - n) * math.log10(NO_LETTER)
