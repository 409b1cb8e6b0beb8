"""What a language attaches to a word that is no part of it: particles, proclitics and case endings."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache, lru_cache

from datagen.text.lexicon import KOREAN_PARTICLES
from datagen.text.scripts import HANGUL

# Each is tried as a whole, the longest first.
SUFFIXES = {
    "tr": "da de ta te dan den tan ten in ın un ün nin nın nun nün i ı u ü yi yı yu yü e a ye ya lar ler ları leri "
    "ların lerin larda lerde lara lere nda nde ndan nden la le yla yle daki deki taki teki dır dir dur dür",
    "fi": "ssa ssä sta stä lla llä lta ltä lle ksi tta ttä na nä in en on aan ään iin ien jen ista istä issa issä illa "
    "illä ille ilta iltä iin n a ä t kin kaan kään",
    "hu": "ban ben ba be ból ből ról ről tól től nak nek val vel hoz hez höz on en ön n ra re ig ért ként kor ul ül t "
    "at et ot öt ek ok ak k ja je i",
    "fa": "ها های هایی هایم هایش",
    "et": "s st sse l lt le ga ta ni na ks d te de",
}
_MIN_STRICT = 2  # from as many letters a case ending is believed by itself; a shorter one wants a stem that is known
_PREFIXES = {
    "ar": re.compile(r"(?:[وف]?(?:[بك]ال|لل|ال|س(?=[ينتأ])|[بلك])|[وف])(?=\w{3})"),
    "he": re.compile(r"[והבלמשכ]{1,3}(?=\w{2})"),
}
_PRONOUN = re.compile("(?:ها|هم|هن|هما|كم|نا)$")  # whose a thing is
# The cases of nouns in these languages change the end of a word only: forms share all but a short end.
INFLECTED = frozenset(
    ["ru", "uk", "bg", "mk", "pl", "cs", "sk", "sl", "sh", "lt", "lv", "ro", "el", "hi", "fi", "hu", "tr", "et"]
)
_LONG_BEGINNING = 7  # letters that two words have in common: of one, whatever they end in
_HANGUL = re.compile(f"[{HANGUL}]+")


@cache
def _suffixes(code: str) -> tuple[str, ...]:
    listed = KOREAN_PARTICLES if code == "ko" else SUFFIXES.get(code, "").split()
    return tuple(sorted(listed, key=lambda s: (-len(s), s)))


@cache
def _tail(code: str) -> re.Pattern[str]:
    return re.compile("(?:" + "|".join(_suffixes(code)) + ")$")


def ending(word: str, code: str) -> int:
    """How many letters at the end of a word are the longest particle or case ending; 0 where there is none."""
    if not _suffixes(code):
        return 0
    found = _tail(code).search(word, min(2, len(word)))
    return len(word) - found.start() if found else 0


def set_off(term: str, right: str, code: str) -> bool:
    """Whether what directly follows a term is a Korean particle: the term is then a word of its own.

    After a word or number of another script (`dpkg를`, `1987년`) any Hangul does.
    """
    attached = _HANGUL.match(right)
    if code != "ko" or not attached:
        return False
    return not _HANGUL.match(term[-1]) or (len(term) > 1 and attached.group() in _suffixes(code))


def is_attached(word: str, code: str, known: Callable[[str], bool]) -> bool:
    """Whether a particle, proclitic or case ending is a part of a word's spelling, as far as that can be told.

    `known` says whether a word stands by itself, in the language or in the document.
    """
    if prefix := _PREFIXES.get(code):
        found = prefix.match(word)
        if found and code == "ar" and found.group() != "ال":
            return "ال" in found.group() or "لل" in found.group() or known(word[found.end() :])
        if code == "ar" and (own := _PRONOUN.search(word, 3)):
            return any(known(word[: own.start()] + end) for end in ("", "ة")) or (
                word[own.start() - 1] == "ت" and known(word[: own.start() - 1] + "ة")
            )
        return code == "he" and any(known(word[n:]) for n in range(1, (found.end() if found else 0) + 1))
    for suffix in _suffixes(code) if code != "ko" else ():
        if word.endswith(suffix) and len(word) - len(suffix) >= 3 and known(word[: -len(suffix)]):
            return True
    if code == "ko":
        n = ending(word, code)
        return bool(n) and (n >= _MIN_STRICT or known(word[:-n]))
    return False


@lru_cache(maxsize=1 << 14)
def stems(word: str, code: str) -> frozenset[str]:
    """The word, and what may be left of it without what its language attaches."""
    found = {word}
    if prefix := _PREFIXES.get(code):
        match = prefix.match(word)
        found |= {word[n:] for n in range(1, match.end() + 1)} if match else set()
    found |= {word[: -len(s)] for s in _suffixes(code) if word.endswith(s) and len(word) - len(s) >= 2}
    return frozenset(s for s in found if len(s) > 1) or frozenset({word})


def variants(a: str, b: str, code: str = "") -> bool:
    """Whether two words are forms of one, by spelling.

    They are where they are the same, or one is the other's plural, or they have a long beginning in common, or the same
    stem once what their language attaches is taken away.
    """
    if code in _PREFIXES and not stems(a, code).isdisjoint(stems(b, code)):
        return True
    if a[0] != b[0]:
        return False
    short, long = (a, b) if len(a) <= len(b) else (b, a)
    if short == long or (len(short) > 2 and long in (short + "s", short + "es")):
        return True
    if len(short) > 3 and long.startswith(short):
        return True
    if len(short) > 3 and short[-1] == "y" and long == short[:-1] + "ies":
        return True
    common = next((i for i, (x, y) in enumerate(zip(short, long, strict=False)) if x != y), len(short))
    if common >= 5 and (common >= 0.75 * len(long) or common >= _LONG_BEGINNING):
        return True
    if code in INFLECTED and common >= max(3, len(short) - 2) and len(long) - common <= 5:
        return True
    return (code == "ko" or code in SUFFIXES) and common >= 2 and bool(stems(a, code) & stems(b, code))
