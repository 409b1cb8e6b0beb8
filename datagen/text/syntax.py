"""What kind of text a document is, told from the text alone: prose, markup, the code of a program, or subtitles.

The kind of its file (`kinds`) does not tell: formats come under many names or none (a column of a JSONL file has no
extension), and all that is asked here is what to set aside (`markup`), so that languages with the same comments are one
kind. A chunk alone can deceive: a chapter about LaTeX shows commands, a README shows code. So the lines of a whole
document are counted, and a document is taken for prose unless so many of them are what only the kind has.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Literal, get_args

Kind = Literal[
    "prose",
    "markdown",
    "rst",
    "asciidoc",
    "org",
    "latex",
    "html",
    "subtitles",
    "table",  # CSV and TSV
    "openiti",
    "python",
    "c",  # comments as in C
    "dash",  # as in SQL
    "hash",  # as in a shell
]
KINDS: tuple[Kind, ...] = get_args(Kind)

_TIME = r"(?:\d{1,3}:)?\d\d:\d\d[.,]\d{3}"
CUE = rf"{_TIME}(?:[ \t]+-->[ \t]+|,){_TIME}"  # of SRT and WebVTT; of SBV
_CUE = re.compile(rf"^[ \t]*{CUE}")
_TAG = re.compile(
    r"</?(?:p|div|span|br|li|ul|ol|td|tr|table|html|body|head|h[1-6]|section|article|pre|dl|dt|dd)\b[^<>]*>", re.I
)
_LATEX = re.compile(
    r"\\(?:begin|end|documentclass|usepackage|chapter|(?:sub)*section|paragraph|emph|textbf|textit|texttt"
    r"|cite[pt]?|label"
    r"|ref|item|footnote|index|newcommand)\b\*?[\[{ ]"
)
_ROLE = re.compile(r":[a-z][\w+:.-]{0,30}:`[^`\n]+`")
_DIRECTIVE = re.compile(r"^[ \t]*\.\. (?:[\w:+-]+::|_[^:\n]+:)")
_ADORNED = re.compile(r"^([=\-~^\"'*#+])\1{2,}[ \t]*$")
_ORG = re.compile(r"^[ \t]*#\+\w+|\[\[[^\[\]\n]+\]\[[^\[\]\n]+\]\]|^[ \t]*:(?:PROPERTIES|END):")
_GOES_ON = re.compile(r"^~~\S")  # a line of a paragraph in OpenITI mARkdown, but for its first
_TITLE = re.compile(r"^={1,6} [^=\s][^\n]*[^=\s]$")
_ASCIIDOC = re.compile(
    r"^(?:(?:-{4,}|={4,}|\.{4,}|\*{4,}|_{4,}|\|===)[ \t]*$|\[\[[\w:.-]+\]\]"
    r"|\[(?:[A-Z]+|verse|quote|source|listing|[.#%\"])[^\n]*\]$"
    r"|:[\w-]+!?:(?: |$)|(?:include|image|ifdef|ifndef|toc)::)|<<[\w:.-]+(?:,[^<>\n]+)?>>|\b(?:xref|link):\S+\["
)
_STARS = re.compile(r"^\*+ \S")
_HEADING = re.compile(r"^#{1,6} \S")
_MARKDOWN = re.compile(r"^[ \t]*(?:```|~~~)|!?\[[^\[\]\n]+\]\([^()\s]+|\*\*\w[^*\n]*\*\*|^\[[^\]\n]+\]: \S")
_PYTHON = re.compile(r"^[ \t]*(?:def|class) \w+.*:|^[ \t]*(?:import \w(?!.*;$)|from [\w.]+ import\b)|^[ \t]*async def ")
_PYTHON_TOP = re.compile(
    r"^(?:def |class |async |import |from \S+ import|@\w|if |for |while |with |try:|except|else|elif|finally"
    r"|del |assert |raise "
    r"|print\(|#|[\w.]+(?:\[.*\])?\s*(?::[^=]+)?[-+*/|&]?=|[\w.]+\(|r?\"\"\"|r?'''|[)\]}])"
)
_DOCSTRING = re.compile(r"\"\"\"[\s\S]*?(?:\"\"\"|\Z)|'''[\s\S]*?(?:'''|\Z)")
_C = re.compile(r"(?:[;{}]|\*/|,|\)|\\)[ \t]*(?://.*)?$|^[ \t]*(?:#[ \t]*\w+|//|/?\*)")
_C_END = re.compile(r"[;{}][ \t]*(?://.*|/\*.*)?$")
_COMMENT = re.compile(r"/\*[\s\S]*?(?:\*/|\Z)")
_C_SURE = re.compile(r"[{}][ \t]*;?$|^[ \t]*#[ \t]*(?:include|define|if|ifdef|ifndef|endif)\b|^[ \t]*//|^[ \t]*/\*")
_DASH = re.compile(r"^[ \t]*--(?: |-|$|\[\[)")
_DASH_CODE = re.compile(
    r"^[ \t]*(?:select|insert|create|alter|drop|update|from|where|begin|end|local|function|return|if|then"
    r"|module|import|let"
    r"|data|type|procedure|package)\b|::|[;=]|->",
    re.I,
)
_HASH = re.compile(r"^[ \t]*#(?:[ !#]|$)")
_HASH_CODE = re.compile(
    r"^[ \t]*(?:(?:- )?[\w.\"'-]+[ \t]*[:=]|(?:if|fi|then|done|do|esac|echo|export|function|local|sub|end|my"
    r"|use|require)\b"
    r"|\[[\w. \"-]+\]$|\w+\(\)|[\w./-]+ -)|\$[{(]?\w|<-|[;{})\\][ \t]*$"
)


def kind_of(texts: Sequence[str]) -> Kind:
    """The kind of a document, given as the texts of its chunks in order: the first that its lines are enough of."""
    lines = [line for text in texts for line in text.split("\n") if line.strip()]
    for kind, holds in _SIGNS.items():
        if lines and holds(lines):
            return kind
    return "prose"


def _share(pattern: re.Pattern[str], lines: Sequence[str]) -> tuple[int, float]:
    n = sum(pattern.search(line) is not None for line in lines)
    return n, n / max(1, len(lines))


def _sure(pattern: re.Pattern[str], least: int, share: float) -> Callable[[Sequence[str]], bool]:
    def holds(lines: Sequence[str]) -> bool:
        n, of_all = _share(pattern, lines)
        return n >= least and of_all >= share

    return holds


def _is_python(lines: Sequence[str]) -> bool:
    n, share = _share(_PYTHON, lines)
    top = [s for s in _DOCSTRING.sub("#", "\n".join(lines)).split("\n") if s.strip() and not s[0].isspace()]
    return n >= 2 and share >= 0.02 and len(top) > 0 and _share(_PYTHON_TOP, [line[:200] for line in top])[1] >= 0.6


def _is_rst(lines: Sequence[str]) -> bool:
    directives, roles = _share(_DIRECTIVE, lines)[0], _share(_ROLE, lines)[0]
    adorned = sum(_ADORNED.match(b) is not None and len(a) <= len(b.rstrip()) + 1 for a, b in pairwise(lines))
    return directives + roles >= 2 and (directives + roles + adorned) / len(lines) >= 0.02


def _is_org(lines: Sequence[str]) -> bool:
    n, share = _share(_ORG, lines)
    return n >= 3 and share >= 0.01 and _share(_STARS, lines)[0] >= 1


def _is_asciidoc(lines: Sequence[str]) -> bool:
    n, share = _share(_ASCIIDOC, lines)
    return n >= 3 and share >= 0.01 and _share(_TITLE, lines)[0] >= 2


def _is_table(lines: Sequence[str]) -> bool:
    """Whether nearly all records have as many cells as most have, by the rules of CSV (RFC 4180)."""
    for delimiter, fewest in ((",", 3), ("\t", 2), (";", 3)):
        try:
            cells = Counter(len(record) for record in csv.reader(lines, delimiter=delimiter))
        except csv.Error:  # a quotation mark that is never closed
            continue
        width, n = cells.most_common(1)[0]
        if width >= fewest and n >= 5 and n >= 0.8 * cells.total():
            return True
    return False


def _is_c(lines: Sequence[str]) -> bool:
    code = [line for line in _COMMENT.sub("/**/", "\n".join(lines)).split("\n") if line.strip()]
    sure, of_all = _share(_C_SURE, code)
    return sure >= 3 and of_all >= 0.05 and _share(_C, code)[1] >= 0.6 and _share(_C_END, code)[1] >= 0.1


def _is_markdown(lines: Sequence[str]) -> bool:
    headings = sum(_HEADING.match(a) is not None and not b.startswith("#") for a, b in pairwise([*lines, ""]))
    found = headings + _share(_MARKDOWN, lines)[0]
    return found >= 3 and found >= 0.02 * len(lines)


def _is_dash(lines: Sequence[str]) -> bool:
    code = [line for line in lines if not _DASH.match(line)]
    return len(lines) - len(code) >= 3 and _share(_DASH_CODE, code)[1] >= 0.5


def _is_hash(lines: Sequence[str]) -> bool:
    code = [line for line in lines if not _HASH.match(line)]
    return len(lines) - len(code) >= 3 and len(code) >= 3 and _share(_HASH_CODE, code)[1] >= 0.6


_SIGNS: dict[Kind, Callable[[Sequence[str]], bool]] = {
    "subtitles": _sure(_CUE, 3, 0.1),
    "table": _is_table,
    "openiti": _sure(_GOES_ON, 3, 0.2),
    "html": _sure(_TAG, 5, 0.2),
    "latex": _sure(_LATEX, 5, 0.03),
    "python": _is_python,
    "c": _is_c,
    "org": _is_org,
    "rst": _is_rst,
    "asciidoc": _is_asciidoc,
    "dash": _is_dash,
    "hash": _is_hash,
    "markdown": _is_markdown,
}
