"""Which letter an answer to a multiple-choice question names.

A letter counts where it is stated ("The correct answer is (B) The second floor."), else where it leads a line
("D. Ion streams", "**C**"), else where it is mentioned ("I take option B", "they are D. Ion streams"). Different
letters in the same place ("B/C", "(A) and (C)") are no choice, and letters that are said to be wrong ("A and D are
wrong; C") are not named. An answer that is one letter and no more is that letter; else the wording of exactly one
option, alone, names its letter.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from datagen.evaluate.match import normalised

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
LEAST = 8  # letters that may be named where the options are not known; more where the gold's comes after them
_MARKUP = re.compile(r"\\(?:boxed|text|textbf|mathrm|mathbf)\s{0,4}\{|[*_`$~]")
# A capital "A" before a small word is an article, unless that word goes on about a letter
_ABOUT = r"(?:and|or|is|was|because|since|as|und|oder)\b"
_BRACKETED = r"[(\[{【]{1,3} ?(?P<bracketed>[A-Za-z]) ?[)\]}】]{1,3}"
_CAPITAL = rf"(?P<capital>A(?! (?!{_ABOUT})[a-z])|[B-HJ-Z]|I(?! (?:was|as)\b))(?![A-Za-z0-9]|['’+\#]|-[A-Za-z])"
_SMALL = r"(?P<small>[a-z])(?=[.):](?: |$)|$)"
_LABEL = rf"(?:{_BRACKETED}|(?<![A-Za-z0-9])(?:{_CAPITAL}|{_SMALL}))"
_ALONE = re.compile(r"[\"'“(\[{【 ]*([A-Za-z])[\"'”)\]}】.:。 ]*")
_WRONG = re.compile(
    r"[.)]? (?P<verb>is|are|was|were)(?: (?:all|both|also|clearly))? "
    r"(?:not|wrong|incorrect|false|ruled out|struck out)\b"
)
_AND_SO = re.compile(r"[.,;:]? ?(?:(?:and|but|so|thus|hence|therefore)\b,? ?)?", re.IGNORECASE)
_STATED = re.compile(
    rf"""(?:\b(?i:answer)|答案|正解|答え)(?i:[ ]to[ ](?:this|the)(?:[ ]question)?)?[ ]?
    (?i:is|are|was|=|是|为|為|は|(?:would|must|should)[ ]be)?[ ]?[:：]?[ ]?
    (?i:(?:the[ ])?(?:option|choice|letter)[ ])?["'“]?{_LABEL.replace(" ", "[ ]")}""",
    re.VERBOSE,
)
_LEADING = re.compile(
    rf"""(?:[-•>\#][ ]?)?(?i:(?:option|choice)[ ])?["'“]?{_LABEL.replace(" ", "[ ]")}
    (?=$|["'”.):：;,/&+、}}]|[ ]?[-–—=][ ]|[ ]?(?:和|或|及)|[ ](?:[(/&+]|{_ABOUT})|(?<=[)\]}}】]))""",
    re.VERBOSE,
)
_NEXT = re.compile(
    rf"[.)]?(?: ?[/,;&+、]| (?:and|or|und|oder)\b|和|或|及)(?: ?(?:and|or)\b)? ?"
    rf"(?i:(?:option|choice) )?{_LABEL}"
)
_MENTIONED = re.compile(
    r"(?<![^\W_])[(\[{【]{1,3} ?(?P<bracketed>[A-Z]) ?[)\]}】]{1,3}"
    r"|\b(?i:options?|choice|statement|answer) (?P<capital>[A-Z])(?![A-Za-z0-9]|['’+#-])"
    r"|选(?P<small>[A-Z])"
    r"|(?:\b(?:is|are|was|were|be|to|as|that|means)|[:,]) [\"'“]?(?P<labelled>[A-Z])(?:[.] |: |[)] ?)"
    r"(?=[\"'“]?[^\W_])(?![A-Z][.])"
)
_DENIED = re.compile(
    r"\b(?:not|nor|neither|except|than|unlike|excluding)(?: the)?(?: option| choice)? ?$", re.IGNORECASE
)
_LED_IN = re.compile(r"(?:the )?(?:correct |right |final )?answer(?: is:?|:) ", re.IGNORECASE)
_BEFORE = 32  # characters in which a denial is looked for


