import re
import time

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from datagen.tasks.cloze.sentences import prose_sentences
from datagen.text.prose_view import View, view, views
from datagen.text.splitter import split
from datagen.text.syntax import KINDS
from datagen.text.tokenizers import load
from tests.text.specimens import SPECIMENS, STORY

# What the patterns look for, in any order, closed or not.
MARKS = [
    *(
        "#",
        "# ",
        "//",
        "/*",
        "*/",
        " * ",
        "--",
        "--[[",
        "]]",
        "{-",
        "-}",
        '"""',
        "'''",
        '"',
        "'",
        "\\",
        "\n",
        "\n\n",
        " ",
        "    ",
    ),
    *(
        "```",
        "`",
        "``",
        "*",
        "**",
        "_",
        "__",
        "[a](b)",
        "[",
        "]",
        "(",
        ")",
        "![",
        "](",
        "> ",
        "| a |",
        "<!--",
        "-->",
        "<p>",
    ),
    *(
        "</p>",
        "<script>",
        "</script>",
        "<b",
        ">",
        "&nbsp;",
        "&amp;",
        ":ref:`",
        "`_",
        ".. note::",
        "::",
        ">>> a",
        "[1]_",
        "|",
    ),
    *(
        "\\emph{",
        "}",
        "{\\em ",
        "\\cite{a}",
        "\\begin{verbatim}",
        "\\end{verbatim}",
        "\\item",
        "$",
        "$$",
        "\\[",
        "%",
        "~",
    ),
    *(
        "\\documentclass{a}",
        "\\begin{document}",
        "\\end{document}",
        "\\\\",
        "#+begin_src",
        "#+end_src",
        ":END:",
        "[[a][b]]",
    ),
    *(
        "----",
        "====",
        "[NOTE]",
        "<<a>>",
        "<<a,b>>",
        "xref:a[",
        "(((",
        "|===",
        "a::",
        "#",
        ",",
        ";",
        "\t",
        "$",
        "\\(",
        "\\pi",
    ),
    *("* a", "1", "00:00:01,000 --> 00:00:02,000", "WEBVTT", "{\\an8}", "<i>", "word", "Another", "漢字", "é", "\r\n"),
]
texts_of_marks = st.lists(st.sampled_from(MARKS), max_size=60).map("".join)
kinds = st.sampled_from(KINDS)


# What may stand for more than it is; of TeX's formulas and accents, any letter or sign (see test_formulas.py).
STANDS_FOR_MORE = ' \n“”‘–—…<>"'
SPELLED = re.compile(r"\$|\\\(|\\[^\s{]")


def check(text: str, seen: View, kind: str = "prose") -> None:
    """Places rise, and each character is the one that stands there, or one that stands for more: mostly white space."""
    assert seen.offsets.dtype == np.int64
    assert len(seen.text) == len(seen.offsets)
    assert (np.diff(seen.offsets) > 0).all()
    assert not len(seen.offsets) or 0 <= seen.offsets[0] <= seen.offsets[-1] < len(text)
    if kind != "latex" or not SPELLED.search(text):
        stands = zip(seen.text, seen.offsets.tolist(), strict=True)
        assert all(c == text[at] or c in STANDS_FOR_MORE for c, at in stands)


def told(seen: View) -> str:
    return " ".join(seen.text.split())


@pytest.mark.parametrize("kind", SPECIMENS)
def test_a_sentence_is_seen_without_what_stands_in_it_and_is_found_verbatim(kind):
    text = SPECIMENS[kind]
    seen = view(text, kind)
    check(text, seen, kind)
    found = prose_sentences(seen.text)
    assert [" ".join(s.text.split()) for s in found] == list(STORY)
    for sentence in found:
        start, end = seen.span(sentence.start, sentence.end)
        assert seen.shown(start, end) == sentence.text
        assert text[start] == sentence.text[0]
        assert text[end - 1] == sentence.text[-1]


