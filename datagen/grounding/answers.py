"""An answer as the tokens that its meaning rests on: what two answers are compared by.

Left out is only what cannot change what an answer says: white space, the case of ordinary words, a leading article,
quotation marks around it, a comma or a full stop where a word ends, a hyphen within a compound, brackets around an
aside. All else is a token: numbers with sign and decimal point, and every symbol, so that `x > 3`, `x < 3` and `5%`,
`5` differ, as do `10²` and `102`, `AB+` and `AB`, `f'` and `f`, `5 mW` and `5 MW`, `not (A and B)` and `(not A) and B`,
and vowel signs that are characters of their own.
"""

from __future__ import annotations

import re
import unicodedata

_KEPT = ("<super>", "<sub>", "<fraction>", "<circle>", "<font>")  # a plain letter or digit would say another thing
_SAME = str.maketrans(
    dict.fromkeys("‐‑‒–—―−", "-")
    | dict.fromkeys("‘’‛ʼ", "'")
    | dict.fromkeys("”»", '"')
    | dict.fromkeys("“„‟«", "“")
    | {"。": ". ", "、": ", "}
    | dict.fromkeys("\xad\u200b\u200e\u200f\u2060\ufeff", "")  # they are not seen
    | {chr(i): "" for i in range(0xFE00, 0xFE10)}
)
_INITIALS = re.compile(r"\b([A-Z])\.(?=[A-Z]\b)")
_WRAPPED = re.compile(r"\s*(?:(\*\*|[*_\"'`])(?P<inner>.+)\1|“(?P<quoted>[^“\"]+)[“\"])[.]?\s*", re.DOTALL)
_DASH = re.compile(r"(?<=[^\W\d_]{2})\s+[–—―]+\s+(?=[^\W\d_]{2})")  # a pause; a hyphen there may be a minus
_UNSPACED = "[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"  # scripts that put no space before a bracket
_SET_OFF = re.compile(rf"(?<={_UNSPACED})(?=[(\[])|(?<=[)\]])(?={_UNSPACED})")
_THOUSANDS = re.compile(r"-?[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?")
_NOT_ARTICLE = {"minor", "major", "flat", "sharp", "dur", "moll", "level", "levels"}  # "A minor" is no minor
_NOT_ARTICLE_LAST = {"natural", "positive", "negative"}  # nor "A negative", but that of "a negative effect" is one
_SIGNED = {"infinity", "inf", "oo", "pi", "sin", "cos", "tan", "cot", "exp", "ln", "log", "sqrt"}  # after a minus
_CASED_UNIT = re.compile(r"[mp](?:arcsec|bar|cal|eq|mol|ohms?|osm|pa|pc|rad)|cal", re.IGNORECASE)  # Mbar is not mbar

# Of the shape of a text, in which every letter or mark is L and every digit 0: all other characters stand for
# themselves. A pause goes where a word ends, a hyphen between two words.
_TOKEN = re.compile(
    r"""(?P<number> (?<![L0])-?(?:0+(?:[.,]0+)*|\.0+) | 0+(?:[.,]0+)* )
      | (?P<word> L+(?:'L+)* )
      | (?P<comma> (?<=0)(?:[,;](?=\s+[-.]?0)|[ \t]*\n\s*(?=[-.]?0)) )
      | (?P<pause> (?<=[^\s0.,;:?])[.,;:?]++(?=\s|$) | (?<=0)[.,;:?](?=\s|$) | (?<=LL)!++(?=\s|$) | (?<=L)[,;](?=L) )
      | (?P<bullet> (?<![^\n])-\s(?=LL) )
      | (?P<hyphen> (?<=LL)-(?=LL) )
      | (?P<prime> (?<=L)(?<![L0]L)(?:'+|"+) )
      | (?P<quote> “ | (?<!0)["'`](?<!0\s["'](?!\S)) )
      | (?P<bracket> [()\[\]] )
      | (?P<symbol> \S )""",
    re.VERBOSE,
)
_SPEAKS = re.compile(r"[^L\s'.,;:!?\"“`()\[\]-]")  # a digit or a symbol: brackets and single letters mean something
# Brackets around an aside are set off from all else, and hold a word of more than one letter.
_ASIDE = re.compile(
    r"""(?<!\S)["'`“]?(?:\((?=[^()\[\]]*?LL)[^()\[\]]*+\)|\[(?=[^()\[\]]*?LL)[^()\[\]]*+\])(?=[\s.,;:!?"'`“]|$)"""
)
_CONNECTIVE = r"(?:not|and|or|nor|xor|if|unless|implies|nicht|und|oder|non|pas|et|ou)"
# In brackets, or right beside them: then they say what belongs together
_LOGIC = re.compile(
    rf"\b{_CONNECTIVE}\s*[(\[]|[)\]]\s*{_CONNECTIVE}\b|[(\[](?=[^()\[\]]*?\b{_CONNECTIVE}\b)", re.IGNORECASE
)
_OPENED = re.compile(r"(?<![L0])[\"'`](?=[L0])|“")


