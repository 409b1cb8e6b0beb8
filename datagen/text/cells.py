"""Count the tokens between any two places of a text, once those between its seams are known.

A cell is what is between two neighbouring seams. A span has the tokens of the cells in it, and those of what is before
its first seam and behind its last, which is short and counted by itself. The tokens up to each seam are known in
advance, in one of two ways. Where a tokenizer tells cheaply where its tokens end, the whole text is tokenized and they
are read off. Where it does not, every cell is counted by itself, but no two that are alike: of the cells of a short
story a tenth are different ones, of a long book's fewer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise, repeat

import numpy as np

from datagen.text.seams import Seams, find

PART = 16_384  # characters; longer texts are handed to a tokenizer in parts
BATCH = 1 << 18  # characters copied out of a text at a time
LONGEST, MOST = 64, 1 << 17  # characters of a text whose count is remembered, and how many are

Ends = Callable[[str], np.ndarray]  # text -> (n_tokens,) ascending positions where its tokens end
Count = Callable[[Sequence[str]], Sequence[int]]  # (n,) texts -> (n,) tokens
Counter = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (n,) starts, (n,) ends -> (n,) tokens


def counter(text: str, seams: Seams, tokens: Counter, ends: Ends | None, apart: Counter) -> Counter:
    """A function from (n,) starts and (n,) ends to the (n,) token counts of `text[start:end]`, each on its own.

    So is `tokens`, which makes no use of seams. `ends` is the tokenizer's, where it is cheap. `apart` says of which
    spans, all of more than PART characters, the count need not be the sum of those of their cells.
    """
    edges = _small(np.concatenate([[0], find(text, seams), [len(text)]]))
    if ends is None:
        before = _small(np.concatenate([[0], np.cumsum(tokens(edges[:-1], edges[1:]))]))
    else:
        token_ends = _token_ends(text, edges, ends)

    def up_to(edge: np.ndarray) -> np.ndarray:
        return before[edge] if ends is None else token_ends.searchsorted(edges[edge], side="right")

    def of_spans(starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        starts, ends = starts.astype(edges.dtype), ends.astype(edges.dtype)  # of another type, edges would be copied
        first, last = edges.searchsorted(starts), edges.searchsorted(ends, side="right") - 1
        counts = up_to(last).astype(np.int64) - up_to(first)
        left, right = edges[first], edges[last]
        if len(whole := ((first > last) | apart(starts, ends)).nonzero()[0]):
            counts[whole] = tokens(starts[whole], ends[whole])
            left[whole], right[whole] = starts[whole], ends[whole]
        if len(heads := (starts < left).nonzero()[0]):
            counts[heads] += tokens(starts[heads], left[heads])
        if len(tails := (right < ends).nonzero()[0]):
            counts[tails] += tokens(right[tails], ends[tails])
        return counts

    return of_spans


def _token_ends(text: str, edges: np.ndarray, ends: Ends) -> np.ndarray:
    """(n_tokens,) where the tokens of a text end, found in parts of at most PART characters, or of one cell."""
    after = edges.searchsorted(np.arange(PART, len(text), PART, dtype=edges.dtype))
    cuts = sorted({0, *edges[after - 1].tolist(), *edges[after].tolist(), len(text)})
    of_parts = [(ends(text[a:b]) + a).astype(edges.dtype) for a, b in pairwise(cuts)]
    return np.concatenate([np.empty(0, dtype=edges.dtype), *of_parts])


def one_by_one(text: str, count: Count, known: dict[str, int]) -> Counter:
    """What `counter` returns, but each span is copied and counted by itself, unless it is short and `known`."""

    def tokens(starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
        counts = np.empty(len(starts), dtype=np.int64)
        for batch in _batches(starts, ends):
            spans = zip(starts[batch].tolist(), ends[batch].tolist(), strict=True)
            texts = [text[start:end] for start, end in spans]
            of_texts = counts[batch]
            of_texts[:] = np.fromiter(map(known.get, texts, repeat(-1)), dtype=np.int64, count=len(texts))
            unknown = (of_texts < 0).nonzero()[0].tolist()
            if not unknown:
                continue
            new = list(dict.fromkeys(texts[i] for i in unknown))
            counted = dict(zip(new, count(new), strict=True))
            of_texts[unknown] = [counted[texts[i]] for i in unknown]
            if len(known) > MOST:
                known.clear()
            known.update((new, n) for new, n in counted.items() if len(new) <= LONGEST)
        return counts

    return tokens


def _batches(starts: np.ndarray, ends: np.ndarray) -> Iterator[slice]:
    """Spans in runs of about BATCH characters: no more copies are held at a time."""
    sizes = (ends - starts + 1).cumsum(dtype=np.int64)
    cuts = sizes.searchsorted(np.arange(BATCH, sizes[-1], BATCH)).tolist() if len(sizes) else []
    yield from (slice(a, b) for a, b in pairwise([0, *cuts, len(starts)]) if a < b)


def _small(ascending: np.ndarray) -> np.ndarray:
    return ascending.astype(np.int32 if ascending[-1] < 1 << 31 else np.int64)
