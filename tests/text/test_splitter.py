import re
import unicodedata
from itertools import pairwise
from pathlib import Path

import pytest
import regex
from hypothesis import example, given, settings
from hypothesis import strategies as st
from langchain_text_splitters import RecursiveCharacterTextSplitter

from datagen.text.punctuation import BRACKETS, CLAUSES, COMMAS, STOPS, WORD_SPACES
from datagen.text.splitter import SEPARATORS, Span, split
from datagen.text.tokenizers import Tokenizer, load
from tests.text.families import FAMILIES, family

BOOKS = Path(__file__).parents[3] / "shared" / "data" / "books"
ORDINARY = [
    "word",
    " and",
    " the",
    "Smith",
    " 12",
    "é",
    "漢字",
    "かな",
    "한글",
    " don't",
    "(x)",
    '"Yes."',
    " — ",
    "...",
]
BREAKS = [
    "\n\n",
    "\n",
    ". ",
    "! ",
    "? ",
    "; ",
    ", ",
    "。",
    "！",
    "？",
    "；",
    "，",
    "\n\n\n",
    ".\n",
    ".  ",
    "\r\n\r\n",
    "\n \n",
]
HOSTILE = [
    " ",
    "   ",
    "\t",
    "\x1c",
    "\x85",
    "\u3000",
    "e\u0301",
    "\u0301",
    "👩‍👩‍👧",
    "\x00",
    "\x07",
    "x" * 90,
    " " * 70,
    "。" * 30,
]
plain = st.lists(st.sampled_from(ORDINARY * 2 + BREAKS), max_size=120).map("".join)
hostile = st.lists(st.sampled_from(BREAKS + HOSTILE + ORDINARY), max_size=80).map("".join)
AWKWARD = [
    ["a", "word", "0123456789", "_", "漢", "é"],
    SEPARATORS,
    ["漢字", "かな", "한글", "。", "，", "！", "「", "」", "\u3000", "\n", "ｶﾞ"],
    ["👩‍👩‍👧", "🏳️‍🌈", "👍🏽", "😀", " ", "\n", ". ", "\ufe0f"],
    ["\r\n", "\r\n\r\n", "\r", "word", " and", ". ", ".\r\n", "\t", "\n"],
    ["e\u0301", "\u0301", "\u0338", "=\u0338", "a", " ", ", ", "ガ\u3099", "\n", "ṩ\u0323"],
]
MARKED = [
    *".,;:!?)]}”’»\"'…",
    *"।॥؟،؛۔、。」』၊။។፣፡",
    " ",
    "\n",
    "\n\n",
    "a",
    "漢",
    "اس",
    "»Ja",
    "“Yes",
    "x" * 40,
    ")" * 30,
]
marked = st.lists(st.sampled_from(MARKED), max_size=200).map("".join)
awkward = st.sampled_from(AWKWARD).flatmap(lambda parts: st.lists(st.sampled_from(parts), max_size=90)).map("".join)
anything = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
limits = st.integers(16, 64)
MARKS_AND_SPACE = "".join(
    c
    for c in map(chr, range(0x10000))
    if c.isspace() or re.match(rf"[{STOPS}{CLAUSES}{COMMAS}{BRACKETS}{WORD_SPACES}”’»›\"']", c)
)


def check(text: str, tokenizer: Tokenizer, limit: int, published: bool = False) -> list[Span]:
    """What always holds."""
    spans = split(text, tokenizer, limit, published)
    chunks = [text[span.start : span.end] for span in spans]
    assert [span.n_tokens for span in spans] == tokenizer.count(chunks)
    assert all(span.start < span.end and span.n_tokens <= limit for span in spans)
    edges = [0, *(at for span in spans for at in span[:2]), len(text)]
    assert edges == sorted(edges)
    assert not any(text[a:b].strip() for a, b in list(pairwise(edges))[::2])
    assert all(c == c.strip() for c, span in zip(chunks, spans, strict=True) if span.n_tokens < limit or not published)
    return spans


def check_beginnings(text: str, tokenizer: Tokenizer, limit: int) -> list[Span]:
    """No chunk of ours begins with a mark that ends something, unless the text does or a run of them is too long."""
    spans = check(text, tokenizer, limit)
    for span in spans[1:]:
        if not ends_something(text[span.start]):
            continue
        lead = text[: span.start].rstrip(MARKS_AND_SPACE)
        begins = max(len(lead) - 1, 0)
        while begins > 0 and (
            unicodedata.category(text[begins])[0] == "M" or "\u200d" in text[begins - 1 : begins + 1]
        ):
            begins -= 1  # a sign of several characters is not cut
        run = text[begins : len(text) - len(text[span.start :].lstrip(MARKS_AND_SPACE))]
        assert not lead.strip() or tokenizer.count([run])[0] > limit, run
    return spans


def ends_something(character: str) -> bool:
    """By the Unicode properties: colons but for the ASCII one, which begins words, too (`:param`)."""
    if character in "…，、。" or unicodedata.category(character) == "Pe":
        return True
    return character != ":" and regex.match(r"\p{Terminal_Punctuation}", character) is not None


def check_parity(text: str, tokenizer: Tokenizer, limit: int) -> float:
    """Langchain's chunks, but for those over the limit, which are parted; returns the share of the former."""
    theirs = RecursiveCharacterTextSplitter(
        separators=list(SEPARATORS),
        chunk_size=limit,
        chunk_overlap=0,
        length_function=lambda t: tokenizer.count([t])[0],
    ).split_text(text)
    ours = iter([text[span.start : span.end] for span in check(text, tokenizer, limit, published=True)])
    n_same = 0
    for chunk in theirs:
        if chunk.isspace():
            continue  # langchain's, if it has as many tokens as allowed
        if tokenizer.count([chunk])[0] <= limit:
            assert next(ours) == chunk
            n_same += 1
        else:
            left = "".join(chunk.split())
            while left:
                part = "".join(next(ours).split())
                assert part
                assert left.startswith(part)
                left = left[len(part) :]
    assert next(ours, None) is None
    return n_same / max(len(theirs), 1)


