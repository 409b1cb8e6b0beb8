"""Small tokenizers that divide a text as those of known families do."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import tiktoken
from tiktoken_ext import openai_public
from tokenizers import AddedToken, Regex, models, normalizers, pre_tokenizers, trainers
from tokenizers import Tokenizer as Fast

from datagen.text.tokenizers import EMBEDDED_FILE, Tokenizer, from_encoding, load, read_ranks

SUFFIX = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
END = r"\s*[\r\n]+|\s+(?!\S)|\s+"
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
CASED = rf"[^\r\n\p{{L}}\p{{N}}]?{UPPER}*{LOWER}+%s|[^\r\n\p{{L}}\p{{N}}]?{UPPER}+{LOWER}*%s"
PATTERNS = {
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?[\p{L}]+| ?[\p{N}]+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "r50k": openai_public.r50k_pat_str,
    "cl100k": r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$"
    r"|\s*[\r\n]|\s+(?!\S)|\s",
    "o200k": CASED % (f"{SUFFIX}?", f"{SUFFIX}?") + rf"|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{END}",
    "tekken": CASED % ("", "") + rf"|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{END}",
    "llama3": rf"{SUFFIX}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}{{1,3}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{END}",
    "qwen2": rf"{SUFFIX}|[^\r\n\p{{L}}\p{{N}}]?\p{{L}}+|\p{{N}}| ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{END}",
    "qwen3.5": rf"{SUFFIX}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|{END}",
    "deepseek": r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
    rf"| ?[\p{{P}}\p{{S}}]+[\r\n]*|{END}",
}
ENCODINGS = ("gpt2", "r50k", "cl100k", "o200k", "llama3")  # that tiktoken can read, with the embedded ranks
FAMILIES = ("embedded", *(f"tiktoken {name}" for name in ENCODINGS), "byte level", "byte level, prefix", "digits")
FAMILIES += ("qwen2", "qwen2, added tokens", "qwen3.5", "llama3", "o200k", "tekken", "deepseek", "bert", "bert, cased")
TEXT = """The quick brown fox (aged 1,234.5) doesn't jump; they've said: "We'll see!" -- it's l'été, naïve Größe.

Все счастливые семьи похожи. 道可道，非常道。名前はまだ無い。안녕하세요 여러분

\tdef f(x_1): return x_1 + 2  # ok
<tool_call> </tool_call>"""


@cache
def family(name: str) -> Tokenizer:
    if name == "embedded":
        return load(name)
    if name.startswith("tiktoken "):
        pattern, ranks = PATTERNS[name.removeprefix("tiktoken ")], read_ranks(EMBEDDED_FILE.read_bytes())
        return from_encoding(name, tiktoken.Encoding(name, pat_str=pattern, mergeable_ranks=ranks, special_tokens={}))
    return of_hugging_face(fast(name))


def of_hugging_face(fast: Fast) -> Tokenizer:
    """What `load` makes of a tokenizer.json."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "tokenizer.json"
        path.write_text(fast.to_str(), encoding="utf-8")
        return load(f"hf:{path}")


def fast(name: str) -> Fast:
    kind = name.partition(",")[0]
    if kind == "bert":
        letters = {c: i for i, c in enumerate("abcdefghijklmnopqrstuvwxyzABCDE道名.,!12", 1)}
        words = Fast(models.WordPiece({"[UNK]": 0, **letters, **{f"##{c}": 50 + i for c, i in letters.items()}}))
        words.normalizer = normalizers.BertNormalizer(lowercase=name == "bert")
        words.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        words.add_special_tokens(["[UNK]", "[SEP]"])
        return words
    pairs = Fast(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space="prefix" in name, use_regex=kind not in PATTERNS)
    first: list[Any] = [pre_tokenizers.Digits(individual_digits=True)] if kind == "digits" else []
    if kind == "deepseek":
        first = [pre_tokenizers.Split(Regex(p), "isolated") for p in (r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+")]
    if kind in PATTERNS:
        first.append(pre_tokenizers.Split(Regex(PATTERNS[kind]), "isolated"))
    pairs.pre_tokenizer = pre_tokenizers.Sequence([*first, byte_level])
    if kind in ("qwen2", "qwen3.5", "digits"):
        pairs.normalizer = normalizers.NFC()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=600, initial_alphabet=alphabet, show_progress=False, special_tokens=[])
    pairs.train_from_iterator([TEXT, Path(__file__).read_text(encoding="utf-8")], trainer)
    if "added" in name:
        pairs.add_special_tokens([AddedToken("<|im_start|>", lstrip=True, rstrip=True, normalized=False)])
        pairs.add_special_tokens([AddedToken("a, b", normalized=False, single_word=True)])
        pairs.add_tokens(
            [AddedToken(t, normalized=False) for t in ("<tool_call>", "</tool_call>", "l>", ", a.b", "\n\nb")]
        )
    if kind == "digits":
        pairs.add_tokens([AddedToken(" " * n, normalized=True) for n in (2, 3, 4, 8)])
    return pairs
