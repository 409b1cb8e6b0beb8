"""Split a text into chunks of a bounded number of tokens, with exact offsets.

Source: the data pipeline of LongRLVR (arXiv 2603.02146) splits with langchain's RecursiveCharacterTextSplitter, without
overlap, at the separators below, with a token count as its length function. `split` gives the same chunk texts: cut in
front of every occurrence of the first separator there is; cut pieces that are not below the limit at the separators
after it; put neighbours together while the sum of their counts is within the limit; strip white space.

It departs from that where a chunk would be over the limit: a piece without a separator is cut between tokens, and
pieces that count more together than apart are parted again in the middle. Also, every chunk knows its place and its
true count, white space alone is never a chunk, and a piece of no tokens at all (some tokenizers drop characters) goes
into one chunk, never into two.

A piece is a pair of positions, not a copy. Each round takes all pieces one separator further and counts them in one
batch, so there is no recursion, and a piece is counted once a round instead of at every step of putting together.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from datagen.text.tokenizers import Tokenizer

SEPARATORS = ("\n\n", "\n", ". ", "! ", "? ", "; ", ", ", "。", "！", "？", "；", "，")

Counter = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (n,) starts, (n,) ends -> (n,) tokens


class Span(NamedTuple):
    """A chunk: `text[start:end]`, of `n_tokens` tokens when counted by itself."""

    start: int
    end: int
    n_tokens: int


class Piece(NamedTuple):
    """A stretch of text to be cut in front of each occurrence of a separator; None if it holds none."""

    start: int
    end: int
    separator: int | None


class Group(NamedTuple):
    """A stretch of text that should make a chunk, and the places between its pieces."""

    start: int
    end: int
    joints: list[int]


def split(text: str, tokenizer: Tokenizer, max_tokens: int) -> list[Span]:
    """The chunks of a text in order: disjoint, at most `max_tokens` each, only white space (str.isspace) between them.

    A text of nothing but white space has none. Raises UnicodeEncodeError if the text has a lone surrogate (a tokenizer
    may let it pass), and ConfigError if a single character has more than `max_tokens` tokens.
    """
    count = tokenizer.counter(text)
    spans: list[Span] = []
    pending = [Piece(0, len(text), _separator(text, 0, len(text), 0))] if text else []
    while pending:
        groups: list[Group] = []
        cut = [_cut(text, piece) for piece in pending]
        counts = count(np.concatenate([c[:-1] for c in cut]), np.concatenate([c[1:] for c in cut]))
        of_piece = np.split(counts, np.cumsum([len(c) - 1 for c in cut])[:-1])
        parents, pending = pending, []
        for parent, edges, tokens in zip(parents, cut, of_piece, strict=True):
            following = len(SEPARATORS) if parent.separator is None else parent.separator + 1
            large = np.flatnonzero(tokens >= max_tokens).tolist()
            for first, last in pairwise([-1, *large, len(tokens)]):
                groups += _together(edges, tokens, first + 1, last, max_tokens)
            for i in large:
                start, end = int(edges[i]), int(edges[i + 1])
                separator = _separator(text, start, end, following)
                if separator is not None:
                    pending.append(Piece(start, end, separator))
                elif tokens[i] == max_tokens and not text[start:end].isspace():
                    spans.append(Span(start, end, max_tokens))  # langchain does not strip these
                else:
                    groups.append(Group(start, end, []))
        spans += _fitted(text, groups, count, tokenizer, max_tokens)
    return sorted(spans)


def _separator(text: str, start: int, end: int, first: int) -> int | None:
    """The index of the first separator, from `first` on, that occurs in the stretch."""
    return next((i for i in range(first, len(SEPARATORS)) if text.find(SEPARATORS[i], start, end) >= 0), None)


def _cut(text: str, piece: Piece) -> np.ndarray:
    """(n + 1,) edges of the n pieces that a stretch falls into: each but the first starts with the separator."""
    at: list[int] | np.ndarray = []
    if piece.separator is not None:
        matches = re.compile(re.escape(SEPARATORS[piece.separator])).finditer(text, piece.start, piece.end)
        at = np.fromiter((match.start() for match in matches), dtype=np.int64)
    edges = np.concatenate([[piece.start], at, [piece.end]]).astype(np.int64)
    return edges[1:] if len(edges) > 2 and edges[1] == piece.start else edges


def _together(edges: np.ndarray, tokens: np.ndarray, first: int, last: int, max_tokens: int) -> Iterator[Group]:
    """Put pieces first … last - 1, each below the limit, together from the left while their sum is within it."""
    if first == last:
        return
    sums = np.concatenate([[0], np.cumsum(tokens[first:last])])
    i = 0
    while i < last - first:
        j = int(np.searchsorted(sums, sums[i] + max_tokens, side="right")) - 1
        group = edges[first + i : first + j + 1].tolist()
        yield Group(group[0], group[-1], group[1:-1])
        i = j


def _fitted(text: str, groups: list[Group], count: Counter, tokenizer: Tokenizer, max_tokens: int) -> list[Span]:
    """Strip each group and count it as a whole. Part those over the limit: between two pieces, else between tokens."""
    spans: list[Span] = []
    while groups:
        stripped = [group for group in (_strip(text, *group) for group in groups) if group.start < group.end]
        counts = count(np.array([g.start for g in stripped]), np.array([g.end for g in stripped])) if stripped else []
        groups = []
        for (start, end, joints), n_tokens in zip(stripped, counts, strict=True):
            if n_tokens <= max_tokens:
                spans.append(Span(start, end, int(n_tokens)))
            elif joints:
                middle = min(bisect_left(joints, (start + end) // 2), len(joints) - 1)
                groups.append(Group(start, joints[middle], joints[:middle]))
                groups.append(Group(joints[middle], end, joints[middle + 1 :]))
            else:
                cuts = [start + at for at in tokenizer.cuts(text[start:end], max_tokens)]
                groups += [Group(a, b, []) for a, b in pairwise([start, *cuts, end])]
    return spans


def _strip(text: str, start: int, end: int, joints: list[int]) -> Group:
    stretch = text[start:end]
    right = start + len(stretch.rstrip())
    left = end - len(stretch.lstrip())
    return Group(left, right, [at for at in joints if left < at < right])
