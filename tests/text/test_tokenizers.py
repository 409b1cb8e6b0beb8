import base64
import pickle
import random
import re
import unicodedata
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer as Fast
from tokenizers import models, normalizers, pre_tokenizers

from datagen.errors import ConfigError
from datagen.text import make_embedded
from datagen.text.tokenizers import EMBEDDED_FILE, EMBEDDED_PATTERN, PART, Tokenizer, from_encoding, load, read_ranks

GPT2_PATTERN = r"'s|'t|'re|'ve|'m|'ll|'d| ?[\p{L}]+| ?[\p{N}]+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
SAMPLES = [
    "The quick brown fox (aged 1,234.5) doesn't jump over the lazy dog's bed.\r\n\r\n\tNext — paragraph;  indented.",
    "L’été, l'hiver : « où êtes-vous ? » Größe, straße. Все счастливые семьи похожи друг на друга.",
    "道可道，非常道。吾輩は猫である。名前はまだ無い。안녕하세요 여러분 مرحبا بالعالم नमस्ते दुनिया",
    "e\u0301\u0302 👩‍👩‍👧‍👦🏳️‍🌈 \u00a0\u2003\u3000\u0085\x1c\x1f\x00 a" + "b" * 100 + " " * 50 + "\n" * 40 + "!" * 60,
]
PIECES = ["a", "Word", "'", "’", " ", "  ", "\n", "\n\n", "\r\n", "\t", "\x1c", "\x85", "\u3000", ". ", ", ", "。", "!"]
PIECES += [
    "7",
    "1234",
    "é",
    "e\u0301",
    "\u0301",
    "漢字",
    "👩‍👧",
    "\x00",
    "_",
    " (",
    '"',
    "the",
    " of ",
    "z" * 40,
    " " * 20,
]
texts = st.lists(st.sampled_from(PIECES) | st.characters(exclude_categories=["Cs"]), max_size=60).map("".join)


@cache
def plain_encoding(pattern: str) -> tiktoken.Encoding:
    """The embedded vocabulary in tiktoken's own hands; GPT-2's pattern looks ahead, and bounds nothing."""
    ranks = read_ranks(EMBEDDED_FILE.read_bytes())
    return tiktoken.Encoding("plain", pat_str=pattern, mergeable_ranks=ranks, special_tokens={})


@cache
def gpt2_like() -> Tokenizer:
    return from_encoding("gpt2-like", plain_encoding(GPT2_PATTERN))


def word_tokenizer(folder: Path) -> Path:
    """A tokenizer.json as encoders have it: lower-cased words, [UNK], special tokens, truncation and padding on."""
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "[SEP]": 2, "[": 3, "]": 4, "sep": 5, "the": 6, "fox": 7}
    fast = Fast(models.WordLevel(vocabulary, unk_token="[UNK]"))
    fast.normalizer = normalizers.BertNormalizer()
    fast.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    fast.add_special_tokens(["[PAD]", "[UNK]", "[SEP]"])
    fast.enable_truncation(4)
    fast.enable_padding(length=8)
    fast.save(str(folder / "tokenizer.json"))
    return folder / "tokenizer.json"


def test_the_embedded_vocabulary_is_whole():
    ranks = read_ranks(EMBEDDED_FILE.read_bytes())
    assert sorted(ranks.values()) == list(range(16_384))
    assert all(bytes([b]) in ranks for b in range(256))


@given(texts)
def test_embedded_keeps_every_character(text):
    ends = load("embedded").ends(text)
    assert [len(ends)] == load("embedded").count([text])
    assert sorted(ends) == ends.tolist()
    assert (ends[-1] if text else 0) == len(text)


def test_every_language_is_spared_from_bytes():
    for text, most in zip(SAMPLES[:3], (0.4, 0.6, 1.0), strict=True):
        assert load("embedded").count([text])[0] <= most * len(text)


def test_tiktoken_and_tokenizers_agree_on_a_vocabulary_of_ours():
    fast = make_embedded.train(iter(SAMPLES * 3))
    ranks = read_ranks(make_embedded.ranks_file(fast))
    encoding = tiktoken.Encoding("x", pat_str=EMBEDDED_PATTERN, mergeable_ranks=ranks, special_tokens={})
    assert len(ranks) > 500
    for text in [*SAMPLES, Path(make_embedded.__file__).read_text(encoding="utf-8")]:
        assert encoding.encode_ordinary(text) == fast.encode(text).ids


def test_training_text_of_a_catalogue():
    text = 'msgid ""\nmsgstr ""\n"Header: 1\\n"\n\nmsgid "Hi %(name)s"\nmsgstr ""\n"Grüß "\n"Gott %(name)s"\n'
    text += 'msgid "a"\nmsgid_plural "b"\nmsgstr[0] "eins"\nmsgstr[1] "zwei"\n'
    assert make_embedded.translations(text) == "Grüß Gott \neins\nzwei"


@given(texts, st.randoms())
def test_a_span_counts_what_it_counts_alone(text, rng):
    tokenizer = load("embedded")
    spans = [sorted(rng.choices(range(len(text) + 1), k=2)) for _ in range(20)]
    starts, ends = np.array(spans).T
    assert tokenizer.count_spans(text, starts, ends).tolist() == tokenizer.count([text[a:b] for a, b in spans])


