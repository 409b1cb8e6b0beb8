"""Whether an answer says the same as the reference: what strings alone can tell. Pure functions.

Source: the usual normalisation of extractive question answering (Rajpurkar et al. 2016, SQuAD), and the two-way
containment of LongRLVR's verifier (arXiv 2603.02146). Departures: a number keeps its decimal point and sign, and loses
its thousands separators; containment does not count where what is added may change the answer (another number, "not",
"or"). What is left open is for a model to decide.
"""

from __future__ import annotations

import importlib
import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from typing import Any

Verifier = Callable[[str, str], "float | bool | None"]  # of the reference answer and the given one; None: cannot tell

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
    """Whether the answers are the same, or one stands in the other, word for word, and the rest changes nothing."""
    if exact(expected, given):
        return True
    short, long = sorted((words(expected), words(given)), key=len)
    starts = [i for i in range(len(long) - len(short) + 1) if long[i : i + len(short)] == short] if short else []
    if not starts:
        return False
    rest = long[: starts[0]] + long[starts[0] + len(short) :]
    return not any(word in _TURNS or _is_number(word) for word in rest)


def token_f1(expected: str, given: str) -> float:
    """Token F1 of two answers (SQuAD), 0 to 1: case, articles and punctuation aside."""
    a, b = Counter(words(expected)), Counter(words(given))
    common = (a & b).total()
    return 2 * common / (a.total() + b.total()) if common else 0.0


VERIFIERS: dict[str, Verifier] = {"exact": exact, "contains": contains, "f1": token_f1}


def find(verifier: str | Verifier) -> Verifier:
    """The verifier of a name in VERIFIERS, or at `package.module:function`; a function is handed back as it is.

    Raises ValueError for a name that is neither, ImportError or AttributeError where nothing is there.
    """
    if not isinstance(verifier, str):
        return verifier
    if verifier in VERIFIERS:
        return VERIFIERS[verifier]
    module, colon, name = verifier.partition(":")
    if not (module and colon and name):
        known = ", ".join(VERIFIERS)
        raise ValueError(f"verifier must be one of {known}, or package.module:function, got {verifier!r}")
    found: Any = getattr(importlib.import_module(module), name)
    return found


def verdict(expected: str, given: str) -> bool | None:
    """True: they say the same. False: they do not. None: strings can't tell."""
    if contains(expected, given):
        return True
    a, b = words(expected), words(given)
    if len(a) == len(b) == 1 and _is_number(a[0]) and _is_number(b[0]):
        return float(a[0].replace(",", ".")) == float(b[0].replace(",", "."))
    return None


def _is_number(word: str) -> bool:
    return re.fullmatch(r"-?\d+(?:[.,]\d+)?", word) is not None
