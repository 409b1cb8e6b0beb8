"""Whether an answer says the same as the reference: what strings alone can tell. Pure functions.

Source: the usual normalisation of extractive question answering (Rajpurkar et al. 2016, SQuAD), and the two-way
containment of LongRLVR's verifier (arXiv 2603.02146). Departures: only what cannot change the meaning is left out (see
`answers`), so symbols, signs and units count; containment does not count where what is added may change the answer
(a list's other items, another number, a symbol, "not", "or"). Strings alone decide less still: only that words which
say nothing, as in "it was in 1850", make no difference. What is left open is for a model to decide.
"""

from __future__ import annotations

import importlib
import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from .answers import tokens

Verifier = Callable[[str, str], "float | bool | None"]  # of the reference answer and the given one; None: cannot tell

_WORD = re.compile(r"[-−]?\d+(?:[.,]\d+)*|[^\W\d_]+(?:'[^\W\d_]+)*|\d+")
_GROUPED = re.compile(r"[-−]?\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_ARTICLES = {"a", "an", "the"}
_NUMBER = re.compile(r"-?(?:\d+(?:\.\d+)?|\.\d+)")  # a decimal comma may be one between two numbers
_PLAIN = re.compile(r"-?(?:0|[1-9]\d*|)(?:\.0+|\.\d*[1-9])?")  # but for zeros that add nothing to a whole number


def _words(*lines: str) -> frozenset[str]:
    return frozenset(" ".join(lines).split())


# What makes another answer of the one that it is added to, or taken from; and so does whatever ends in "n't"
_TURNS = _words(
    "not no nor neither never none or either except but without unless and both cannot hardly nobody nothing nowhere",
    "than instead rather versus vs besides excluding",
    "nicht nie kein keine keiner keinem keinen keines außer ausser statt oder und weder noch ohne",
    "ne pas ni ou et sans sauf aucun aucune jamais ليس ليست لا أو",
    "o y sin non né e senza não nem sem не ни или и",
    "half one two three four five six seven eight nine ten eleven twelve dozen hundred thousand million billion",
)
# What says nothing by itself, in lower case; not "by", "from", "before": by 1850 is not in 1850
_IDLE = _words(
    "in on at of during it is was were are they he she that this",
    "im es ist war waren sind er sie das der die den dem le la les un une en au à du est était étaient ce il elle ils",
    "c'est el los las era fue",
)
# What may stand between the items of a list: but no hyphen within a word, no decimal comma, no full stop of a title
_LISTED = re.compile(
    r"""[;/&+、،؛…"“”«»„`()\[\]] | [^\S\xa0\ ] | (?<!\d),|,(?!\d) | \s[-‐-―'] | (?<![:?!])[:?!]++(?=\s)
      | (?<!\.)(?<!\b(?:Mr|Dr|St|Mt|Jr|Sr|Co|No|vs))(?<!\b(?:Mrs|Rev|Gen|Col|Hon|Inc|Ltd))(?<!\b(?:Prof|Capt|Corp))
        (?<!\b[^\W\d_])[.]++(?=\s)
      | (?<=\w\ )[A-Z][.](?=\s)""",
    re.VERBOSE,
)
_LED_IN = re.compile(r"(?:[^:\n]{0,200}\b(?:is|are|was|were)|(?:the\s+)?(?:final\s+)?answer)\s*:\s+", re.IGNORECASE)
_QUOTES = dict.fromkeys(map(ord, "“”„‟«»"), '"')


def words(text: str) -> list[str]:
    """The words and numbers of a text, by which it is searched; two answers are compared by their `tokens`."""
    found = []
    for word in _WORD.findall(unicodedata.normalize("NFKC", text).casefold().replace("’", "'")):
        if word in _ARTICLES:
            continue
        if word.lstrip("-−")[0].isdigit():
            word = word.replace(",", "") if _GROUPED.fullmatch(word) else word
            word = word.replace("−", "-")
        found.append(word)
    return found


def exact(expected: str, given: str) -> bool:
    """Whether two answers are the same but for what cannot change their meaning (see `answers`)."""
    a, b = tokens(expected), tokens(given)
    return a == b if a or b else expected.strip() == given.strip() != ""


def contains(expected: str, given: str) -> bool:
    """Whether the answers are the same, or one stands in the other, word for word, and the rest changes nothing."""
    expected, given = _bare(expected, given), _bare(given, expected)
    if verdict(expected, given):
        return True
    same_lists = len(_LISTED.findall(expected)) == len(_LISTED.findall(given))
    return same_lists and all(word[0].isalpha() and not _turns(word) for word in _added(expected, given) or "?")


def _bare(answer: str, other: str) -> str:
    """An answer without what introduces it ("The answer is: …") and without quotation marks around all of the other."""
    answer, other = answer.translate(_QUOTES).strip(), other.strip()
    led_in = _LED_IN.match(answer)
    if led_in and not _LED_IN.match(other) and not any(map(_turns, tokens(led_in[0]))):
        answer = answer[led_in.end() :]
    return answer.replace(f'"{other}"', other) if other else answer


def _turns(word: str) -> bool:
    return word.lower() in _TURNS or word.lower().endswith("n't")


def _added(expected: str, given: str) -> list[str]:
    """The tokens that one answer has before and after all of the other's; none where it does not hold them."""
    short, long = sorted((tokens(expected), tokens(given)), key=len)
    starts = [i for i in range(len(long) - len(short) + 1) if long[i : i + len(short)] == short] if short else []
    return long[: starts[0]] + long[starts[0] + len(short) :] if starts else []


def _is_idle(word: str, *answers: str) -> bool:
    """Whether a word says nothing: with a capital it may be a name's, as in La Paz, or only begin a sentence."""
    written = {w for answer in answers for w in re.findall(r"[\w']+", answer.replace("’", "'")) if w.lower() == word}
    return word in _IDLE and written == {word}


def token_f1(expected: str, given: str) -> float:
    """Token F1 of two answers (SQuAD), 0 to 1, over the tokens that `exact` compares."""
    a, b = Counter(tokens(expected)), Counter(tokens(given))
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
    added = _added(expected, given)
    if exact(expected, given) or (added and all(_is_idle(word, expected, given) for word in added)):
        return True
    a, b = tokens(expected), tokens(given)
    if len(a) != 1 or len(b) != 1 or not (_NUMBER.fullmatch(a[0]) and _NUMBER.fullmatch(b[0])):
        return None
    if Decimal(a[0]) != Decimal(b[0]):
        return False
    return True if all(_PLAIN.fullmatch(n[0]) for n in (a, b)) else None  # 007 may not be 7, nor 3.10 be 3.1
