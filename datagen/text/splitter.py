"""Split a text into chunks of a bounded number of tokens, with exact offsets.

Source: the data pipeline of LongRLVR (arXiv 2603.02146) splits with langchain's RecursiveCharacterTextSplitter, without
overlap, at the separators below, with a token count as its length function. With `published`, `split` gives the same
chunk texts: cut in front of every occurrence of the first separator there is; cut pieces that are not below the limit
at the separators after it; put neighbours together while the sum of their counts is within the limit; strip white
space.

It departs from that where a chunk would be over the limit: a piece without a separator is cut between tokens, and
pieces that count more together than apart are parted again in the middle. Also, every chunk knows its place and its
true count, white space alone is never a chunk, and a piece of no tokens at all (some tokenizers drop characters) goes
into one chunk, never into two.

By default the same is done at other places: `breaks.TIERS` knows the marks of every script, and cuts behind them, so
that no chunk begins with what ends the one before it. That holds where there is no separator, too.

A piece is a pair of positions, not a copy. There is no recursion: in one round per separator, all pieces that are still
too large and hold it are cut, and what they fall into is counted in one batch, once.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain, pairwise
from typing import NamedTuple

import numpy as np

from datagen.text import breaks
from datagen.text.tokenizers import Tokenizer

SEPARATORS = ("\n\n", "\n", ". ", "! ", "? ", "; ", ", ", "。", "！", "？", "；", "，")
PATTERNS = {separator: re.compile(re.escape(separator)) for separator in SEPARATORS}


class Span(NamedTuple):
    """A chunk: `text[start:end]`, of `n_tokens` tokens when counted by itself."""

    start: int
    end: int
    n_tokens: int


class Group(NamedTuple):
    """A stretch of text that should make a chunk, and the (n,) ascending places between its pieces."""

    start: int
    end: int
    joints: np.ndarray


NONE = np.empty(0, dtype=np.int64)
Counter = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (n,) starts, (n,) ends -> (n,) tokens
Edges = Callable[[str, int, int], np.ndarray]  # text, start, end -> (n + 1,) edges of the n pieces; (0,) if undivided
Cuts = Callable[[int, int], list[int]]  # start, end -> ascending places inside, which leave pieces within the limit


def split(text: str, tokenizer: Tokenizer, max_tokens: int, published: bool = False) -> list[Span]:
    """The chunks of a text in order: disjoint, at most `max_tokens` each, only white space (str.isspace) between them.

    `published`: those of the published splitter, which cuts in front of its separators. Else no chunk but the first
    begins with a mark that ends a sentence or a part of one, a closing bracket or a closing quotation mark, unless a
    run of these is longer than a chunk. A text of nothing but white space has none. Raises UnicodeEncodeError if the
    text has a lone surrogate (a tokenizer may let it pass), and ConfigError if a single character has more than
    `max_tokens` tokens.
    """
    count = partial(tokenizer.count_spans, text)
    tiers: list[Edges] = [partial(_in_front, separator) for separator in SEPARATORS]
    if not published:
        tiers = [partial(_behind, tier) for tier in breaks.TIERS]
    room = max_tokens - 1 if published else max_tokens  # langchain cuts a piece of just the limit again
    groups: list[Group] = []
    large = [(0, len(text), -1)] if text else []  # pieces to be cut: start, end, tokens (-1: not counted)
    for tier in tiers:
        edges = [tier(text, start, end) for start, end, _ in large]
        large = [piece for piece, inner in zip(large, edges, strict=True) if not len(inner)]
        edges = [inner for inner in edges if len(inner)]
        if not edges:
            continue
        starts, ends = np.concatenate([e[:-1] for e in edges]), np.concatenate([e[1:] for e in edges])
        tokens = count(starts, ends)
        parents = np.cumsum([0] + [len(e) - 1 for e in edges])
        groups += _together(starts, ends, tokens, parents, max_tokens, room)
        too_large = (tokens > room).nonzero()[0]
        large += zip(starts[too_large].tolist(), ends[too_large].tolist(), tokens[too_large].tolist(), strict=True)
    spans = []
    for start, end, n_tokens in large:
        if published and n_tokens < 0:
            n_tokens = int(count(np.array([start]), np.array([end]))[0])
        if published and n_tokens == max_tokens and not text[start:end].isspace():
            spans.append(Span(start, end, n_tokens))  # langchain does not strip these
        else:
            groups.append(Group(start, end, NONE))
    cuts = partial(_between_tokens, text, tokenizer, max_tokens, published)
    return sorted(spans + _fitted(text, groups, count, cuts, max_tokens))


def _in_front(separator: str, text: str, start: int, end: int) -> np.ndarray:
    """(n + 1,) edges of the n pieces, each but the first beginning with the separator; (0,) if the stretch has none."""
    if text.find(separator, start, end) < 0:
        return NONE
    matches = PATTERNS[separator].finditer(text, start, end)
    edges = np.fromiter(chain([start], map(re.Match.start, matches), [end]), dtype=np.int64)
    return edges[1:] if edges[1] == start else edges


def _behind(tier: breaks.Tier, text: str, start: int, end: int) -> np.ndarray:
    """(n + 1,) edges of the n pieces that the tier's places make of the stretch; (0,) if it has none."""
    places = list(breaks.places(tier, text, start, end))
    return np.array([start, *places, end], dtype=np.int64) if places else NONE


