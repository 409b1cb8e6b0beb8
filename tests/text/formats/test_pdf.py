"""PDFs that are made here, as the text that a person reads."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datagen.text.formats import paragraphs, pdf
from datagen.text.formats.extracted import Extracted, Limits, Unreadable
from datagen.text.formats.lines import Line, Page, whole
from tests.text import test_wrapped as wrapped
from tests.text.formats.making import lines
from tests.text.formats.making import pdf as made

LIMITS = Limits(1_000_000, lambda: None)
FULL = [
    "The harbour was built in the year that the old bridge fell, and it was paid for by the",
    "merchants of the town, who had waited for it through eleven winters and three kings.",
    "Nobody remembers now what it cost, because the books were lost when the archive was",
    "flooded.",
]
NEXT = ["A second paragraph tells of the lighthouse, which stands where the river meets the sea", "and is white."]


def read(tmp_path, raw: bytes) -> Extracted:
    (tmp_path / "a.pdf").write_bytes(raw)
    return pdf.extract(str(tmp_path / "a.pdf"), LIMITS)


def test_lines_are_joined_into_paragraphs(tmp_path):
    found = read(tmp_path, made([lines(FULL) + lines(NEXT, top=700 - 13 * 4 - 14)]))
    assert found.text == " ".join(FULL) + "\n\n" + " ".join(NEXT)


def test_an_indented_line_begins_a_paragraph(tmp_path):
    indented = [(90, 700 - 13 * 4, 11, NEXT[0]), *lines(NEXT[1:], top=700 - 13 * 5)]
    assert read(tmp_path, made([lines(FULL) + indented])).text == " ".join(FULL) + "\n\n" + " ".join(NEXT)


def test_a_paragraph_goes_on_over_the_page_and_pages_are_known(tmp_path):
    found = read(tmp_path, made([lines(FULL[:2]), lines(FULL[2:]), lines(NEXT)]))
    assert found.text == " ".join(FULL[:2]) + "\n\n" + " ".join(FULL[2:]) + "\n\n" + " ".join(NEXT)
    assert [number for number, _ in found.pages] == [1, 2, 3]
    assert [found.text[at : at + 6] for _, at in found.pages] == ["The ha", "Nobody", "A seco"]
    cut = [FULL[0], "merchants of the town, who had waited for it through eleven winters and three kings and"]
    assert "kings and Nobody" in read(tmp_path, made([lines(cut), lines(FULL[2:])])).text
    goes_on = read(tmp_path, made([lines(cut), lines(["their sons, who were many."])]))
    assert goes_on.text == " ".join(cut) + " their sons, who were many."
    assert goes_on.pages == [(1, 0), (2, goes_on.text.index("their sons"))]


@pytest.mark.parametrize(
    ("parts", "elsewhere", "whole"),
    [
        (("interna-", "tional"), "", "international"),
        (("well-", "known"), "It is a well-known thing.", "well-known"),
        (("work-", "flow"), "Such a workflow. We work. They flow.", "workflow"),
        (("Levenberg-", "Marquardt"), "", "Levenberg-Marquardt"),
        (("network-", "based"), "A network is based on this.", "network-based"),
    ],
)
def test_a_word_broken_at_a_lines_end_is_mended(tmp_path, parts, elsewhere, whole):
    text = [f"{FULL[0]} so that all of it is {parts[0]}", f"{parts[1]} by now, as the papers say it was before that."]
    found = read(tmp_path, made([lines([*text, *[elsewhere] * bool(elsewhere)])])).text
    assert f"all of it is {whole} by now" in found


def test_korean_words_that_a_lines_end_cuts_are_whole_again():
    text = wrapped.TEXT * 3
    rows = wrapped.wrapped(text, 30).split("\n")
    page = Page(tuple(Line(row, 72, 72 + 11 * len(row), 700 - 13 * i, 11) for i, row in enumerate(rows)), 800)
    found = paragraphs.of([page], [])[0]
    words, cut, whole = (Counter[str](t.split()) for t in (text, "\n".join(rows), found))
    assert (words - cut).total() > 8
    assert (words - whole).total() <= 2


def test_lam_and_alef_that_are_one_sign_stand_in_their_order(tmp_path):
    # "الصلاحية", from the left to the right as its signs stand on the page; % is lam with alef.
    spelled = dict(zip("abcdef%g", ["ا", "ل", "ص", "ح", "ي", "ة", "لا", "لأ"], strict=True))
    found = read(tmp_path, made([lines(["fed%cba cba fed%g"])], spelled=spelled)).text
    assert "الصلاحية" in found
    assert "لألاحية" in found
    assert "الص" in found.split()  # alef and lam by themselves: the article


def test_running_heads_and_page_numbers_are_left_out(tmp_path):
    pages = [
        lines([f"Annals of the harbour, part {n}"], top=765)
        + lines([f"{word} of all, the harbour was built.", *FULL[1:3], f"lost on day {n}."])
        + [(300, 30, 9, str(n + 8))]
        for n, word in enumerate(("First", "Second", "Third", "Fourth", "Fifth"), 1)
    ]
    found = read(tmp_path, made(pages))
    assert "Annals" not in found.text
    assert [line for line in found.text.splitlines() if line.strip().isdigit()] == []
    assert found.text.count("of all, the harbour was built") == 5
    assert all(f"lost on day {n}." in found.text for n in range(1, 6))


def test_a_line_that_stands_at_the_top_of_one_page_alone_stays(tmp_path):
    pages = [lines([f"{word} comes first here"], top=765) + lines(FULL) for word in ("One", "Two")]
    found = read(tmp_path, made(pages)).text
    assert "One comes first here" in found
    assert "Two comes first here" in found


def test_a_line_that_is_all_of_its_page_stays(tmp_path):
    pages = [[*lines([f"Invoice {n}"], top=765), (300, 30, 9, str(n))] for n in range(1, 6)]
    assert read(tmp_path, made(pages)).text == "\n\n".join(f"Invoice {n}" for n in range(1, 6))


def test_headings_by_the_outline_and_else_by_size(tmp_path):
    page = [(72, 730, 11, "2.1 The harbour"), *lines(FULL)]
    found = read(tmp_path, made([page], outline=[(0, "The harbour")], title="Annals"))
    assert found.headings == [(0, 1, "2.1 The harbour")]
    assert found.title == "Annals"
    assert found.text.startswith("2.1 The harbour\n\nThe harbour was built")
    page[0] = (72, 730, 18, "The harbour")
    assert read(tmp_path, made([page])).headings == [(0, 1, "The harbour")]


def test_a_raised_letter_and_a_wide_gap_break_no_line():
    parts = [Line("The sum of x", 72, 133, 700, 12), Line("2", 134, 138, 705, 7), Line("and of y", 140, 180, 700, 12)]
    row = [Line("Name", 72, 100, 650, 12), Line("Price", 300, 330, 650, 12), Line("Next", 72, 100, 637, 12)]
    page = whole(Page((*parts, *row), 792))
    assert [line.text for line in page.lines] == ["The sum of x 2 and of y", "Name", "Price", "Next"]
    assert (page.lines[0].x0, page.lines[0].x1, page.lines[0].y, page.lines[0].size) == (72, 180, 700, 12)


def test_fixed_width_lines_keep_their_ends_and_their_indentation(tmp_path):
    code = [(72, 700, 10, "def f(x):"), (96, 688, 10, "return x"), (72, 676, 10, "print(f(1))")]
    assert read(tmp_path, made([code], font="F2")).text == "def f(x):\n    return x\nprint(f(1))"


def test_ligatures_are_letters_and_items_keep_their_lines(tmp_path):
    items = ["Three things follow:", "• the first of them", "• the second", "• the third"]
    assert read(tmp_path, made([lines(items)])).text.endswith("• the first of them\n• the second\n• the third")
    assert "ﬁ".translate(pdf.LIGATURES) == "fi"


def test_a_pdf_that_cannot_be_read_says_why_and_what_helps(tmp_path):
    for raw, reason, helps in (
        (made([lines(FULL)], encrypted=True), "encrypted", "qpdf --decrypt"),
        (made([[], []], image=True), "scanned", "none of its 2 pages has text: if they are scans, ocrmypdf in.pdf"),
        (made([lines(FULL)])[:400], "damaged file", "try qpdf in.pdf out.pdf"),
        (b"%PDF-1.4 and no more", "damaged file", "pdfium cannot read the PDF"),
    ):
        with pytest.raises(Unreadable) as e:
            read(tmp_path, raw)
        assert (e.value.reason, helps in e.value.what) == (reason, True), e.value.what


def test_pages_without_text_among_others_are_counted(tmp_path):
    found = read(tmp_path, made([lines(FULL), [], lines(NEXT)], image=True))
    assert found.more == {"n_pages": 3, "pages_without_text": 1}
    assert [number for number, _ in found.pages] == [1, 2, 3]
    assert found.pages[1][1] == found.pages[2][1]


@pytest.mark.parametrize(
    ("parts", "heading"),
    [
        (["Of the naviga-", "tion of rivers"], "Of the navigation of rivers"),
        (["Of ships and their well-", "Known owners"], "Of ships and their well-Known owners"),
        (["Of rivers", "and the sea"], "Of rivers and the sea"),
    ],
)
def test_a_heading_of_several_lines_is_noted_as_it_stands_in_the_text(tmp_path, parts, heading):
    page = [*lines(parts, top=760, size=18, step=20), *lines(FULL)]
    found = read(tmp_path, made([page]))
    assert found.headings == [(0, 1, heading)]
    assert found.text.startswith(heading + "\n\n")


WORDS = ["A Heading", "word", "some hyphen-", "Page 3", "e-", "-", "1. Item", "• x", "12", "The end:", "Of its own"]
PLACED = st.tuples(
    st.sampled_from([72, 90, 300]), st.integers(20, 770), st.sampled_from([10, 10, 14, 18]), st.sampled_from(WORDS)
)
OUTLINE = st.lists(st.tuples(st.integers(0, 1), st.sampled_from(WORDS)), max_size=3)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(PLACED, max_size=9), min_size=2, max_size=3), OUTLINE, st.sampled_from(["F1", "F2"]))
def test_pages_and_headings_are_where_they_are_said_to_be(tmp_path_factory, pages, outline, font):
    path = tmp_path_factory.mktemp("any") / "a.pdf"
    path.write_bytes(made(pages, outline=outline, font=font))
    try:
        found = pdf.extract(str(path), LIMITS)
    except Unreadable:
        return
    _check_places(found)
    assert "\ufffe" not in found.text


def _check_places(found: Extracted) -> None:
    assert [number for number, _ in found.pages] == [*range(1, len(found.pages) + 1)]
    places = [at for _, at in found.pages]
    assert places == sorted(places)
    assert places[-1] <= len(found.text)
    for at, level, heading in found.headings:
        assert found.text.startswith(heading, at)
        assert heading == heading.strip() != ""
        assert "\n" not in heading
        assert level > 0


def test_text_beyond_the_limit_ends_the_reading(tmp_path):
    (tmp_path / "a.pdf").write_bytes(made([lines(FULL)] * 20))
    with pytest.raises(Unreadable, match=r"input\.max_document_mb"):
        pdf.extract(str(tmp_path / "a.pdf"), Limits(2000, lambda: None))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 1500), st.integers(0, 60))
def test_any_bytes_are_a_document_or_a_reason(tmp_path_factory, noise, at, length):
    raw = made([lines(FULL), lines(NEXT)], outline=[(0, "The harbour")])
    path = tmp_path_factory.mktemp("any") / "a.pdf"
    path.write_bytes(raw[:at] + noise + raw[at + length :])
    try:
        found = pdf.extract(str(path), LIMITS)
    except Unreadable:
        return
    found.text.encode()
    _check_places(found)
    assert pdf.extract(str(path), LIMITS) == found
