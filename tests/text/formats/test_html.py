"""Pages as the text that a person reads."""

import time
from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from datagen.text.formats import epub, html
from datagen.text.formats.extracted import Limits, Unreadable

LIMITS = Limits(1_000_000, lambda: None)


def text(page: str, encoding: str = "utf-8") -> str:
    return html.extract(page.encode(encoding), LIMITS).text


@pytest.mark.parametrize(
    ("page", "reads"),
    [
        ("<p>One\n  two</p><p>three<p>four", "One two\n\nthree\n\nfour"),
        ("<div>loose <b>bo</b>ld<div>inner</div>after</div>", "loose bold\n\ninner\n\nafter"),
        ("a<br>b<br><br>c", "a\nb\n\nc"),
        ("<ul><li>a<li>b<ul><li>c</ul></ul>d", "- a\n- b\n  - c\n\nd"),
        ("<ol start=3><li>a<li value=7>b</ol>", "3. a\n7. b"),
        ("<ul><li><p>a<p>b<li><p>c</ul>", "- a\n\n  b\n\n- c"),
        ("<dl><dt>T<dd>means<dt>U<dd>this</dl>", "T\n  means\n\nU\n  this"),
        ("<table><caption>C</caption><tr><th>A<th>B<tr><td>1<td>2</table>", "C\n\nA | B\n1 | 2"),
        ("<table><tr><td><h2>H</h2><p>x<td><p>y</table>", "H\n\nx\n\ny"),
        ("<pre>\n a\n   b\n\n c</pre>", " a\n   b\n\n c"),
        ('<p>I <span epub:type="pagebreak">219</span>played <a role="doc-pagebreak">220</a>on.', "I played on."),
        ("<nav>n</nav><script>s</script><style>t</style><p hidden>h<p style='display: none'>g<p>seen", "seen"),
        ("<form>who? <input value=x><button>Send</button></form>", "who?"),
        (
            "x<sup>2</sup>, H<sub>2</sub>O, as said<sup><a href='#n'>3</a></sup>; 1<sup>st</sup>",
            "x², H₂O, as said[3]; 1st",
        ),
        ("1660<a epub:type='noteref' href='n.xhtml#a'>47</a>", "1660[47]"),
        ("<ruby>漢<rp>(</rp><rt>kan</rt><rp>)</rp></ruby>字", "漢字"),
        ("<p>日本\n語の文。\n次の行", "日本語の文。次の行"),
        ("<p>한국어는\n띄어쓰기를", "한국어는 띄어쓰기를"),
        ("<q>so</q>&nbsp;it is&shy;n't", "“so” it isn't"),
        (
            "<math><semantics><mi>x</mi><annotation encoding='application/x-tex'>x_1</annotation></semantics></math>",
            "x_1",
        ),
        ("<p>مرحبا <b>بالعالم</b></p>", "مرحبا بالعالم"),
        ("", ""),
    ],
)
def test_a_page_reads_so(page, reads):
    assert text(page) == reads


def test_headings_and_the_title_are_known():
    found = html.extract(b"<title>My &amp; page</title><p>Before<h1>One\n <i>two</i></h1><p>x<h3>Three</h3>", LIMITS)
    assert found.text == "Before\n\nOne two\n\nx\n\nThree"
    assert found.metadata("html") == {
        "kind": "html",
        "extractor": html.version(),
        "title": "My & page",
        "headings": [(8, 1, "One two"), (20, 3, "Three")],
    }


@pytest.mark.parametrize(
    ("raw", "reads", "encoding"),
    [
        ("<meta charset=iso-8859-1><p>Zürich – 5 €".encode("cp1252"), "Zürich – 5 €", "cp1252"),
        ("<meta charset=latin1><p>Zürich".encode(), "Zürich", "utf-8"),
        ("<meta charset=iso-2022-jp><p>日本語".encode("iso-2022-jp"), "日本語", "iso2022_jp"),
        (
            "<meta http-equiv=Content-Type content='text/html; charset=Shift_JIS'><p>日本語".encode("cp932"),
            "日本語",
            "cp932",
        ),
        ("<?xml version='1.0' encoding='koi8-r'?><p>Привет".encode("koi8-r"), "Привет", "koi8-r"),
        ("<p>día".encode("utf-16"), "día", "utf-16"),
        ("<meta charset=nonsense><p>día".encode(), "día", "utf-8"),
        ("<meta charset=windows-1250><p>şi aţi".encode("cp1250"), "şi aţi", "cp1250"),
        ("<meta charset=windows-1250><p>şi aţi".encode(), "şi aţi", "utf-8"),
    ],
)
def test_the_encoding_is_what_the_page_says_unless_it_is_not(raw, reads, encoding):
    found = html.extract(raw, LIMITS)
    assert (found.text, found.encoding) == (reads, encoding)