def _together(
    starts: np.ndarray, ends: np.ndarray, tokens: np.ndarray, parents: np.ndarray, max_tokens: int, room: int
) -> Iterator[Group]:
    """Put pieces of at most `room` together from the left while their sum is within the limit: neighbours, of one
    parent.

    The pieces of the i-th parent are numbers parents[i] … parents[i + 1] - 1.
    """
    sums = np.concatenate([[0], tokens.cumsum()])
    up_to = sums.searchsorted(sums + max_tokens, side="right") - 1  # as many pieces as the limit has room for
    large = (tokens > room).nonzero()[0].tolist()
    for i, end in pairwise(sorted({*parents.tolist(), *large, *(i + 1 for i in large)})):
        while i < end and tokens[i] <= room:
            j = min(int(up_to[i]), end)
            yield Group(int(starts[i]), int(ends[j - 1]), starts[i + 1 : j])
            i = j


def _fitted(text: str, groups: list[Group], count: Counter, cuts: Cuts, max_tokens: int) -> list[Span]:
    """Strip each group and count it as a whole. Part those over the limit: between two pieces, else where `cuts` is."""
    spans: list[Span] = []
    while groups:
        stripped = [group for group in (_strip(text, *group) for group in groups) if group.start < group.end]
        groups = []
        counts = count(np.array([g.start for g in stripped], np.int64), np.array([g.end for g in stripped], np.int64))
        for (start, end, joints), n_tokens in zip(stripped, counts.tolist(), strict=True):
            if n_tokens <= max_tokens:
                spans.append(Span(start, end, n_tokens))
                continue
            joints = joints[(start < joints) & (joints < end)]
            if len(joints):
                middle = min(int(np.searchsorted(joints, (start + end) // 2)), len(joints) - 1)
                groups.append(Group(start, int(joints[middle]), joints[:middle]))
                groups.append(Group(int(joints[middle]), end, joints[middle + 1 :]))
            else:
                groups += [Group(a, b, NONE) for a, b in pairwise([start, *cuts(start, end), end])]
    return spans


def _between_tokens(
    text: str, tokenizer: Tokenizer, max_tokens: int, published: bool, start: int, end: int
) -> list[int]:
    """Where to cut a stretch that nothing divides. By default each cut is drawn back to where a chunk may begin, which
    can leave a piece over the limit, to be cut again.
    """
    cuts = [start + at for at in tokenizer.cuts(text[start:end], max_tokens)]
    if published:
        return cuts
    drawn = [breaks.last_beginning(text, a + 1, b) for a, b in pairwise([start, *cuts])]
    there = [at for at in drawn if at is not None]
    if not there and (at := breaks.first_beginning(text, cuts[0] + 1, end)) is not None:
        there = [at]
    return there or cuts  # a run of marks that is longer than a chunk


def _strip(text: str, start: int, end: int, joints: np.ndarray) -> Group:
    stretch = text[start:end]
    return Group(end - len(stretch.lstrip()), start + len(stretch.rstrip()), joints)