@pytest.mark.parametrize("kind", SPECIMENS)
@pytest.mark.parametrize("max_tokens", [16, 24, 48, 512])
def test_chunks_are_seen_in_the_whole(kind, max_tokens):
    text = SPECIMENS[kind]
    chunks = [text[a:b] for a, b, _ in split(text, load("embedded"), max_tokens)]
    seen = views(chunks, kind)
    for chunk, of_chunk in zip(chunks, seen, strict=True):
        check(chunk, of_chunk)
    if max_tokens == 512:
        assert [told(view(text.strip(), kind))] == [told(v) for v in seen]


def test_another_speaker_begins_a_paragraph():
    cue = "00:01.000 --> 00:02.000\n"
    cues = f"{cue}So it is.\n\n2\n{cue}- It was\nso.\n- It\n\n{cue}is."
    assert [" ".join(line.split()) for line in view(cues, "subtitles").text.strip().split("\n- ")] == [
        "So it is.",
        "It was so.",
        "It is.",
    ]


def test_a_chunk_inside_of_a_comment_or_a_listing_is_known_for_what_it_is():
    comment = ["int a;\n/* It begins here.", "Here it goes on, without a mark.", "Here it ends. */\nint b = 1;"]
    assert [told(v) for v in views(comment, "c")] == [
        "It begins here.",
        "Here it goes on, without a mark.",
        "Here it ends.",
    ]
    listing = ["Text.\n\n```python\na = 1", "b = 2\n# no heading", "c = 3\n```\n\nMore text."]
    assert [told(v) for v in views(listing, "markdown")] == ["Text.", "", "More text."]


