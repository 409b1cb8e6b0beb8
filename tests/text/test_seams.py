import json
import unicodedata
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, normalizers, pre_tokenizers

from datagen.text import seams
from datagen.text.cells import PART
from datagen.text.seams import ALL, BLANKS, BREAKS, LINES, STOPS, Seams, find, of_hugging_face, of_pattern
from datagen.text.tokenizers import EMBEDDED_PATTERN
from tests.text import families
from tests.text.families import FAMILIES, PATTERNS, family, fast

PIECES = [
    "a",
    "Word",
    "it's",
    "I'LL",
    "don’t",
    "'",
    "’",
    " ",
    "  ",
    "\n",
    "\n\n",
    "\r\n",
    "\r",
    "\t",
    "\v",
    "\f",
    "\xa0",
]
PIECES += ["\x1c", "\x85", "\u2028", "\u3000", "\u180e", "\ufeff", "\u200b", "\x00", "\x07", "\x7f", ". ", ", ", ".\n"]
PIECES += ["!", "...", "—", "_", "-", "/", "//\n", "=", "=\u0338", "<", '"', "(", ");", "$", "`", "7", "1234", "½", "٣"]
PIECES += [
    "é",
    "e\u0301",
    "\u0301",
    "\u0338",
    "ǅ",
    "ß",
    "ſ",
    "K",
    "Ω",
    "漢字",
    "。",
    "，",
    "？」",
    "かが",
    "ガ\u3099",
    "・",
]
PIECES += ["한글", "\u1112\u1161\u11ab", "ไทย", "नमस्ते", "👩‍👩‍👧", "🏳️‍🌈", "<|im_start|>", "<tool_call>", "l>", "[SEP]"]
PIECES += [", a.b", "a, b", "z" * 40, "!" * 20, " " * 20, "\n" * 20, " the", " of "]
texts = st.lists(st.sampled_from(PIECES) | st.characters(exclude_categories=["Cs"]), max_size=40).map("".join)


@pytest.mark.parametrize("name", FAMILIES)
def test_a_span_counts_what_it_counts_alone(name):
    tokenizer = family(name)
    assert tokenizer._seams.kinds

    @given(texts, st.randoms(use_true_random=False))
    def same(text, rng):
        spans = [sorted(rng.choices(range(len(text) + 1), k=2)) for _ in range(12)] + [[0, len(text)]]
        starts, ends = np.array(spans).T
        assert tokenizer.counter(text)(starts, ends).tolist() == tokenizer.count([text[a:b] for a, b in spans])

    same()


@pytest.mark.parametrize("name", FAMILIES)
def test_tokens_before_and_after_a_seam_add_up(name):
    tokenizer = family(name)

    @given(texts)
    def add_up(text):
        at = find(text, tokenizer._seams).tolist()
        before, after = tokenizer.count([text[:p] for p in at]), tokenizer.count([text[p:] for p in at])
        assert [a + b for a, b in zip(before, after, strict=True)] == tokenizer.count([text]) * len(at)

    add_up()


def every_character(last: int) -> list[str]:
    return [chr(c) for c in range(last) if not 0xD800 <= c < 0xE000]


def all_around_seams(characters: list[str]) -> str:
    """Every character at each side of a seam that it may be at, or be taken to be at."""
    stops = [chr(c) for c in np.flatnonzero(seams.FLAGS >> 4 & STOPS)]
    marks = [stops[i % len(stops)] for i in range(len(characters))]
    return "".join(f"{c} a{c}\nb{s}{c}{s} {c}x\n{c}y" for c, s in zip(characters, marks, strict=True))


def check_cells(name: str, text: str) -> None:
    tokenizer = family(name)
    edges = [0, *find(text, tokenizer._seams).tolist(), len(text)]
    assert sum(tokenizer.count([text[a:b] for a, b in pairwise(edges)])) == tokenizer.count([text])[0]


@pytest.mark.parametrize("name", [name for name in FAMILIES if "tiktoken" in name or name == "embedded"])
def test_every_character_at_a_seam(name):
    check_cells(name, all_around_seams(every_character(0x3100)))


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_every_character_of_all_at_a_seam(name):
    characters = every_character(0x10000) + every_character(0x110000)[0x10000::64]
    for start in range(0, len(characters), 0x4000):
        check_cells(name, all_around_seams(characters[start : start + 0x4000]))


def test_what_the_tables_rest_on():
    """Python's white space holds all of Unicode's; NFC makes none of what is none; letters and stops are just that."""
    for c in every_character(0x110000):
        flags, white = seams.FLAGS[min(ord(c), 0xFFFF)], unicodedata.category(c)[0] == "Z" or c in "\t\n\v\f\r\x85"
        assert not (white and flags & (BLANKS | BREAKS))
        if not unicodedata.is_normalized("NFC", c):
            assert unicodedata.normalize("NFC", c)[-1].isspace() == white
    for c in every_character(0xFFFF):
        normal, before, behind = unicodedata.normalize("NFC", c), seams.FLAGS[ord(c)] & 15, seams.FLAGS[ord(c)] >> 4
        assert bool(before & STOPS) == bool(behind & LINES)
        if before & STOPS:
            assert unicodedata.category(c)[0] == unicodedata.category(normal)[0] == "L"
        if behind:
            assert behind == LINES or c in " \t\r\n" or unicodedata.category(c)[0] in "PS"
            for other in "aがᄒ가<":  # nothing composes with what is behind a seam
                assert unicodedata.normalize("NFC", other + c) == unicodedata.normalize("NFC", other) + normal


