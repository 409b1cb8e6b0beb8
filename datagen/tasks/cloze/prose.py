"""What makes a text one well-formed sentence of running prose, in any language and from its look alone."""

from __future__ import annotations

import re

from datagen.tasks.cloze.words import length, show
from datagen.text.lexicon import CLOSERS, OPENERS, SPACES, TERMINATORS

MIN_WORDS, MAX_WORDS = 8, 60
MAX_CHARS = 600

_SINGLE_MARK = re.compile(r"(?<![\w'’.])['‘](?=\w)|(?<=[.,!?;:…])['’](?!\w)")
_ORPHAN_CLOSER = re.compile(r"[^\"]*[,.!?;]\"(?:\s|$)")
_MARKUP = re.compile(
    r">>>|::|://|www\.|->|\||([=~^#*_-])\1\1|\.{5}|\{\{|\\|</|/>|\[(?:illustration|figure|footnote|music)|"
    r"\S[ \t]{3,}\S|\t",
    re.IGNORECASE,
)
_BOILERPLATE = re.compile(
    r"copyright (?:\d|by|notice|\(c\))|all rights reserved|gutenberg|isbn|creative commons|\blicen[sc]ed? under|©|"
    r"transcriber|e-?text\b|^\W*(?:changed|new|added|deprecated|removed) in version|"
    r"^\W*(?:see (?:also|section|the|(?-i:[A-Z\"'_*]))|voir (?-i:[A-Z])|siehe|vgl|cf)\b|"
    r"^\W*(?:for (?:more|further) (?:information|details?|on)|note|warning|example)\b[^.]{0,60}:|"
    r"^\W*(?:table|figure|fig|page|chapter|section|chapitre|kapitel)\.?\s+[\divxlc]+\b",
    re.IGNORECASE,
)
_LISTED = re.compile(r"[\W_]*(?:(?:\d{1,3}|[IVX]{1,6}|[a-z])[.):º]|[A-Z]\)|[IVXLC]{2,6},)\s")
_LETTERS = re.compile(r"[^\W\d_]+")


def fault(quote: str) -> str | None:
    """Why a text is no well-formed prose sentence, or None."""
    if not 2 <= len(quote) <= MAX_CHARS or not MIN_WORDS <= length(quote) <= MAX_WORDS:
        return "length"
    shown = show(quote)
    head, tail = shown.lstrip(OPENERS + SPACES), shown.rstrip(CLOSERS + SPACES)
    if not head[:1].isalnum() or (head[0].islower() and shown[0] not in '"“«`*'):
        return "start"
    if tail[-1:] not in tuple(TERMINATORS) or tail[-2:-1] in tuple(",;:"):
        return "end"
    if not balanced(quote):
        return "unbalanced marks"
    if _MARKUP.search(quote):
        return "markup"
    if _BOILERPLATE.search(shown) or _LISTED.match(shown):
        return "boilerplate"
    return _odd_make_up(shown)


def _odd_make_up(shown: str) -> str | None:
    """Code, tables, headings and lists, by the shares of their characters and words."""
    solid = shown.replace(" ", "")
    letters = sum(c.isalpha() for c in solid)
    digits = sum(c.isdigit() for c in solid)
    if letters + digits < 0.78 * len(solid) or digits > 0.12 * letters + 3:
        return "few letters"
    tokens = [t for t in _LETTERS.findall(shown) if len(t) > 1]
    if sum(t.isupper() for t in tokens) > 0.25 * len(tokens):
        return "capitals"
    if sum(t[0].isupper() for t in tokens[1:]) > 0.5 * len(tokens) or shown.count(",") > 0.3 * length(shown) + 1:
        return "enumeration"
    return None


def balanced(text: str) -> bool:
    """Whether quotation marks, brackets and emphasis all open and close; apostrophes are told from single quotes."""
    pairs = ("()", "[]", "{}", "«»", "「」", "『』", "《》", "（）")
    if any(text.count(p[0]) != text.count(p[1]) for p in pairs):
        return False
    if any(sum(text.count(c) for c in marks) % 2 for marks in ('"', "“”„", "`")) or _ORPHAN_CLOSER.match(text):
        return False
    if len(re.findall(r"(?<!\w)_(?=[^\W_])", text)) != len(re.findall(r"(?<=[^\s_])_(?!\w)", text)):
        return False
    depth = 0
    for mark in _SINGLE_MARK.finditer(text):
        depth += -1 if text[mark.start() - 1 : mark.start()] in tuple(".,!?;:…") else 1
        if depth < 0:
            return False
    possessives = len(re.findall(r"(?<=\w)['’](?!\w)", text))  # "the boys' band", or a quotation ending in a word
    return depth <= possessives