@pytest.mark.parametrize("wrong", ["utf-8", "no-such-encoding", "ascii", "rot13", "utf-16"])
def test_an_encoding_that_does_not_decode_the_page_is_not_believed(wrong):
    text = f"<meta charset={wrong}><p>Der größte Teil der Häuser gehörte längst den Königen; Füchse schliefen davor."
    assert html.decoded(text.encode("cp1252"))[0] == text


def test_the_encoding_that_a_person_gives_overrules_what_the_page_says():
    page = "<meta charset=utf-8><p>Zażółć gęślą jaźń".encode("cp1250")
    found = html.extract(page, LIMITS, "cp1250")
    assert (found.text, found.encoding) == ("Zażółć gęślą jaźń", "cp1250")
    assert html.extract("<meta charset=latin1><p>ż".encode(), LIMITS, "iso8859-2").text == "Ĺź"
    with pytest.raises(
        Unreadable, match=r"line 1, byte 0 of the file \(0xff\) is not utf-8, which input\.encoding says"
    ):
        html.extract(b"\xff", LIMITS, "utf-8")


def test_too_large_a_page_is_not_read():
    with pytest.raises(Unreadable, match=r"input\.max_document_mb"):
        html.extract(b"x" * 2_000_000, LIMITS)


TAGS = [
    "p",
    "div",
    "ul",
    "li",
    "table",
    "tr",
    "td",
    "caption",
    "pre",
    "h2",
    "dl",
    "dt",
    "dd",
    "sup",
    "q",
    "nav",
    "br",
    "x",
]
PIECES = st.one_of(
    st.sampled_from(
        [f"<{t}>" for t in TAGS] + [f"</{t}>" for t in TAGS] + ["<tr hidden>", "<![CDATA[", "<!--", "<p/>"]
    ),
    st.text(max_size=8),
)


@settings(max_examples=300, deadline=None)
@example("<pre><h2>\x0c0")
@example("Â\x80" * 4 + "0")  # which may be garbled, by its looks
@example("<pre><h2> one\n two</h2>")
@given(st.lists(PIECES, max_size=40).map("".join))
def test_any_tags_in_any_order_are_text(page):
    found = html.extract(page.encode("utf-8", "replace"), LIMITS, "utf-8")
    found.text.encode()
    assert "\n\n\n\n" not in found.text or "pre" in page
    assert all(found.text.startswith(heading, at) for at, _, heading in found.headings)
    blocks, _ = html.blocks_of(epub.as_html(page), LIMITS)
    assert all(block.text.strip() for block in blocks)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_text_or_a_reason(raw):
    with suppress(Unreadable):
        html.extract(raw, LIMITS).text.encode()


@pytest.mark.parametrize(
    "unit",
    [
        "<table><tr><td>x<td>y",
        "<sup>x",
        "<sup><sub>",
        "<pre> \t",
        "<![CDATA[",
        "<!--x-->",
        "<a b=' ",
        "<a / ",
        "<li>x",
        "<br>",
    ],
)
def test_hostile_pages_take_linear_time(unit):
    def seconds(size: int) -> float:
        start = time.process_time()
        page = epub.as_html(unit * (size // len(unit)))
        html.extract(page.encode(), LIMITS)
        return time.process_time() - start

    assert min(seconds(80_000) for _ in range(3)) < 30 * max(seconds(10_000), 0.01)


def test_a_long_run_of_blanks_in_a_line_that_is_kept_takes_no_time():
    start = time.process_time()
    assert text("<pre>a" + " " * 200_000 + "b \t\n c") == "a" + " " * 200_000 + "b\n c"
    assert time.process_time() - start < 5


@pytest.mark.parametrize("depth", [1, 5, 19, 20, 21, 22, 100])
def test_tables_within_tables_are_parted_into_blocks_however_deep(depth):
    page = "".join(f"<table><tr><td>a{n}<td>" for n in range(depth)) + "in" + "</table>b" * depth
    found = text(page).split()
    assert [word for word in found if word != "|"] == [*(f"a{n}" for n in range(depth)), "in", *"b" * depth]
    assert found.count("|") == (depth <= 20)  # one that is deeper only parts blocks


def test_a_deep_page_takes_no_stack():
    deep = "<div>" * 3000 + "x" + "</div>" * 3000 + "<ul><li>" * 2000 + "y"
    assert [line.strip() for line in text(deep).split("\n")] == ["x", "- y"]
    assert len(text(deep)) < 200  # an item is not indented for ever