def tokens(text: str) -> list[str]:
    """The words, numbers and symbols of an answer, as they are compared."""
    text = _INITIALS.sub(r"\1. ", _unwrapped(_plain(text)))
    shape = "".join(map(_shape, text))
    prose = not _SPEAKS.search(shape)
    shouted = prose and text == text.upper() and "LLLL" in shape  # capitals throughout: they say nothing of a word
    grouping = not prose or _LOGIC.search(text) or re.search(r"[()\[\]]", _ASIDE.sub(" ", shape))
    found: list[str] = []
    for match in _TOKEN.finditer(shape):
        token, kind = text[match.start() : match.end()], match.lastgroup
        if kind == "word":
            after_word = not found or _is_word(found[-1])
            found.append(token if not shouted and _case_counts(token, prose, after_word) else token.lower())
        elif kind == "number":
            found.append(token.replace(",", "") if _THOUSANDS.fullmatch(token) else token)
        elif kind == "symbol" or (kind == "bracket" and grouping) or (kind == "prime" and not _OPENED.search(shape)):
            found.append(token)
        elif kind == "comma" and "L" not in shape:
            found.append(",")
        elif kind == "bullet" and text[match.end() :].split(maxsplit=1)[0].lower() in _SIGNED:
            found.append("-")
    return [token for i, token in enumerate(found) if not _is_article(found, i)]


def _plain(text: str) -> str:
    """One way to write each character, but where another form of it says another thing, as in 10²."""
    kept = (c if unicodedata.decomposition(c).startswith(_KEPT) else unicodedata.normalize("NFKC", c) for c in text)
    text = _DASH.sub(", ", unicodedata.normalize("NFC", "".join(kept)))
    return _SET_OFF.sub(" ", text.translate(_SAME))


def _unwrapped(text: str) -> str:
    """Without the quotation marks or the emphasis around the whole."""
    while (match := _WRAPPED.fullmatch(text)) and (match["quoted"] or match[1][0] not in match["inner"]):
        text = match["quoted"] or match["inner"]
    return text


def _shape(c: str) -> str:
    category = unicodedata.category(c)
    return "L" if category[0] in "LM" or c in "\u200c\u200d" else "0" if category == "Nd" else c


def _is_word(token: str) -> bool:
    return unicodedata.category(token[0])[0] in "LM"


def _case_counts(word: str, prose: bool, after_word: bool) -> bool:
    """Whether it may be an acronym, a unit or a variable: US is not us, mW not MW, and X not x in a formula."""
    if len(word) <= 3 and word[1:] != word[1:].lower():
        return True
    if prose:
        return False
    return len(word) == 1 or (not after_word and (len(word) == 2 or bool(_CASED_UNIT.fullmatch(word))))


def _is_article(found: list[str], i: int) -> bool:
    following = found[i + 1] if i + 1 < len(found) else ""
    if len(following) < 2 or not _is_word(following):
        return False
    if found[i] == "the":
        return True
    is_noun = following not in _NOT_ARTICLE and not (following in _NOT_ARTICLE_LAST and i + 2 == len(found))
    return i == 0 and found[i].lower() in ("a", "an") and is_noun
