"""Tokenizers by name: how many tokens a text has, and where a text that no separator divides can be cut.

`embedded` needs no network and no other package: a byte-level BPE of our own (16,384 tokens, see `make_embedded.py`)
that tiktoken reads from a file in this folder. The WordPiece tokenizer of all-MiniLM-L6-v2 is no substitute. It
lower-cases, drops what it does not know as [UNK], and so has no text for a token and no exact place to cut; it comes
with an optional package; it knows little but English, and is slow. Byte-level BPE keeps every byte of every language.

    tokens per word                      embedded   WordPiece (30,522 tokens)
    News from Nowhere (English)              1.56        1.26
    Dickens and Music (English, tables)      2.06        1.51
    Entre nous (French)                      2.69        2.19
    million tokens per second, one core    3 to 4    0.3 to 0.5
"""

from __future__ import annotations

import base64
import hashlib
import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from datagen.errors import ConfigError, reason

FORMS = "'embedded', 'tiktoken:<encoding>' or 'hf:<name or path of a tokenizer.json>'"

EMBEDDED_FILE = Path(__file__).with_name("embedded.tiktoken")
# What the embedded tokenizer looks up as one word: letters, at most 3 digits, other signs, or white space. Every
# character is in one of the four, so nothing is lost; every repeat is bounded and nothing looks ahead or behind, so no
# text, however hostile, costs more than linear time.
EMBEDDED_PATTERN = r"[ '’]?[\p{L}\p{M}]{1,32}| ?\p{N}{1,3}| ?[^\s\p{L}\p{M}\p{N}]{1,16}|\s{1,16}"
# White space stands in words of its own, but for a blank that leads another word. So one word ends, and the next
# begins, wherever white space follows something else; and as matching looks at nothing outside the word at hand, the
# words between two such places do not depend on what stands around them.
SEAM = r"(?<=\S)[ \t-\r]"

PART = 16_384  # characters; longer texts are handed to a tokenizer in parts
BATCH = 1 << 20  # characters handed to `tokenizers` in one call: its encodings are large
SPANS = 1 << 16  # spans copied out of a text at a time


