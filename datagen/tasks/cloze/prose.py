"""What makes a text one well-formed sentence of running prose, in any language and from its look alone."""

from __future__ import annotations

import re

from datagen.tasks.cloze.boilerplate import is_boilerplate, points_elsewhere
from datagen.tasks.cloze.words import has_capitals, is_wordlike, length, show, spelled_words
from datagen.text.lexicon import CLOSERS, OPENERS, SPACES, TERMINATORS
from datagen.text.scripts import UNSTOPPED

MIN_WORDS, MAX_WORDS = 8, 60
MAX_CHARS = 600

_SINGLE_MARK = re.compile(r"(?<![\w'’.])['‘](?=\w)|(?<=[.,!?;:…])['’](?!\w)")
_ORPHAN_CLOSER = re.compile(r"[^\"]*[,.!?;]\"(?:\s|$)")
_INNER_MARK = re.compile(r"(?<=[\u05d0-\u05ea])[\"'](?=[\u05d0-\u05ea])")  # gershayim of a Hebrew abbreviation
_MARKUP = re.compile(
    r">>>|::|://|www\.|[•‣▪■●]|~~|,,|[\u2610-\u2612\u2713-\u2718]|\[\[|(?<=\w)__\w+__|__\w__|\{[a-z]{2,}\}|\w=\"|->|=>|<=|>=|==|!=|:=|\||([=~^#*_-])\1\1|\.{5}|\{\{|\\|</|/>|"
    r"\[(?:illustration|figure|footnote|music)|\S[ \t]{3,}\S|\t|[\u2190-\u21ff\u2460-\u2473]|"
    r"\$(?=\S)[^$]*(?<=\S)\$(?!\d)|"  # a formula, as pandoc tells it from sums of money
    r":[a-z][\w.+-]*:`|&(?:#\d{2,6}|#x[\da-f]{2,6}|[a-z]{2,8});",  # a role of reST, a character of HTML
    re.IGNORECASE,
)
NAMED = re.compile(r"[a-z]+(?:[A-Z]|_[a-z])\w+ ")  # what a sentence begins with: "getName returns …", "iPhones are …"
_LISTED = re.compile(
    r"[\W_]*(?:(?:\d{1,3}|[IVX]{1,6}|[^\W\d_])[.):º]|[A-Z]\)|[IVXLC]{2,6},)\s|\W*(?:\d{1,4}\s+)?\d{1,3}(?:\.\d{1,3})+\.?\s|"
    r"\W*\d{1,3}[、．]|\W*[（(]?[一二三四五六七八九十]{1,3}[）)、]"
)
_TERM_DEFINED = re.compile(r"[A-Z][A-Z\d_./-]{3,}\s+[\u0391-\u03a9\u0410-\u042f][\u03ac-\u03ce\u0430-\u044f]")
_NOTE_MARK = re.compile(r"\[\d{1,3}\]|\[[a-z*†‡]\]|[†‡⁰¹²³⁴-⁹*](?=\W*$)|(?<=[^\W\d_][.,!?;])\d{1,3}(?=\s|$)")
# Arabic letters that are no words by themselves, nor number anything.
_LETTERS = "\u0627\u062b\u062d-\u0635\u0637-\u063a\u0641\u0643\u0644\u0646\u064a\u067e\u0686\u06a9\u06af\u06cc"
LONE = rf"(?<!\S)[{_LETTERS}](?!\S)"
_TORN = re.compile(  # glyphs that were read in a wrong encoding, or in the wrong order
    r"[\u00a1-\u00aa\u00ac-\u00ba\u00bc-\u00ff][\u0590-\u0e7f]|[\u0590-\u0e7f][\u00a1-\u00aa\u00ac-\u00ba\u00bc-\u00ff]|[\u0900-\u094f\u0951-\u097f]\u0950|"
    r"(?<!\S)[\u0900-\u0903\u093a-\u094d\u064b-\u0652]|"  # a vowel sign without its letter
    r"[\u0900-\u0903][\u093a-\u094d]|(?<=[\u0900-\u0963] )\u0950|"
    r"\u0930\u094d(?!\S)|"  # half an r, at the end of a Hindi word
    r"\u0649[\u0621-\u0647\u064a]|"  # a letter that only ends words
    rf"{LONE}|"
    r"[0-9][\u0660-\u0669\u06f0-\u06f9]|[\u0660-\u0669\u06f0-\u06f9][0-9]|"  # digits of two scripts
    r"(?<!\w)[\u0648\u0641\u0628\u0643]?\u0627[\u0622\u0623\u0625\u0627]\u0644"  # the ligature of lam and alef, turned
)
_GREEK = re.compile(r"[\u0370-\u03ff\u1f00-\u1fff]")
_LEAST_CLAUSE = 40  # characters of a text without a stop, so that it is no heading
_UNSTOPPED_END = re.compile(rf"[{UNSTOPPED}][\W_]*$")