def test_known_patterns():
    assert {name: of_pattern(pattern).kinds for name, pattern in PATTERNS.items()} == {
        "gpt2": ALL - LINES,
        "r50k": ALL - LINES,
        **dict.fromkeys(("cl100k", "o200k", "tekken", "llama3", "qwen2", "qwen3.5", "deepseek"), ALL - BREAKS),
    }
    assert of_pattern(EMBEDDED_PATTERN).kinds == ALL


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        r"\s+",
        r"\w+|\s+",
        r" ?\p{L}+|\s+(?!\S)",
        PATTERNS["gpt2"] + "|.",
        PATTERNS["qwen2"].replace(r"\p{L}+", r"\p{L}+ ?"),
        PATTERNS["qwen2"].replace(SUFFIX := families.SUFFIX, SUFFIX + "|(?<=a)b"),
        PATTERNS["tekken"].partition("|")[2],
        "(" + PATTERNS["gpt2"] + ")",
    ],
)
def test_unknown_patterns(pattern):
    assert of_pattern(pattern) == Seams()


def test_lines_need_the_break_before_the_look_behind():
    assert not of_pattern(r" ?\p{L}+|\s+(?!\S)|\s*[\r\n]+|\s+").kinds & LINES
    assert not of_pattern(r" ?\p{L}+|\s++$|\s").kinds & LINES
    assert of_pattern(r" ?\p{L}+|\s++$|\s*[\r\n]|\s").kinds & LINES


def config(name: str) -> dict:
    return json.loads(fast(name).to_str())


def test_known_tokenizers():
    assert of_hugging_face(config("qwen2")) == Seams(ALL - BREAKS)
    assert of_hugging_face(config("byte level")) == Seams(ALL - LINES)
    assert of_hugging_face(config("byte level, prefix")) == Seams(BLANKS)
    assert of_hugging_face(config("bert")) == Seams(ALL)
    added = of_hugging_face(config("qwen2, added tokens"))
    assert added == Seams(ALL - BREAKS, ("<|im_start|>", "a, b", "<tool_call>", "</tool_call>", "l>", ", a.b", "\n\nb"))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("qwen2", lambda t: setattr(t, "normalizer", normalizers.NFKC())),
        (
            "qwen2",
            lambda t: setattr(t, "normalizer", normalizers.Sequence([normalizers.NFC(), normalizers.Prepend("_")])),
        ),
        ("bert", lambda t: setattr(t, "normalizer", normalizers.NFC())),
        ("qwen2", lambda t: setattr(t, "normalizer", normalizers.BertNormalizer())),
        ("qwen2", lambda t: setattr(t, "pre_tokenizer", pre_tokenizers.Metaspace())),
        ("qwen2", lambda t: setattr(t, "pre_tokenizer", pre_tokenizers.Whitespace())),
        ("qwen2", lambda t: setattr(t, "pre_tokenizer", pre_tokenizers.ByteLevel(use_regex=False))),
        ("qwen2", lambda t: setattr(t, "pre_tokenizer", pre_tokenizers.Split(" ", "isolated"))),
        (
            "qwen2",
            lambda t: setattr(t, "pre_tokenizer", pre_tokenizers.Split(Regex(PATTERNS["qwen2"]), "merged_with_next")),
        ),
        (
            "qwen2",
            lambda t: setattr(
                t,
                "pre_tokenizer",
                pre_tokenizers.Sequence(
                    [pre_tokenizers.ByteLevel(), pre_tokenizers.Split(Regex(PATTERNS["qwen2"]), "isolated")]
                ),
            ),
        ),
        (
            "qwen2",
            lambda t: setattr(
                t, "pre_tokenizer", pre_tokenizers.Sequence([t.pre_tokenizer, pre_tokenizers.ByteLevel()])
            ),
        ),
        ("qwen2", lambda t: setattr(t.model, "dropout", 0.1)),
        ("qwen2", lambda t: t.add_tokens([AddedToken("x", rstrip=True)])),
        ("qwen2", lambda t: t.add_tokens([AddedToken("x", single_word=True)])),
        ("qwen2", lambda t: t.add_tokens([AddedToken("é", normalized=True)])),
        ("qwen2", lambda t: t.add_tokens([AddedToken("a b", normalized=True)])),
    ],
)
def test_unknown_tokenizers(name, change):
    tokenizer = fast(name)
    change(tokenizer)
    assert not of_hugging_face(json.loads(tokenizer.to_str())).kinds


def test_strings_without_seams_inside():
    seamed = Seams(ALL, ("<a, b>", "b> c"))
    assert find("x <a, b> c <a, b", seamed).tolist() == [1, 10, 13, 14]


@pytest.mark.parametrize("name", ["embedded", "tiktoken cl100k", "qwen2", "bert"])
def test_spans_with_runs_that_are_counted_in_parts(name):
    tokenizer = family(name)
    run = ",".join(["abc", "de"] * 3_000)  # 27,000 characters
    text = "Some words. " * 50 + run + " and more" * 100 + " " * 18_000 + "the end." + "x" * 17_000
    edges = [0, 300, 603, 5_000, 600 + PART, 700 + PART, 600 + len(run), 1_500 + len(run) + PART, len(text) - 100]
    spans = [*pairwise(edges), *zip(edges, edges[3:], strict=False), *((0, at) for at in edges)]
    starts, ends = np.array(spans).T
    assert tokenizer.counter(text)(starts, ends).tolist() == tokenizer.count([text[a:b] for a, b in spans])
