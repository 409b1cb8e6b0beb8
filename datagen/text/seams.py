r"""Seams: places where the words of a tokenizer end, whatever else stands in the text.

A tokenizer first divides a text into words (pre-tokens), then each word into tokens by itself. If a word always ends at
a place, the tokens of a text are those of its part before and those of its part after. There are four kinds of seam:

    BLANKS   between what is no white space and a space
    BREAKS   between what is no white space and a line break
    STOPS    between a letter and a mark or white space that can't go on with its word
    LINES    between a line break and a letter

Whether a tokenizer has them is read off its configuration, which must be one of those known here; of any other it is
not assumed. The known patterns are made of the ALTERNATIVES below, for which this holds:

- No match has a seam inside. A space is at most the first character of a match, or one of white space alone; so is a
  line break, unless an alternative for marks has `[\r\n]`, which costs a pattern its BREAKS; what follows letters is
  letters, combining marks, or an apostrophe and letters; and no line break precedes a letter.
- A match looks at no character before it. What stands behind it is looked at after white space only, and of the seams
  only LINES have that before them. So the matches before a seam are the same where the text ends there: white space
  before LINES is one match up to there, too, if `\s*[\r\n]` comes before any look behind it; else there are no LINES.
- Every letter and all white space is matched. So a word ends at the seam, and what follows is matched from there on.

A step before the pattern may cut a text further, but keeps together what a seam divides, or cuts it there, and looks
at runs of digits or of letters only. The known normalizers leave seams where they are: what is behind a seam never
composes with what is before it in NFC, and BERT's drops or replaces characters one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

BLANKS, BREAKS, STOPS, LINES = 1, 2, 4, 8
ALL = BLANKS | BREAKS | STOPS | LINES

SUFFIX = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
SUFFIXES = (SUFFIX, r"'(?i:[sdmt]|ll|ve|re)", r"'(?:[sdmt]|ll|ve|re)")
SUFFIXES += (r"'s", r"'t", r"'re", r"'ve", r"'m", r"'ll", r"'d")
LEAD, UPPER, LOWER = r"[^\r\n\p{L}\p{N}]?", r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
LETTERS = (r" ?\p{L}+", r" ?\p{L}++", r" ?[\p{L}]+", rf"{LEAD}\p{{L}}+", rf"{LEAD}+\p{{L}}+", rf"{LEAD}+\p{{L}}++")
LETTERS += (rf"{LEAD}[\p{{L}}\p{{M}}]+", r"[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+", r"[ '’]?[\p{L}\p{M}]{1,32}")
LETTERS += (f"{LEAD}{UPPER}*{LOWER}+|{LEAD}{UPPER}+{LOWER}*",)  # only the two together match every letter
LETTERS += (f"{LEAD}{UPPER}*{LOWER}+{SUFFIX}?|{LEAD}{UPPER}+{LOWER}*{SUFFIX}?",)
NUMBERS = (r"\p{N}", r"\p{N}{1,3}", r"\p{N}{1,3}+", r" ?\p{N}+", r" ?\p{N}++", r" ?[\p{N}]+", r" ?\p{N}{1,3}")
MARKS = (r" ?[^\s\p{L}\p{N}]+", r" ?[^\s\p{L}\p{N}]++", r" ?[^\s\p{L}\p{M}\p{N}]{1,16}")
MARKS += (r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+""",)
MARKS_AND_BREAKS = (r" ?[^\s\p{L}\p{N}]+[\r\n]*", r" ?[^\s\p{L}\p{N}]++[\r\n]*", r" ?[^\s\p{L}\p{N}]++[\r\n]*+")
MARKS_AND_BREAKS += (r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r" ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*", r" ?[\p{P}\p{S}]+[\r\n]*")
UP_TO_BREAK = (r"\s*[\r\n]+", r"\s*[\r\n]")
LOOK_BEHIND = (r"\s+(?!\S)", r"\s++$")
WHITE = (r"\s+", r"\s", r"\s{1,16}")
ALTERNATIVES = SUFFIXES + LETTERS + NUMBERS + MARKS + MARKS_AND_BREAKS + UP_TO_BREAK + LOOK_BEHIND + WHITE
FIRST_STEPS = (r"\p{N}", r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+")  # what may be set apart before the pattern is applied

# Letters of long standing, which no version of Unicode's tables takes for anything else.
_LETTERS = ((0x41, 0x5A), (0x61, 0x7A), (0xC0, 0x24F), (0x370, 0x481), (0x48A, 0x523))
_LETTERS += ((0x3041, 0x3096), (0x30A1, 0x30FA), (0x4E00, 0x9FA5), (0xAC00, 0xD7A3))
_STOPS = '\t\n\r !"#$%&()*+,-./:;<=>?@[\\]^_`{|}~—‘’“”…、。「」『』《》！（），：；？'  # ' may go on with a word
_LAST = 0xFFFF  # stands for all characters from there on
_BEHIND = 4  # bits by which the kinds of seam that a character may stand behind are shifted
FLAGS = np.full(_LAST + 1, BLANKS | BREAKS, dtype=np.uint8)
FLAGS[[c for c in range(0x3001) if chr(c).isspace()]] = 0
for _first, _last in _LETTERS:
    FLAGS[[c for c in range(_first, _last + 1) if chr(c).isalpha()]] |= STOPS | LINES << _BEHIND
FLAGS[[ord(c) for c in _STOPS]] |= STOPS << _BEHIND
FLAGS[ord(" ")] |= BLANKS << _BEHIND
FLAGS[ord("\n")] |= LINES | BREAKS << _BEHIND
_ASCII = FLAGS[:256].tobytes()

BLOCK = 1 << 15  # characters looked at in one go


class Seams(NamedTuple):
    """The kinds of seam that a tokenizer is known to have, and strings inside of which there is none nevertheless."""

    kinds: int = 0
    whole: tuple[str, ...] = ()


def find(text: str, seams: Seams) -> np.ndarray:
    """(n,) ascending positions, none of them at an end of the text, of its seams.

    Each is a seam of any stretch of the text, too, that it is inside of. Raises UnicodeEncodeError for a surrogate.
    """
    blocks = [np.empty(0, dtype=np.int64)]
    for start in range(0, len(text) - 1, BLOCK):
        block = text[start : start + BLOCK + 1]
        if block.isascii():  # bytes have a quicker way
            flags = np.frombuffer(block.encode("ascii").translate(_ASCII), dtype=np.uint8)
        else:
            flags = FLAGS.take(np.frombuffer(block.encode("utf-32-le"), dtype="<u4"), mode="clip")
        seamed = (flags[:-1] & (flags[1:] >> _BEHIND) & seams.kinds) != 0
        blocks.append(seamed.nonzero()[0] + (start + 1))
    found = np.concatenate(blocks)
    if not (places := [(at, at + len(string)) for string in seams.whole for at in _occurrences(text, string)]):
        return found
    starts, ends = np.array(places).T
    depth = np.zeros(len(found) + 1, dtype=np.int64)  # how many strings a seam is inside of more than the one before
    np.add.at(depth, np.searchsorted(found, starts, side="right"), 1)
    np.add.at(depth, np.searchsorted(found, ends), -1)
    return found[np.cumsum(depth)[:-1] == 0]


def _occurrences(text: str, string: str) -> Iterator[int]:
    at = text.find(string)
    while at >= 0:
        yield at
        at = text.find(string, at + 1)


def of_pattern(pattern: str) -> Seams:
    """The seams of a tokenizer that divides a text by this regular expression and nothing else."""
    found = _alternatives(pattern)
    if not set(found) & set(LETTERS) or found[-1] not in WHITE:
        return Seams()
    kinds = ALL
    if set(found) & set(MARKS_AND_BREAKS):
        kinds -= BREAKS
    before_look = found[: found.index(LOOK_BEHIND[0])] if LOOK_BEHIND[0] in found else found
    if set(found) & set(LOOK_BEHIND) and not set(before_look) & set(UP_TO_BREAK):
        kinds -= LINES
    return Seams(kinds)


def _alternatives(pattern: str) -> list[str]:
    """What the pattern is made of; nothing if a part of it is not known."""
    found: list[str] = []
    rest = f"{pattern}|"
    while rest:
        known = [alternative for alternative in ALTERNATIVES if rest.startswith(f"{alternative}|")]
        if not known:
            return []
        found.append(max(known, key=len))
        rest = rest[len(found[-1]) + 1 :]
    return found


def of_hugging_face(config: dict[str, Any]) -> Seams:
    """The seams of a tokenizer with this tokenizer.json, if it takes special tokens in a text for plain text."""
    bert = (config["pre_tokenizer"] or {}).get("type") == "BertPreTokenizer"
    kinds = ALL if bert else _of_steps(_steps(config["pre_tokenizer"], "pretokenizers"))
    normalizers = _steps(config["normalizer"], "normalizers")
    if {step["type"] for step in normalizers} - {"BertNormalizer" if bert else "NFC"} or config["model"].get("dropout"):
        return Seams()
    # Added tokens are looked for before all else. Special ones are passed over, but keep others from what they cover.
    tokens = config["added_tokens"]
    if all(token["special"] for token in tokens):
        return Seams(kinds)
    whole = tuple(t["content"] for t in tokens if len(find(t["content"], Seams(kinds))))
    for token in tokens:
        content = token["content"]
        if not token["special"] and (token["single_word"] or token["lstrip"] or token["rstrip"]):
            return Seams()  # it looks at what is around it
        if normalizers and token["normalized"] and not (content.isascii() and content.isprintable()):
            return Seams()  # it is looked for in what becomes of the text, and may change itself
        if normalizers and token["normalized"] and content in whole:
            return Seams()
    return Seams(kinds, whole)


def _steps(config: dict[str, Any] | None, name: str) -> list[dict[str, Any]]:
    if config is None:
        return []
    return [step for part in config[name] for step in _steps(part, name)] if config["type"] == "Sequence" else [config]


def _of_steps(steps: list[dict[str, Any]]) -> int:
    """The kinds of seam of pre-tokenizers in a row: one pattern, with FIRST_STEPS around it, and bytes at the end."""
    patterns: list[int] = []
    only = ALL
    for i, step in enumerate(steps):
        if step["type"] == "ByteLevel" and i == len(steps) - 1:
            if step["use_regex"]:
                patterns.append(ALL - LINES)  # GPT-2's
            if step["add_prefix_space"]:
                only = BLANKS  # it goes before a text that does not begin with one
        elif step["type"] == "Split" and "Regex" in step["pattern"]:
            pattern, way = step["pattern"]["Regex"], (step["behavior"], step["invert"])
            if pattern not in FIRST_STEPS and way in (("Isolated", False), ("Removed", True)):
                patterns.append(of_pattern(pattern).kinds)
            elif way != ("Isolated", False):
                return 0
        elif step["type"] != "Digits":
            return 0
    return patterns[0] & only if len(patterns) == 1 else 0