def fault(quote: str) -> str | None:
    """Why a text is no well-formed prose sentence, or None."""
    if not fits(quote):
        return "length"
    shown = show(quote)
    head, tail = shown.lstrip(OPENERS + SPACES), shown.rstrip(CLOSERS + SPACES)
    lower = head[:1].islower() and shown[0] not in '"“«`*' and has_capitals(shown)
    if not head[:1].isalnum() or (lower and not NAMED.match(head)):
        return "start"
    if not (ends_with_stop(tail) or _is_clause(shown)) or tail[-2:-1] in tuple(",;:"):
        return "end"
    if tail[-2:] == " ." and has_capitals(tail):  # what leads to a page's number
        return "end"
    if not balanced(quote):
        return "unbalanced marks"
    if _MARKUP.search(quote) or _NOTE_MARK.search(shown):
        return "markup"
    if _TORN.search(shown):
        return "torn letters"
    if is_boilerplate(shown) or points_elsewhere(shown) or _LISTED.match(shown) or _TERM_DEFINED.match(shown):
        return "boilerplate"
    return _odd_make_up(shown)


def fits(quote: str) -> bool:
    """Whether a text is neither too short nor too long for a sentence. In Thai twice as many characters are a word."""
    if not 2 <= len(quote) <= MAX_CHARS:
        return False
    most = 2 * MAX_WORDS if _UNSTOPPED_END.search(quote) else MAX_WORDS
    return MIN_WORDS <= length(quote) <= most


def ends_with_stop(text: str) -> bool:
    """Whether a text ends with what ends sentences; a semicolon does in Greek, where it asks."""
    return text[-1:] in tuple(TERMINATORS) or (text[-1:] == ";" and _GREEK.match(text[-2:-1]) is not None)


def _is_clause(shown: str) -> bool:
    """Whether a text is clauses of Thai or Lao, which need no stop."""
    return _UNSTOPPED_END.search(shown) is not None and len(shown) >= _LEAST_CLAUSE


def _odd_make_up(shown: str) -> str | None:
    """Code, tables, headings and lists, by the shares of their characters and words."""
    solid = shown.replace(" ", "")
    digits = sum(c.isdigit() for c in solid)
    letters = sum(map(is_wordlike, solid)) - digits
    if letters + digits < 0.78 * len(solid) or digits > 0.12 * letters + 3:
        return "few letters"
    tokens = [t for t in spelled_words(shown) if len(t) > 1 and not t.isdigit()]
    if sum(t.isupper() for t in tokens) > 0.25 * len(tokens):
        return "capitals"
    if sum(t[0].isupper() for t in tokens[1:]) > 0.5 * len(tokens) or _commas(shown) > 0.3 * length(shown) + 1:
        return "enumeration"
    return None


def _commas(shown: str) -> int:
    return sum(shown.count(c) for c in ",،、;")


def balanced(text: str) -> bool:
    """Whether quotation marks, brackets and emphasis all open and close; apostrophes are told from single quotes."""
    text = _INNER_MARK.sub("", text)
    pairs = ("()", "[]", "{}", "«»", "「」", "『』", "《》", "〈〉", "【】", "（）")
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