@pytest.mark.parametrize(
    ("kind", "text", "wanted"),
    [
        ("python", 'x = """sql -- # no"""\n# One.\ny = "a # b"  # two\n', "One."),
        ("python", "s = 'it''s'  # no\nr'''A docstring\nof lines.'''\n", "A docstring of lines."),
        ("c", 'f("//no", \'"\'); // no\n// Yes,\n/// yes.\n', "Yes, yes."),
        ("c", "/** Gives {@code null} <em>never</em>. **/\n", "Gives null never."),
        ("dash", "{- | Haskell has\n  others. -}\n--[[ And Lua. ]]\n", "| Haskell has others. And Lua."),
        (
            "latex",
            "50\\% of~it\\,\\emph{is \\textbf{bold}} and $n$ is \\ref{x}.",
            "50% of it is bold and n is \\ref{x}.",
        ),
        ("c", "/** <p>See {@link a.B#c(D) the E}, {@link\n * F} &lt;g&gt;.\n * @param h i\n */", "See the E, F <g>. i"),
        ("c", "/** A.\n * <pre>\n * b();\n * </pre>\n * C <a href='d'>e</a>.\n */\n", "A. C e."),
        ("rst", "A `\\<b>`_ of C_, d_e and RFC822_.\n\n:F g: h\n#. I\n", "A <b> of C, d_e and RFC822. h I"),
        ("rst", ".. versionadded:: 1.4 It is.\n\n.. deprecated:: 2.0\n   So is it.\n", "It is. So is it."),
        ("rst", "- a\n\n  .. code-block:: c\n\n     no\n\n  b::\n\n     no\n\n  c\n", "- a b: c"),
        ("python", '"""A.\n\n    .. code-block:: c\n\n        no\n\n    :param b: C.\n    """\n', "A. C."),
        (
            "python",
            '"""A.\n\n    Args:\n        b (c, optional): D\n            e.\n        f: G.\n    """\n',
            "A. Args: D e. G.",
        ),
        ("org", "A[fn:: Not [so] in\nthe end.] is---so--b {{{kbd(C-c\nd)}}} <<e>>f.\\\\\n", "A is—so–b C-c d f."),
        ("org", "- a (b) :: C.\n- d :: e\n- f\n\n[fn:1] G\\nbsp{}h[fn:1].\n", "C. e - f G h."),
        ("org", "As in [[*The other\nheading]].\n", "As in The other heading."),
        ("asciidoc", "a:b[c] is of ab:cd[ef] ab::[gh].", "a:b[c] is of cd[ef] gh."),
        ("asciidoc", "A __b__c _d_ *e* `f` ``g``s +h+ i_j_k x*y*z.", "A bc d e f gs h i_j_k x*y*z."),
        ("asciidoc", "A <<b_c,d>> and xref:e.adoc#f[g h] at https://i.org[j^], kl:m[].", "A d and g h at j, m."),
        ("asciidoc", "So it is. As <<b_c>> says it.", "So it is. As says it."),
        ("asciidoc", "a\n\n** b\n.. c\nd:: e\nNOTE: f\n:g: h\n[i]\n.J\nk::l[]\n// m\n=== n\n", "a b c e f"),
        ("asciidoc", "[verse]\n____\nA b,\nc d.\n____\n\n____\nE f.\n____\n....\ng\n....\n", "E f."),
        ("asciidoc", '[#a:b]#A csr:c[] b\nd# "`e`" ((f)) (((g)))h {i}', 'A c b d "e" f h {i}'),
        (
            "table",
            'a,b\n1,"One ""two"", three"\n2,so it goes with four;five,six\n',
            'One "two", three so it goes with four',
        ),
        ("table", "a rather long one;another rather long one;7\n", "a rather long one"),
        ("table", "so much for; this one\tand this\n", "so much for; this one"),
        ("latex", "A % comment\n  line \\cite{a}, {\\it so}\\footnote{No.}.\\\\ \\[ x \\] End.", "A line, so. End."),
        ("latex", "\\verb|\\begin{align}| is how \\verb+it+ begins.", "is how it begins."),
        ("rst", ":func:`~os.path` and :doc:`a b <c>`, `link <u>`__ [1]_, **b** ``c``.", "os.path and a b, link, b c."),
        ("latex", "``So'' it is---a \\LaTeX{} text \\dots, says {Knuth}.", "“So” it is—a LaTeX text …, says Knuth."),
        ("latex", "It is said~\\cite{a} by \\cite{b}, see~\\citep{c}.", "It is said by \\cite{b}, see \\citep{c}."),
        ("latex", "As \\citet{a} says of $x$ and $y$.", "As \\citet{a} says of x and $y$."),
        ("latex", "An $\\infty$-category of \\(n \\le 2^k\\) cells.", "An ∞-category of n ≤ 2ᵏ cells."),
        ("latex", "A $\\frac12$ and $a\n\n$b$ is $c$", "A $\\frac12$ and $a b is c"),
        ("latex", "`So,' it said\\indexdef{set!a {b}}{c}\\symlabel{d}--`so.'", "‘So,' it said–‘so.'"),
        ("latex", 'M\\"uller, Erd\\H{o}s, Stra\\ss{}e', "Müller, Erdős, Straße"),
        ("latex", "Here $\\O(n)$ and $\\v{c}$ by \\O{}re.", "Here $\\O(n)$ and $\\v{c}$ by Øre."),
        ("latex", "An \\indexed{net} of \\labels{x}\\label{a}.", "An \\indexed{net} of \\labels{x}."),
        (
            "latex",
            "In sum. Recently \\cite{a} said so, as did \\cite{b}.",
            "In sum. Recently \\cite{a} said so, as did.",
        ),
        ("latex", "\\L\\'od\\'{z} and \\^{\\i}", "Łódź and î"),
        ("latex", "The \\pkg{tikz} package (see \\cref{a_b}) has \\foo{it}.", "The tikz package has \\foo{it}."),
        ("rst", "See :ref:`a_label`, :ref:`b <c>`, :class:`.D` and `e f`.", "See :ref:`a_label`, b, D and e f."),
        ("c", "/** See {@link #open} and {@code a}. */\n", "See open and a."),
        ("rst", ".. image:: a.png\n   :alt: b\n\nText.\n\n.. a comment\n\nMore 2 * 3 * 4.", "Text. More 2 * 3 * 4."),
        (
            "markdown",
            "A **b** _c_ `d` [e][f] ![g](h) snake_case_name 2*3*4 \\* [^1].",
            "A b c d e snake_case_name 2*3*4 *.",
        ),
        (
            "markdown",
            "A `_` is _one\nof\nmany_, *so\nto\nsay*, `F`.",
            "A _ is one of many, so to say, `F`.",
        ),
        ("markdown", "So. [Miller, _Walls_,\np. 4] See [the\nWall], [x] or a[b].", "So. See the Wall, [x] or a[b]."),
        ("markdown", "---\ntitle: a\n---\n\nText <br> <b>bold</b>.\n\n[f]: http://a\n", "Text <br> bold."),
        ("html", "<script>no</script><p>A<b>B</b> &amp; C<!-- no --> a < b", "AB & C a < b"),
        (
            "rst",
            ":meth:`_sql.Select.join` and :class:`~_orm.Session` join; :ref:`_x`.\n",
            "Select.join and Session join; :ref:`_x`.",
        ),
        ("org", "A {{{kbd(S-TAB)}}} of [[b][c\nd]] {{{x(}}}.\n", "A S-TAB of c d {{{x(}}}."),
        ("org", "A [[b][c]] and [[d]] /e/ a/b/c ~f~.\n| t | u |\n: g\n", "A c and d e a/b/c f."),
        (
            "subtitles",
            "WEBVTT - a\n\nNOTE no\n\nid\n00:01.000 --> 00:02.000 line:0\nA <c.x>b</c>\n\n00:02.000 --> 00:03.000\nc.",
            "A b c.",
        ),
        ("subtitles", "0:00:01.000,0:00:02.000\nA b\n\n0:00:02.000,0:00:03.000\nc.\n", "A b c."),
        ("subtitles", "00:01.000 --> 00:02.000\nA (b) c\n(d e)\n\n00:02.000 --> 00:03.000\n- (f)\ng.", "A (b) c g."),
        ("subtitles", "00:01.000 --> 00:02.000\n[Anna] A\nB\n\n2\n00:02.000 --> 00:03.000\nc.", "A B c."),
        (
            "subtitles",
            "00:01.000 --> 00:02.000\n漢字\nof the Han people\n\n00:02.000 --> 00:03.000\n漢字 Keras。\n",
            "漢字漢字 Keras。",
        ),
        ("prose", "# As *it* is.", "# As *it* is."),
    ],
)
def test_what_is_set_aside(kind, text, wanted):
    seen = view(text, kind)
    check(text, seen, kind)
    assert told(seen) == wanted