@dataclass(frozen=True, repr=False)
class Tokenizer:
    """What `load` returns. Pickled as its name: unpickling loads it again.

    `identity` is a hash of whatever decides the counts. All texts must be encodable as UTF-8: a lone surrogate raises
    UnicodeEncodeError, or counts as U+FFFD does.
    """

    name: str
    identity: str
    revision: str | None
    _lengths: Callable[[Sequence[str]], list[int]] = field(compare=False)  # tokens in each part
    _ends: Callable[[str], np.ndarray] = field(compare=False)  # (n_tokens,) where each token of a part ends
    _parts: Callable[[str], list[str]] = field(compare=False)  # a text longer than PART in parts that add up

    def __repr__(self) -> str:
        return f"Tokenizer({self.name!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return load, (self.name, self.revision)

    def count(self, texts: Sequence[str]) -> list[int]:
        """Tokens of each text: no special tokens are added, and text that looks like one is plain text."""
        if all(len(text) <= PART for text in texts):
            return self._lengths(texts)
        parts = [self._parts(text) if len(text) > PART else [text] for text in texts]
        counts = iter(self._lengths([part for of_text in parts for part in of_text]))
        return [sum(islice(counts, len(of_text))) for of_text in parts]

    def ends(self, text: str) -> np.ndarray:
        """(n_tokens,) ascending character positions: the end of the last character that each token has a byte of."""
        if len(text) <= PART:
            return self._ends(text)
        parts = self._parts(text)
        offsets = np.cumsum([0] + [len(part) for part in parts])
        return np.concatenate([self._ends(part) + offset for part, offset in zip(parts, offsets, strict=False)])

    def count_spans(self, text: str, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """(n,) tokens of each `text[start:end]`, counted by itself; starts and ends are (n,)."""
        counts: list[int] = []
        for at in range(0, len(starts), SPANS):
            spans = zip(starts[at : at + SPANS].tolist(), ends[at : at + SPANS].tolist(), strict=True)
            counts += self.count([text[a:b] for a, b in spans])
        return np.array(counts, dtype=np.int64)

    def cuts(self, text: str, max_tokens: int) -> list[int]:
        """Ascending positions inside `text` that leave pieces of about one size, each at most `max_tokens` by itself.

        Cuts fall between tokens, and never within a character. Raises ConfigError if one character alone is over.
        """
        cuts: list[int] = []
        pending = [(0, len(text))]
        while pending:
            start, end = pending.pop()
            ends = self.ends(text[start:end])
            if len(ends) <= max_tokens:
                continue  # counted on its own, so this one is settled
            if end - start == 1:
                raise ConfigError(f"chunk.max_tokens: {max_tokens} is less than {self.name} needs for {text[start]!r}")
            inside = [start + at for at in _even_cuts(ends, max_tokens) if 0 < at < end - start]
            inside = inside or [(start + end) // 2]
            cuts += inside
            pending += pairwise([start, *inside, end])
        return sorted(cuts)


def _even_cuts(ends: np.ndarray, max_tokens: int) -> list[int]:
    """Where to cut tokens ending at `ends` into the fewest runs of at most `max_tokens`, all of about one length."""
    n_pieces = -(-len(ends) // max_tokens)
    wanted = np.arange(1, n_pieces) * len(ends) // n_pieces  # so many tokens go before each cut
    # Tokens that share a character share its end: step back to before the first of them.
    inside = ends[wanted] == ends[wanted - 1]
    before = np.where(inside, np.searchsorted(ends, ends[wanted], side="left"), wanted)
    return sorted({int(ends[n - 1]) for n in before if n > 0})


@cache
def load(spec: str, revision: str | None = None) -> Tokenizer:
    """The tokenizer that `chunk.tokenizer` names. `revision` is the commit of an `hf:` name.

    Which tokenizer it is depends on the name alone, never on what happens to be reachable. Raises ConfigError for an
    unknown name, or if the tokenizer is not on this machine and cannot be fetched.
    """
    kind, _, name = spec.partition(":")
    if revision is not None and kind != "hf":
        raise ConfigError(f"chunk.tokenizer: {spec!r} has no revisions; only 'hf:' names do")
    if spec == "embedded":
        return _embedded()
    if kind == "tiktoken" and name:
        return _tiktoken(spec, name)
    if kind == "hf" and name:
        return _hugging_face(spec, name, revision)
    raise ConfigError(f"chunk.tokenizer: unknown tokenizer {spec!r}; it must be {FORMS}")


def _embedded() -> Tokenizer:
    import tiktoken

    ranks = read_ranks(EMBEDDED_FILE.read_bytes())
    encoding = tiktoken.Encoding("embedded", pat_str=EMBEDDED_PATTERN, mergeable_ranks=ranks, special_tokens={})
    return from_encoding("embedded", encoding, _parts_at_seams)


def read_ranks(data: bytes) -> dict[bytes, int]:
    """The tokens of a ranks file. tiktoken's own reader keeps a copy, and would return that after the file changed."""
    return {base64.b64decode(token): int(rank) for token, rank in (line.split() for line in data.splitlines())}


def _tiktoken(spec: str, name: str) -> Tokenizer:
    import tiktoken

    known = tiktoken.list_encoding_names()
    if name not in known:
        raise ConfigError(f"chunk.tokenizer: tiktoken has no encoding {name!r}; it has {', '.join(known)}")
    try:
        encoding = tiktoken.get_encoding(name)
    except OSError as e:  # what requests raises, too
        raise ConfigError(
            f"chunk.tokenizer: tiktoken has no copy of {name!r} on this machine and could not download it "
            f"({type(e).__name__}); connect once, or set 'embedded' or 'hf:path/to/tokenizer.json'"
        ) from e
    return from_encoding(spec, encoding)


def from_encoding(name: str, encoding: Any, parts: Callable[[str], list[str]] | None = None) -> Tokenizer:
    """A tiktoken.Encoding as a Tokenizer. `parts` cuts a long text into parts whose counts add up."""
    encode = encoding.encode_ordinary
    tokens = [_bytes_of(encoding, token) for token in range(encoding.n_vocab)]
    sizes = np.array([len(token) for token in tokens], dtype=np.int64)

    def lengths(texts: Sequence[str]) -> list[int]:
        return [len(encode(text)) for text in texts]

    def ends(text: str) -> np.ndarray:
        tokens = np.frombuffer(array("I", encode(text)), dtype=np.uint32)  # several times as fast as np.array
        in_bytes = sizes.take(tokens).cumsum()
        if text.isascii():
            return in_bytes
        utf8 = np.frombuffer(text.encode("utf-8"), dtype=np.int8)
        characters_begun = (utf8 >= -64).cumsum(dtype=np.int32)  # below are the bytes that go on with a character
        return characters_begun.take(in_bytes - 1)

    digest = hashlib.sha256(encoding._pat_str.encode("utf-8"))
    for token in tokens:
        digest.update(len(token).to_bytes(4, "big") + token)
    return Tokenizer(name, digest.hexdigest(), None, lengths, ends, parts or _parts_of_runs)


def _bytes_of(encoding: Any, token: int) -> bytes:
    try:
        return encoding.decode_single_token_bytes(token)
    except KeyError:  # ids between the ranks and the special tokens may be unused
        return b""


def _hugging_face(spec: str, name: str, revision: str | None) -> Tokenizer:
    from tokenizers import Tokenizer as Fast

    path = Path(name)
    if path.is_dir():
        path /= "tokenizer.json"
    try:
        fast = Fast.from_file(str(path)) if path.is_file() else Fast.from_pretrained(name, revision=revision or "main")
    except Exception as e:  # tokenizers raises bare Exceptions
        raise ConfigError(
            f"chunk.tokenizer: {spec!r} is neither a readable tokenizer.json, nor a folder with one, nor a name that "
            f"the Hugging Face hub or its cache gives here ({reason(e)[:200]})"
        ) from e
    fast.no_truncation()
    fast.no_padding()
    fast.encode_special_tokens = True  # a "[SEP]" in a document is five characters of text

    def lengths(texts: Sequence[str]) -> list[int]:
        encoded = (fast.encode_batch_fast(batch, add_special_tokens=False) for batch in _batches(texts))
        return [len(encoding) for batch in encoded for encoding in batch]

    def ends(text: str) -> np.ndarray:
        offsets = fast.encode(text, add_special_tokens=False).offsets
        return np.maximum.accumulate(np.array([end for _, end in offsets], dtype=np.int64))

    identity = hashlib.sha256(fast.to_str().encode("utf-8")).hexdigest()
    return Tokenizer(spec, identity, revision, lengths, ends, _parts_of_runs)


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    room = BATCH
    for text in texts:
        batch.append(text)
        room -= len(text) + 64
        if room < 0:
            yield batch
            batch, room = [], BATCH
    if batch:
        yield batch


def _parts_of_runs(text: str) -> list[str]:
    """Cut out every block of PART characters that is white space throughout, or has none.

    A word that long is no word, but pre-tokenizers take it for one: they look at it again from every position, run
    out of stack, or merge its pairs in one go. Text without such a run, however long, stays in one part.
    """
    blank, ink = re.compile(r"\s"), re.compile(r"\S")
    edges = {0, len(text)}
    for start in range(0, len(text) - PART + 1, PART):
        end = start + PART
        if not blank.search(text, start, end) or not ink.search(text, start, end):
            edges |= {start, end}
    return [text[a:b] for a, b in pairwise(sorted(edges))]


def _parts_at_seams(text: str) -> list[str]:
    """Parts of the embedded tokenizer, a little longer than PART: words end at seams, so their counts add up."""
    seam = re.compile(SEAM)
    cuts = [0]
    while match := seam.search(text, cuts[-1] + PART):
        cuts.append(match.start())
    return [text[a:b] for a, b in pairwise([*cuts, len(text)])]
