"""Whether an answer says the same as the reference: what strings alone can tell. Pure functions.

Source: the usual normalisation of extractive question answering (Rajpurkar et al. 2016, SQuAD), and the two-way
containment of LongRLVR's verifier (arXiv 2603.02146). Departures: a number keeps its decimal point and sign, and loses
its thousands separators; containment does not count where what is added may change the answer (another number, "not",
"or"). What is left open is for a model to decide.
"""

from __future__ import annotations

import re
import unicodedata

_WORD = re.compile(r"[-−]?\d+(?:[.,]\d+)*|[^\W\d_]+(?:'[^\W\d_]+)*|\d+")
_THOUSANDS = re.compile(r"[-−]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_ARTICLES = {"a", "an", "the"}
_TURNS = {"not", "no", "nor", "neither", "never", "none", "or", "either", "except", "but", "without", "unless"}


def words(text: str) -> list[str]:
    """The words and numbers of an answer, as they are compared."""
    found = []
    for word in _WORD.findall(unicodedata.normalize("NFKC", text).casefold().replace("’", "'")):
        if word in _ARTICLES:
            continue
        if word.lstrip("-−")[0].isdigit():
            word = word.replace(",", "") if _THOUSANDS.fullmatch(word) else word
            word = word.replace("−", "-")
        found.append(word)
    return found


def exact(expected: str, given: str) -> bool:
    """Whether two answers are the same but for case, articles, punctuation and white space."""
    a, b = words(expected), words(given)
    return a == b if a or b else expected.strip() == given.strip() != ""


def contains(expected: str, given: str) -> bool:
    """Whether one answer stands in the other, word for word, and the rest of that one changes nothing."""
    short, long = sorted((words(expected), words(given)), key=len)
    starts = [i for i in range(len(long) - len(short) + 1) if long[i : i + len(short)] == short] if short else []
    if not starts:
        return False
    rest = long[: starts[0]] + long[starts[0] + len(short) :]
    return not any(word in _TURNS or _is_number(word) for word in rest)


def verdict(expected: str, given: str) -> bool | None:
    """True: they say the same. False: they do not. None: strings can't tell."""
    if exact(expected, given) or contains(expected, given):
        return True
    a, b = words(expected), words(given)
    if len(a) == len(b) == 1 and _is_number(a[0]) and _is_number(b[0]):
        return float(a[0].replace(",", ".")) == float(b[0].replace(",", "."))
    return None


def _is_number(word: str) -> bool:
    return re.fullmatch(r"-?\d+(?:[.,]\d+)?", word) is not None