@given(texts_of_marks | st.text(max_size=120), kinds)
@example("\\begin{align}\\end{align*}$$", "latex")
def test_any_text(text, kind):
    check(text, view(text, kind), kind)


@given(st.lists(texts_of_marks, max_size=6), kinds)
def test_any_chunks(texts, kind):
    found = views(texts, kind)
    assert len(found) == len(texts)
    for text, seen in zip(texts, found, strict=True):
        check(text, seen, kind)


@given(texts_of_marks, kinds, st.data())
def test_a_stretch_of_the_view_is_a_stretch_of_the_text(text, kind, data):
    seen = view(text, kind)
    if seen.text:
        start = data.draw(st.integers(0, len(seen.text) - 1))
        end = data.draw(st.integers(start + 1, len(seen.text)))
        assert seen.shown(*seen.span(start, end)) == seen.text[start:end]


@given(st.text(max_size=200))
def test_prose_is_seen_as_it_is(text):
    seen = view(text, "prose")
    assert seen.text == text
    assert seen.offsets.tolist() == list(range(len(text)))


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_texts_take_linear_time(kind):
    def seconds(unit: str, size: int) -> float:
        text = (unit * size)[:size]
        start = time.process_time()
        view(text, kind)
        return time.process_time() - start

    slow = [
        m
        for m in [
            *MARKS,
            "a:",
            "*a",
            "_a ",
            "[a",
            "<a ",
            "`a",
            ":a:",
            "\n ",
            "- ",
            "\\a{",
            "$a",
            "/a",
            "a\n\n",
            "A-",
            "a.",
            ":A:\n",
            "https://",
        ]
        if seconds(m, 64_000) > 20 * max(seconds(m, 8_000), 0.005)
    ]
    assert slow == []