@dataclass(frozen=True, slots=True)
class Named:
    """What an answer names: one letter, several (then none counts), or none."""

    letter: str | None
    several: bool = False


def named(answer: str, choices: Sequence[str] = (), gold: str = "A") -> Named:
    """The letter that an answer names; the first option is A. Where the options are not known, it is one from A to H,
    or to the gold letter if that comes later. It never raises, and takes linear time.
    """
    text = _MARKUP.sub("", unicodedata.normalize("NFKC", answer))
    lines = [line for raw in text.splitlines() if (line := " ".join(raw.split()))]
    allowed = ALPHABET[: len(choices) or max(LEAST, ALPHABET.find(gold) + 1)]
    whole = _LED_IN.sub("", " ".join(lines), 1)
    if (alone := _ALONE.fullmatch(whole)) and alone[1].upper() in allowed:
        return Named(alone[1].upper())
    wholes = {normalised(text), normalised(whole)} - {""}
    same = [chr(ord("A") + i) for i, choice in enumerate(choices) if normalised(choice) in wholes]
    if len(same) == 1:
        return Named(same[0])
    for find in (_stated, _leading, _mentioned):
        found = {letter for line in lines for letter in find(line)} & set(allowed)
        if find is _leading and not found and len(lines) == 1:
            found = _unlabelled(lines[0], choices, allowed)
        if found:
            return Named(found.pop()) if len(found) == 1 else Named(None, True)
    return Named(None)


def _stated(line: str) -> list[str]:
    found, at = [], 0
    while match := _STATED.search(line, at):
        letters, at = _joined(line, match, stated=True)
        found += letters
    return found


def _leading(line: str) -> list[str]:
    at = 0
    while match := _LEADING.match(line, at):
        letters, at = _joined(line, match)
        if letters:
            return letters
        if led_on := _AND_SO.match(line, at):  # "A and D are wrong; C"
            at = led_on.end()
    return []


def _mentioned(line: str) -> list[str]:
    found, at, looked_at = [], 0, 0
    while match := _MENTIONED.search(line, at):
        letters, at = [_letter(match)], match.end()
        if at > looked_at:  # else it is one of a list that was looked at
            letters, looked_at = _joined(line, match)
            at = at if letters else looked_at
        if letters and not _DENIED.search(line[max(0, match.start() - _BEFORE) : match.start()]):
            found.append(_letter(match))
    return found


def _joined(line: str, first: re.Match[str], stated: bool = False) -> tuple[list[str], int]:
    """The letter of a match and those that follow it as a list ("B/C", "A, B and D"), without those that are said to be
    wrong, and where all of it ends.
    """
    letters, commas, at = [_letter(first)], [], first.end()
    while match := _NEXT.match(line, at):
        letters.append(_letter(match))
        commas.append(line[at : match.start(match.lastgroup or 0)].strip() in (",", ";"))
        at = match.end()
    if refused := _WRONG.match(line, at):
        at = refused.end()
        if refused["verb"] in ("is", "was"):  # of "B, C is wrong" the last, and all of "B or C is wrong"
            return (letters[:-1] if commas and commas[-1] else []), at
        return (letters[:1] if stated and commas and commas[0] else []), at  # "Answer: B, C and D are wrong"
    return letters, at


def _letter(match: re.Match[str]) -> str:
    return next(letter for letter in match.groups() if letter).upper()


def _unlabelled(line: str, choices: Sequence[str], allowed: str) -> set[str]:
    """Letters run together ("AC"), or one before the wording of its option ("D Ion streams")."""
    together = line.rstrip(".")
    if 1 < len(together) == len(set(together)) and set(together) <= set(ALPHABET[: max(LEAST, len(allowed))]):
        return set(together) & set(allowed)
    letter, _, rest = line.partition(" ")
    at = ALPHABET.find(letter) if len(letter) == 1 else -1
    return {letter} if 0 <= at < len(choices) and normalised(choices[at]) == normalised(rest) else set()
