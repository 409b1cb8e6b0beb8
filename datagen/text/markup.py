"""What is set aside of a text to see the prose in it, as patterns for each kind.

A rule's match is left out but for its groups, which are in order and do not overlap; its joint stands in the place of
what is left out. Rules are applied one after another, each to what the ones before it left. Of code, only what the
groups of `CODE` match is kept, whose other alternatives are the strings that a comment's mark may stand in.

Where a construct is not closed, the pattern takes the rest of the line, or of the text, and no stretch of any length is
tried from each of its places: so a text is read in linear time. What is repeated without going back stands in atomic
groups, `(?>…)`: possessive quantifiers behind a group match wrongly in the first releases of Python 3.11.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import NamedTuple

from datagen.text import formulas
from datagen.text.scripts import HAN, KANA
from datagen.text.syntax import CUE, Kind

PARAGRAPH = "\n\n"


class Rule(NamedTuple):
    """What is set aside, and what stands for it: the joint, or what is shown of a match (None: it stays as it is)."""

    pattern: re.Pattern[str]
    joint: str
    shown: Callable[[re.Match[str]], str | None] | None = None


def _rule(pattern: str, joint: str = "", flags: int = re.M) -> Rule:
    return Rule(re.compile(pattern, flags), joint)


_STRING = r"\"(?>(?:[^\"\\\n]|\\.)*)\"?|'(?>(?:[^'\\\n]|\\.)*)'?"
_TRIPLE = r"\"\"\"(?>(?:[^\"\\]|\\[\s\S]|\"(?!\"\"))*)(?:\"\"\"|\Z)|'''(?>(?:[^'\\]|\\[\s\S]|'(?!''))*)(?:'''|\Z)"
_LINES = r"(?>(?:^[ \t]*{0}[^\n]*(?:\n|\Z))+)"  # a run of lines that are comments
CODE: dict[Kind, re.Pattern[str]] = {
    "python": re.compile(
        rf"({_LINES.format('#')})|(^[ \t]*[rRuU]?(?:{_TRIPLE}))|{_TRIPLE}|{_STRING}|#[^\n]*",
        re.M,
    ),
    "hash": re.compile(rf"({_LINES.format('#')})|{_STRING}|#[^\n]*", re.M),
    "c": re.compile(rf"({_LINES.format('//')})|(/\*[\s\S]*?(?:\*/|\Z))|{_STRING}|//[^\n]*", re.M),
    # Cells of some length. One that stands unquoted right behind another is left: a single mark would part the two.
    "table": re.compile(
        r"(?<![^,;\t\n])\"((?>(?:[^\"]|\"\")*))(?:\"|\Z)"
        r"|(?:\A|[,;\t\n])([^\",;\t\n](?>(?:[^,;\t\n]|[,;](?= )){14,}))(?:[,;\t\n]|\Z)"
    ),
    "dash": re.compile(
        rf"(--\[\[[\s\S]*?(?:\]\]|\Z)|\{{-[\s\S]*?(?:-\}}|\Z))|({_LINES.format('--')})|\"(?>(?:[^\"\\\n]|\\.)*)\"?"
        rf"|--[^\n]*",
        re.M,
    ),
}


def _emphasis(mark: str, char: str) -> Rule:
    """A mark on both sides of words, which may go on over some lines. What stands in code is no mark."""
    return _rule(
        rf"(?<![\w\\`{char}]){mark}(?=[^\s{char}])([^{char}\n]++(?:\n[^{char}\n]++){{0,9}})(?<=\S){mark}(?![\w`{char}])"
    )


_STARS = (_emphasis(r"\*\*", r"*"), _emphasis(r"\*", r"*"))
_LABELS = r"(?:ref|numref|doc|download|eq|cite\w*|ticket|issue|pr|pull|user|changeset)"  # whose target is no word
_INLINE_RST = (
    _rule(
        rf":(?!(?:\w+:)?{_LABELS}:`[^`<]*`)[A-Za-z][\w+:.-]{{0,30}}:`[~!.]?(?:_\w+\.(?=\w))?([^`<\n]*?(?:\n[^`<\n]+?)?)"
        r"(?:[ \n]*<[^`>]*>)?`"
    ),
    _rule(r"(?<![`\w])``([^`\n]+)``(?!`)"),
    _rule(r"(?<![`\w])`([^`<\n]+(?:\n[^`<\n]+)?)(?:[ \n]<[^`>\n]*>)?`__?(?!\w)"),
    _rule(r"(?<![`\w:])`(?!\w`\.)([^`<\n]+)`(?![`\w])"),  # of the default role
    _rule(r" ?\[(?:#?[\w-]*|\*)\]_(?!\w)"),
    *_STARS,
)
_DOCTEST = _rule(r"^[ \t]*>>> [^\n]*\n(?>(?:[ \t]*\S[^\n]*\n)*)", PARAGRAPH)
_EMPHASIS = (
    *_STARS,
    _emphasis("__", "_"),
    _emphasis("_", "_"),
    _rule(r"(?<!`)`(?!\w`\.)([^`\n]+)`(?!`)"),  # a letter alone, with a stop, would be an initial
)
_ARGUMENTS = r"(?:\[[^\[\]{}\n]*\])?"
_KEPT = (
    r"emph|text(?:bf|it|tt|sc|sf|rm|sl|normal|up)|underline|mbox|enquote|uppercase|lowercase|textquote|term"
    r"|defn?|define|Index"
)
_NOT_A_NOUN = (  # behind such a word a work that is cited is a part of the sentence: "as in [3]", "see [3]"
    r"(?i:(?<!\b[a-z]{2})(?<!\b(?:and|the|see|for|via|von|bei|und|aus|mit|par|les|des|con|por|del|dem|den))"
    r"(?<!\b(?:from|with|than|that|like|into|both|upon|over|dans|avec|nach|oder|para|como|chez))"
    r"(?<!\b(?:about|after|since|using|among|under|entre|selon|sobre)))"
)
_LATEX_BLOCKS = (
    r"verbatim|lstlisting|minted|equation|align|alignat|gather|multline|eqnarray|displaymath|math|tabular[xy]?"
    r"|longtable|table"
    r"|figure|tikzpicture|picture|array|thebibliography|filecontents|comment|algorithm(?:ic)?|prooftree|split"
    r"|cases|wrapfigure"
)
_LATEX_HEADINGS = (
    r"(?:part|chapter|(?:sub)*section|(?:sub)?paragraph|title|author|date|caption|addcontentsline|markboth)"
)
_LATEX_SEMANTIC = (  # commands of one word that many packages and documents define, and that show it
    r"pkg|package|cmd|cs|env|environment|code|file|filename|class|cls|opt|option|prog|program|software|hologo|proglang"
    r"|keyword|kw|acronym|person|name|strong|alert|key|menu|tool|lang|library|func|method|var|concept|foreign\w*"
)
_NESTED = r"\{[^{}\n]*(?>(?:\{[^{}\n]*\}[^{}\n]*)*)\}"


_FORMULA = r"(?<!\\)\$(?>(?:[^$\\\n]|\\[\s\S]|\n(?![ \t]*\n))+)\$|\\\((?>(?:[^\\\n]|\\[^()]|\n(?![ \t]*\n))*)\\\)"


def _in_unicode(found: re.Match[str]) -> str | None:
    """A formula or an accented letter; commands in formulas are no accents, whatever their names."""
    if not found[0].startswith(("$", "\\(")):
        return formulas.accented(found[0])
    before_a_stop = found.string[found.end() : found.end() + 1] == "."
    return formulas.plain_before_a_stop(found[0]) if before_a_stop else formulas.plain(found[0])


def _cited(found: re.Match[str]) -> str | None:
    """A cited work leaves its sentence, but behind the first word of one ("Recently [3] showed")."""
    before = found.string[max(0, found.start() - 60) : found.start()]
    return None if re.search(r"(?:\A|[.!?:;][ ~\n]+|\n[ \t]*\n[ \t]*)[^\W\d_]+\Z", before) else ""


_UNSPACED = f"[{KANA}{HAN}，。、！？：；]"
_LATIN = r"[A-Za-z0-9'’,.:;!?-]++"
_CUE_START, _CUE_END = r"(?:\A|(?<=\n\n))", r"[ \t]*(?:\n[ \t]*(?:\n|\Z)|\Z)"
_HTML_INLINE = (
    r"a|abbr|acronym|b|bdi|bdo|big|cite|code|data|del|dfn|em|font|i|ins|kbd|mark|q|s|samp|small|span|strong"
    r"|strike|sub|time|tt|u|var"
    r"|wbr"
)
_INDENTED = r"(?>(?:(?>(?:[ \t]*\n)*)(?P=indent)[ \t]{2,}\S[^\n]*(?:\n|\Z))*)"  # what hangs on a line
_RST = (
    _rule(
        r"^(?P<indent>[ \t]*)\.\. (?:code-block|code|sourcecode|highlight|math|image|figure|toctree|table|list-table"
        r"|csv-table|raw|include|literalinclude|productionlist|testcode|testoutput|doctest|ipython|plot|graphviz|only|index"
        r"|seealso|_[^\n]*)\b[^\n]*(?:\n|\Z)" + _INDENTED,
        PARAGRAPH,
    ),
    _rule(rf"^(?P<indent>[ \t]*)(?!\.\.[ \t])(\S[^\n]*:):[ \t]*(?:\n|\Z){_INDENTED}", PARAGRAPH),
    _rule(r"^[ \t]*\.\. (?:version\w+|deprecated)::[ \t]*[\w.+-]*(?:[ \t]*\n)?[ \t]*", PARAGRAPH),
    _rule(r"^[ \t]*\.\. [\w:+-]+::[^\n]*(?>(?:\n[ \t]+:[\w-]+:[^\n]*)*)|^[ \t]*\.\.(?:[ \t][^\n]*)?$", PARAGRAPH),
    _rule(r"^[ \t]*(?:\+[-=+]{3,}\+|\|[^\n]*\|)[ \t]*$|^[ \t]*={2,}(?:[ \t]+={2,})+[ \t]*$", PARAGRAPH),
    _rule(r"^[ \t]*(?::[A-Za-z][\w ,.*-]{0,40}:(?:[ \t]+|$)|#\.[ \t]+)", PARAGRAPH),  # the name of a field
)
MARKUP: dict[Kind, tuple[Rule, ...]] = {
    "python": (
        _rule(r"^[ \t]*#+[:!]?[ \t]?"),
        _rule(r"(?<!\w)[rRuU]?(?:\"\"\"|''')"),
        *_RST,
        _rule(
            r"^[ \t]*\*{0,2}[A-Za-z_]\w*(?:[ \t]\([^()\n]{1,60}\))?:[ \t]+(?=[A-Z])", PARAGRAPH
        ),  # a field, as Google has it
        _DOCTEST,
        *_INLINE_RST,
    ),
    "hash": (_rule(r"\A#![^\n]*", PARAGRAPH), _rule(r"^[ \t]*#+[ \t]?")),
    "c": (
        _rule(r"^[ \t]*//[/!]*+<?[ \t]?"),
        _rule(r"(?<!\*)\*++/|/\*[*!]*+<?[ \t]?"),
        _rule(r"^[ \t]*\*++(?:[ \t]|$)"),
        _rule(r"^[ \t]+(?=\S)"),
        _rule(
            r"<pre\b[\s\S]*?(?:</pre\s*>|\Z)|</?(?:p|br|[uod]l|li|d[td]|h\d|table|t[rhd]|blockquote)\b[^<>\n]*>",
            PARAGRAPH,
        ),
        _rule(r"^@(?:param[ \t]+\S+|throws[ \t]+\S+|exception[ \t]+\S+|[a-z]+)(?:[ \t]+|$)", PARAGRAPH),
        _rule(
            r"\{@link(?:plain)?\s+[^\s{}()]+(?:\([^{}()]*\))?\s+([^{}]+)\}|\{@\w+\s+#?([^{}]*)\}"
            r"|</?(?:code|em|strong|b|i|tt|a|sup|sub|kbd|var)\b[^<>\n]*>"
        ),
        Rule(re.compile(r"&(?:amp|lt|gt|quot);"), "", lambda found: html.unescape(found[0])),
    ),
    "dash": (_rule(r"--\[\[|\]\]|\{-++\|?|(?<!-)-++\}"), _rule(r"^[ \t]*--+[ \t]?[|^]?[ \t]?")),
    "subtitles": (
        _rule(r"\A\ufeff?WEBVTT[^\n]*(?>(?:\n[^\n]+)*)"),
        _rule(r"^(?:NOTE|STYLE|REGION)\b[^\n]*(?>(?:\n[^\n]+)*)"),
        _rule(
            rf"(?:(?<=\n\n)|(?<=\n\r\n)|\A)[^\n]{{1,80}}\n[ \t]*{CUE}[^\n]*\n?"
            rf"|^(?:\d{{1,6}}\s?\n)?[ \t]*{CUE}[^\n]*\n?"
        ),
        _rule(  # a translation below
            rf"{_CUE_START}((?>(?:(?!{_UNSPACED})[^\n])*){_UNSPACED}[^\n]*+)\n"
            rf"(?:{_LATIN} ){{2,}}[ -~’“”…]*(?={_CUE_END})"
        ),
        _rule(r"\[[^\[\]\n]{1,40}\][ \t]?"),  # who speaks, what is heard
        _rule(r"^[ \t]*(?:[-–—][ \t]*)?(?:[(（][^()（）\n]{1,40}[)）][ \t]*)+$"),
        _rule(rf"(?<={_UNSPACED})[ \t]*\n(?>(?:[ \t\r]*\n)*)(?={_UNSPACED})"),
        _rule(r"\n(?>(?:[ \t\r]*\n)*)(?![ \t\r\n]*[-–—])", " "),
        _rule(r"</?(?:[ibucv]|font|ruby|rt|lang)\b[^<>\n]*>|\{\\[^{}\n]*\}|<(?:\d\d:)?\d\d:\d\d\.\d{3}>"),
    ),
    "latex": (
        _rule(r"\\verb\*?(?P<mark>[^\w\s*])([^\\\n{}$%~]*?)(?P=mark)"),
        _rule(r"\\verb\*?(?P<mark>[^\w\s*])[^\n]*?(?:(?P=mark)|$)", PARAGRAPH),
        _rule(
            r"\A(?>(?:[ \t]*+(?:%[^\n]*)?\n)*)[ \t]*\\documentclass[\s\S]*?(?:^[ \t]*\\begin\{document\}|\Z)"
            r"|\\end\{document\}",
            PARAGRAPH,
        ),
        _rule(
            rf"\\begin\{{(?P<name>{_LATEX_BLOCKS})(?P<star>\*?)\}}[\s\S]*?(?:\\end\{{(?P=name)(?P=star)\}}"
            rf"|\Z)",
            PARAGRAPH,
        ),
        _rule(r"(?<!\\)\$\$[^$]*(?:\$\$|\Z)|\\\[[\s\S]*?(?:\\\]|\Z)", PARAGRAPH),
        _rule(r"(?<!\\)%[^\n]*(?:\n[ \t]*)?"),
        _rule(rf"\\(?:s|sym)?(?:index|label)(?:def|see|seealso|foot|name)?\*?{_ARGUMENTS}(?>(?:{_NESTED})+)"),
        Rule(re.compile(rf"{_FORMULA}|{formulas.ACCENTED.pattern}"), "", _in_unicode),
        _rule(
            rf"^[ \t]*\\{_LATEX_HEADINGS}\*?{_ARGUMENTS}\{{[^\n]*|\\(?:begin"
            rf"|end)\{{\w+\*?\}}{_ARGUMENTS}",
            PARAGRAPH,
        ),
        _rule(
            rf"\\item{_ARGUMENTS}|\\(?:par|bigskip|medskip|smallskip|newpage|clearpage|noindent|centering"
            rf"|maketitle)\b\s*",
            PARAGRAPH,
        ),
        Rule(
            re.compile(
                rf"{_NOT_A_NOUN}(?<![ ~\n])[ ~\n]?"
                rf"\\(?:[Cc]ite[pn]?|(?:paren|auto|foot|super)cite)\*?{_ARGUMENTS}{_ARGUMENTS}\{{[^{{}}\n]*\}}"
            ),
            "",
            _cited,
        ),
        _rule(
            r"\\(?:vspace|hspace|nocite)\*?\{[^{}\n]*\}"
            r"| ?\([^(){}\\\n]{0,30}\\(?:[cC]|auto|eq|page|name|v)?ref\*?\{[^{}\n]*\}\)"
        ),
        *(
            _rule(
                rf"\\(?:{_KEPT})\{{([^{{}}\\$]*)\}}|\{{\\(?:em|it|bf|tt|sc|sf|rm|sl)\b[ \t]*([^{{}}\\$]*?)(?:\\/)?\}}"
            ),
        )
        * 2,
        _rule(r"\\((?:Xe|pdf|Lua|Bib)?(?:La)?TeX)(?![A-Za-z])(?:\{\})?"),
        _rule(r"\\l?dots(?![A-Za-z])(?:\{\})?", "…"),
        _rule(r" ?\\footnote\{[^{}\\]*\}"),
        _rule(r"(?<![\w\\}\]*^])\{([^{}\\\n]*)\}"),
        _rule(rf"\\(?:{_LATEX_SEMANTIC})\{{([\w .+-]+)\}}(?!\{{)"),
        _rule(r"(?<![\\-])---(?!-)", "—"),
        _rule(r"(?<![\\-])--(?!-)", "–"),
        _rule(r"(?<![\\`])``(?!`)", "“"),
        _rule(r"(?<![\\'])''(?!')", "”"),
        _rule(r"(?<![\\`\w])`(?=\w)", "‘"),
        _rule(r"\\([%&_#])|\\[/@-]"),
        _rule(r"(?<!\\)~|\\[ ,]|\\\\(?:\[\w+\])?", " "),
    ),
    "rst": (
        *_RST,
        _DOCTEST,
        _rule(r"`\\(<[^`<>\n]+>)`__?(?!\w)"),
        *_INLINE_RST,
        _rule(r"(?<![\w`\\])([A-Za-z0-9](?:[\w.-]{0,60}?[A-Za-z0-9])?)__?(?![\w`'\"])"),  # a reference of one word
    ),
    "openiti": (  # Romanov, "OpenITI mARkdown": https://maximromanov.github.io/mARkdown
        _rule(r"^(?:#{6}OpenITI#|#META#|###|#\$#)[^\n]*|^[^\n]*%~%[^\n]*|^# \[[\d.]+\][ \t]*$", PARAGRAPH),
        _rule(r"^# ", PARAGRAPH),
        _rule(r"^~~|(?:(?<![ \t])[ \t]++)?(?:\bPageV\d+P\d+|\bms\d+\b|@[A-Z]{3}\w*)"),
    ),
    "asciidoc": (
        _rule(
            r"^\[verse[^\n]*\][ \t]*\n(?P<verse>_{4,})[ \t]*$[\s\S]*?(?:^(?P=verse)[ \t]*$|\Z)"
            r"|^(?P<block>/{4,}|-{4,}|\.{4,}|\+{4,}|[|,:!]={3,}|```\w*)[ \t]*$[\s\S]*?(?:^(?P=block)[ \t]*$|\Z)",
            PARAGRAPH,
        ),
        _rule(
            r"^(?:={1,6} |:!?[\w-]+!?:(?: |$)|\[[^\[\]\n]*\][ \t]*$|\[\[[^\n]*\]\][ \t]*$|\.[^\s.]|//"
            r"|[a-z]+::\S*\[)[^\n]*"
            r"|^(?:={4,}|\*{4,}|_{4,}|-{2,}|\+|<{3,}|'{3,})[ \t]*$|^[ \t]*(?:\*{2,5}|\.{1,5})[ \t]+"
            r"|^[^\s:][^:\n]{0,60}:{2,4}(?:[ \t]+|$)|^(?:NOTE|TIP|IMPORTANT|WARNING|CAUTION):[ \t]+",
            PARAGRAPH,
        ),
        _rule(
            r" ?\([^()<\n]{0,30}<<[^<>\n]*>>\)|\[\[[^\[\]\n]*\]\]|\(\(\([^()]{0,200}\)\)\)"
            r"| ?(?:footnote|footnoteref|indexterm|image|icon|anchor):[^\s\[]*\[[^\[\]]{0,400}\]| \+$"
        ),
        _rule(r"<<[\w:.-]+,[ \n]?([^<>]{1,80})>>|\(\(([^()\n]+)\)\)"),
        _rule(r"<<[^<>\n]{1,80}>>|\b(?:stem|latexmath|asciimath|pass):\w*\[[^\]\n]*\]", PARAGRAPH),
        _rule(
            r"(?:\b(?:xref|link|mailto):[^\s\[\]]{1,400}|\bhttps?://[^\s\[\]]{1,400})\[([^\[\]]{1,120}?)(?:,[^\[\]]*)?\^?\]"
        ),
        _rule(  # another macro: kbd:[F1], csr:mip[], csr:mip[ssip]
            r"\b[a-z]{2,12}:{1,2}(?:([\w.-]+\[[^\[\]\n]+\])|([\w.-]+)\[\]|\[([^\[\]\n]+)\])"
        ),
        _rule(r"\[[.#%][^\[\]\n]*\]##?([^#]{1,600}?)##?(?!\w)"),
        _rule(r"(?<!`)``([^`\n]+)``(?!`)"),
        _rule(r"(\")`([^`\"\n]+)`(\")|(')`([^`'\n]+)`(')|`\+([^`\n]+)\+`"),
        _rule(
            r"__([^\s_](?:[^_\n]*[^\s_])?)__|(?<![*\w])\*\*([^\s*](?:[^*\n]*[^\s*])?)\*\*|(?<![\w+])\+([^\s+][^+\n]*)\+(?![\w+])"
        ),
        *_EMPHASIS,
        _rule(r"\\(?=[`*_#+{\[<~^])"),
    ),
    "table": (
        _rule(r"(\")\""),
        _rule(r" ?\(\[[^\[\]\n]*\]\([^()\n]*\)(?>(?:, ?\[[^\[\]\n]*\]\([^()\n]*\))*)\)"),
        _rule(r"\[([^\[\]\n]+)\]\([^()\s]*\)|</?(?:b|i|em|strong|code|p|span|a)\b[^<>\n]*>|(&)amp;"),
    ),
    "org": (
        _rule(
            r"^[ \t]*#\+begin_(?:src|example|comment|export|latex|html)\b[\s\S]*?(?:^[ \t]*#\+end_\w+[^\n]*"
            r"|\Z)",
            PARAGRAPH,
            re.M | re.I,
        ),
        _rule(
            r"^[ \t]*:[A-Z_]+:[ \t]*\n(?:[ \t]*:[^\n]*\n){0,40}?[ \t]*:END:[ \t]*$|^[ \t]*(?:#\+|# )[^\n]*"
            r"|^[ \t]*\|[^\n]*|^[ \t]*: [^\n]*",
            PARAGRAPH,
        ),
        _rule(r"^\*+ [^\n]*", PARAGRAPH),
        _rule(r"\{\{\{\w+\(([^(){}\n]*(?:\n[^(){}\n]+)?)\)\}\}\}"),  # a macro, which shows its argument
        _rule(
            r"[ \n]?\[fn:[\w-]*(?::(?>(?:[^\[\]\n]|\n(?![ \t]*\n)|\[[^\[\]\n]*\])*))?\]"
            r"|<{2,3}[^<>\n]{1,60}>{2,3}[ \t]?|\\\\$"
        ),
        _rule(r"^[ \t]*(?:[-+]|\d{1,3}[.)])[ \t]+[^\n]{0,80}? ::(?:[ \t]+|$)", PARAGRAPH),
        _rule(r"\[\[[^\[\]\n]+\]\[([^\[\]\n]+(?:\n[^\[\]\n]+)?)\]\]|\[\[\*?([^\[\]\n:]+(?:\n[^\[\]\n:]+)?)\]\]"),
        *(
            _rule(rf"(?<![\w{c}]){c}(?=[^\s{c}])([^{c}\n]+(?:\n[^{c}\n]+)?)(?<=\S){c}(?![\w{c}])")
            for c in ("\\*", "/", "=", "~")
        ),
        _rule(r"(?<![\\-])---(?!-)", "—"),
        _rule(r"(?<=[\w.,;)])--(?=[\w(])", "–"),
        _rule(r"\\nbsp(?:\{\})?", " "),
    ),
    "html": (
        _rule(
            r"<!--[\s\S]*?(?:-->|\Z)|<(?:script|style|pre|head|nav|svg)\b[^>]*>[\s\S]*?(?:</(?:script"
            r"|style|pre|head|nav|svg)\s*>|\Z)|<!DOCTYPE[^>]*>|<\?[^>]*>",
            PARAGRAPH,
            re.I,
        ),
        _rule(rf"</?(?:{_HTML_INLINE})\b[^<>]*>", "", re.I),
        _rule(r"</?[a-zA-Z][\w:-]*[^<>]*>", PARAGRAPH),
        _rule(r"&nbsp;|&#160;|&thinsp;|&#8239;", " "),
        _rule(r"(&)amp;|&shy;"),
    ),
    "markdown": (
        _rule(
            r"\A---[ \t]*\n[\s\S]*?\n---[ \t]*$|^[ \t]*(?:```|~~~)[^\n]*\n[\s\S]*?(?:^[ \t]*(?:```"
            r"|~~~)[ \t]*$|\Z)|<!--[\s\S]*?(?:-->|\Z)",
            PARAGRAPH,
        ),
        _rule(r"^#{1,6} [^\n]*|^[ \t]*\|[^\n]*\|[ \t]*$|^[ \t]*\[[^\]\n]+\]: \S[^\n]*", PARAGRAPH),
        _rule(r"^[ \t]*>[ \t]?"),
        _rule(r"!\[[^\[\]\n]*\](?:\([^()\n]*\)|\[[^\[\]\n]*\])"),
        _rule(
            r"\[([^\[\]\n]+(?:\n[^\[\]\n]+)?)\](?:\([^()\n]*(?:\([^()\n]*\)[^()\n]*)?\)|\[[^\[\]\n]*\])"
            r"| ?\[\^[^\[\]\n]+\]"
        ),
        _rule(r" ?\[(?>(?:(?!\bpp?\. ?\d)[^\[\]]){0,200})pp?\. ?\d[^\[\]]{0,80}\]"),  # where it is quoted from
        # A link by its name.
        _rule(r"(?<![\w`\])!\\])\[(?=[^\W\d_][^\]]|`)([^\[\]\n]+(?:\n[^\[\]\n]+)?)\](?![\[(:\w])"),
        _rule(r"</?(?:a|b|i|em|strong|code|kbd|sub|sup|span|small|u)\b[^<>\n]*>"),
        *_EMPHASIS,
        _rule(r"\\([\\`*_{}\[\]()#+.!~-])"),
    ),
}