@given(plain, limits)
def test_same_as_langchain_on_ordinary_text(text, limit):
    check_parity(text, load("embedded"), limit)


@given(hostile | anything, limits)
def test_same_as_langchain_on_hostile_text(text, limit):
    check_parity(text, load("embedded"), limit)


@pytest.mark.parametrize("name", FAMILIES)
def test_same_as_langchain_with_every_tokenizer(name):
    @settings(max_examples=40)
    @given(plain | hostile | awkward, limits)
    def same(text, limit):
        check_parity(text, family(name), limit)

    same()


@example("\u200d𐀀" + "\u3000" * 6 + "、", 17)
@given(plain | hostile | marked | anything, limits)
def test_no_chunk_begins_with_what_ends_something(text, limit):
    check_beginnings(text, load("embedded"), limit)


@pytest.mark.parametrize("name", FAMILIES)
def test_no_chunk_begins_so_with_any_tokenizer(name):
    @settings(max_examples=40)
    @given(plain | marked | awkward, limits)
    def never(text, limit):
        check_beginnings(text, family(name), limit)

    never()


@given(anything, limits, st.booleans())
def test_offsets_on_any_text(text, limit, published):
    check(text, load("embedded"), limit, published)


@pytest.mark.parametrize("text", ["", " ", "\n\n\n", "\r\n \t\n"])
def test_nothing_to_split(text):
    assert split(text, load("embedded"), 16) == []


def test_white_space_of_any_length_is_no_chunk():
    assert [n for n in range(600) if split("\t" * n, load("embedded"), 16)] == []


def test_a_piece_of_just_the_limit_keeps_its_white_space():
    text = "house" + " house" * 13 + " "
    limit = load("embedded").count([text])[0]
    assert split(text, load("embedded"), limit, published=True) == [Span(0, len(text), limit)]
    assert check_parity(text, load("embedded"), limit) == 1


def test_a_short_text_is_one_chunk():
    assert split("\n\n Hello there.\n", load("embedded"), 16) == [
        Span(3, 15, load("embedded").count(["Hello there."])[0])
    ]


def test_separators_are_tried_in_order():
    paragraph = "A sentence of some words. Another one; it has a part, and one more! " * 4
    text = "\n\n".join([paragraph, "Short.", "Also short.", paragraph])
    for published in (False, True):
        chunks = [text[a:b] for a, b, _ in check(text, load("embedded"), 32, published)]
        assert "Short.\n\nAlso short." in chunks
        assert chunks[1].startswith(". Another one" if published else "Another one")


def test_a_piece_without_separators_is_cut_between_tokens():
    text = "word " * 100
    spans = check(text, load("embedded"), 32)
    assert len(spans) == 4
    assert {text[a:b].replace("word", "").strip() for a, b, _ in spans} == {""}


def test_pieces_that_count_more_together_are_parted_between_them():
    embedded = load("embedded")
    together = Tokenizer(
        name="more-together",
        identity="",
        revision=None,
        _lengths=lambda texts: [
            n + 5 * max(t.count("\n") - 1, 0) for t, n in zip(texts, embedded.count(texts), strict=True)
        ],
        _ends=embedded.ends,
        _parts=lambda text: [text],
    )
    text = "\n".join(["some words here"] * 40)
    spans = split(text, together, 64)
    assert max(together.count([text[a:b] for a, b, _ in spans])) <= 64
    assert {line for a, b, _ in spans for line in text[a:b].split("\n")} == {"some words here"}
    assert 4 <= len(spans) <= 12


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "\n",
        " ",
        ", ",
        "!. ",
        "。",
        "漢字",
        "👩‍👩‍👧",
        "e\u0301",
        "\r\n",
        "ab ",
        "\n\n. ! ？",
        ".\n",
        "a" + "." * 900,
        "\n" * 500 + ".",
        " " * 500 + ")",
        "».",
        '."',
        "\u0301",
        "?" + " " * 300,
        "[12]",
        "a" + ")" * 300,
        "\r",
        "\u200b",
    ],
)
@pytest.mark.parametrize("published", [False, True])
def test_hostile_texts_take_linear_time(unit, published):
    text = unit * (60_000 // len(unit))
    spans = split(text, load("embedded"), 128, published)
    assert all(span.n_tokens <= 128 for span in spans)
    assert sum(len(text[a:b].split()) for a, b, _ in spans) >= len(text.split())


def test_two_megabytes_without_a_separator():
    text = "0123456789abcdef" * 125_000
    spans = split(text, load("embedded"), 512)
    assert spans[0].start == 0
    assert spans[-1].end == len(text)
    assert all(a.end == b.start for a, b in pairwise(spans))
    assert max(span.n_tokens for span in spans) <= 512


@pytest.mark.skipif(not BOOKS.is_dir(), reason="the books are not here")
@pytest.mark.parametrize(
    ("name", "encoding"),
    [("news-from-nowhere.txt", "utf-8"), ("dickens-and-music.latin1.txt", "latin-1"), ("entre-nous.fr.txt", "utf-8")],
)
def test_whole_books(name, encoding):
    text = (BOOKS / name).read_text(encoding=encoding)
    in_lines = text.replace("\n\n", "\v").replace("\n", " ").replace("\v", "\n\n")
    for tokenizer in ("embedded", "tiktoken cl100k"):
        assert check_parity(text, family(tokenizer), 512) == 1
        assert check_parity(in_lines, family(tokenizer), 256) > 0.98