def test_spans_of_a_long_text():
    rng = random.Random(0)
    text = "".join(rng.choices(PIECES, k=30_000))
    spans = [sorted((at := rng.randrange(len(text)), at + rng.randrange(3_000))) for _ in range(300)]
    spans += [(0, len(text)), (PART // 2, 2 * PART), (5, 5)]
    starts, ends = np.array(spans).T
    encoding = plain_encoding(EMBEDDED_PATTERN)
    plain = [len(encoding.encode_ordinary(text[a:b])) for a, b in spans]
    assert load("embedded").count_spans(text, starts, ends).tolist() == plain
    assert load("embedded").count([text[a:b] for a, b in spans]) == plain


def test_all_that_white_space_seams_rest_on():
    """Python's idea of white space holds all of Unicode's, which is what the pattern's `\\s` means."""
    white = [
        c for c in map(chr, range(0x3100)) if unicodedata.category(c) in ("Zs", "Zl", "Zp") or c in "\t\n\v\f\r\x85"
    ]
    assert all(re.match(r"\s", c) for c in white)


def test_parts_leave_ordinary_text_alone():
    encoding = plain_encoding(GPT2_PATTERN)
    text = "\n".join(SAMPLES * 200)
    assert from_encoding("x", encoding).count([text, "a"]) == [len(encoding.encode_ordinary(text)), 1]


@pytest.mark.parametrize("unit", ["a", "Xy", "^", "\n", " \t", "漢", "。あ", "e\u0301", "\x00"])
def test_huge_runs_take_linear_time(unit):
    text = unit * (200_000 // len(unit))
    for tokenizer in (load("embedded"), gpt2_like()):
        cuts = tokenizer.cuts(text, 512)
        assert max(tokenizer.count([text[a:b] for a, b in pairwise([0, *cuts, len(text)])])) <= 512


@given(texts, st.integers(16, 40))
def test_cuts_keep_the_limit(text, limit):
    for tokenizer in (load("embedded"), gpt2_like()):
        edges = [0, *tokenizer.cuts(text, limit), len(text)]
        assert edges == sorted(edges)
        assert max(tokenizer.count([text[a:b] for a, b in pairwise(edges)])) <= limit
        assert len(set(edges)) == len(edges) or not text


def test_cuts_are_even_and_fall_between_tokens():
    text = " house" * 600
    assert load("embedded").count([" house", text]) == [1, 600]
    assert load("embedded").cuts(text, 512) == [len(text) // 2]


def test_a_character_that_no_limit_can_hold(tmp_path):
    fast = Fast(models.WordLevel({"x": 0}, unk_token="x"))
    fast.normalizer = normalizers.NFKD()
    fast.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    fast.save(str(tmp_path / "tokenizer.json"))
    with pytest.raises(ConfigError, match=r"chunk\.max_tokens: 16 is less than hf:.* needs for 'ﷺ'"):
        load(f"hf:{tmp_path}").cuts("\ufdfa", 16)


def test_hugging_face_by_file_and_by_folder(tmp_path):
    path = word_tokenizer(tmp_path)
    tokenizer = load(f"hf:{path}")
    assert tokenizer.count(["The fox", "", "[SEP]", "the " * 100, "[PAD]"]) == [2, 0, 3, 100, 3]
    assert tokenizer.ends("The  fox [SEP]").tolist() == [3, 8, 10, 13, 14]
    assert load(f"hf:{tmp_path}").identity == tokenizer.identity
    assert tokenizer.cuts("the " * 40, 16) == [13 * 4 - 1, 26 * 4 - 1]


def test_special_token_text_is_plain_text():
    assert load("embedded").count(["<|endoftext|>"])[0] > 3


def test_tokenizers_have_an_identity_and_travel(tmp_path):
    embedded = load("embedded")
    other = load(f"hf:{word_tokenizer(tmp_path)}")
    assert len({embedded.identity, other.identity, gpt2_like().identity}) == 3
    for tokenizer in (embedded, other):
        assert pickle.loads(pickle.dumps(tokenizer)) == tokenizer
    assert "embedded" in repr(embedded)


def test_a_changed_ranks_file_is_read_anew(tmp_path):
    """tiktoken keeps a copy of every file it was once given; the embedded tokenizer must not fall back to one."""
    lines = [f"{base64.b64encode(bytes([b])).decode()} {b}" for b in range(256)]
    assert read_ranks("\n".join(lines).encode()) == {bytes([b]): b for b in range(256)}


@pytest.mark.parametrize("spec", ["", "nope", "hf:", "tiktoken:", "tiktoken", "Embedded"])
def test_unknown_forms(spec):
    with pytest.raises(ConfigError, match=r"chunk\.tokenizer: .* 'embedded', 'tiktoken:<encoding>'"):
        load(spec)


def test_unknown_encoding():
    with pytest.raises(ConfigError, match=r"chunk\.tokenizer: .*'cl99k'.* cl100k_base"):
        load("tiktoken:cl99k")


def test_an_encoding_that_cannot_be_fetched(monkeypatch, tmp_path):
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    with pytest.raises(ConfigError, match=r"could not download it .*'embedded'"):
        load("tiktoken:p50k_edit")


def test_a_path_without_a_tokenizer(tmp_path):
    (tmp_path / "bad.json").write_text("{}")
    for path in (tmp_path, tmp_path / "bad.json"):
        with pytest.raises(ConfigError, match="is neither a readable tokenizer"):
            load(f"hf:{path}")


def test_only_hub_names_have_revisions():
    with pytest.raises(ConfigError, match="has no revisions"):
        load("embedded", "main")
