"""The embedded encoder: words and runs of characters, weighed by how rare they are in a document. It needs no model.

Latent semantic analysis (Deerwester et al. 1990, "Indexing by Latent Semantic Analysis") of tf-idf vectors (Spärck
Jones 1972), fitted on the document itself: so it reads every script, and knows the document's own terms. A chunk is two
halves of equal weight: its words, as ICU tells them apart in any script, and the runs of 2 to 4 characters in them, by
which inflected forms meet. What all chunks share, the mean, is taken out (Mu and Viswanath 2018, "All-but-the-Top").
Then the document's order tells which axes are about its themes: what chunks near each other have in common counts for
more, and what differs among them for less (see `_themes`). At last each chunk takes in a part of those most like it
(Rocchio 1971, "Relevance Feedback in Information Retrieval", with neighbours for the relevant), so that chunks on one
theme in different words meet, too.

Such vectors can be compared within their document alone. Texts that are compared across documents, such as questions,
get theirs from `fixed`: one space for all, into which their words and pairs of words are hashed (Weinberger et al.
2009, "Feature Hashing for Large Scale Multitask Learning").

It departs from the textbook for long documents: terms and axes are learnt from at most `LEARNT` chunks, spread evenly
over the document, and the others are projected onto them (the Nyström method; Williams and Seeger 2001). So time is
linear but for the search of neighbours, and memory does not grow with the terms of a document.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import pairwise
from typing import Any

import faiss
import numpy as np
import scipy.linalg
import scipy.sparse
from icu4py.breakers import WordBreaker
from sklearn.feature_extraction.text import CountVectorizer, HashingVectorizer, TfidfVectorizer

VERSION = 1  # raised when the vectors change
DIM = 384  # axes; where a document has fewer chunks, the rest are zeros
HASHED = 1_024  # places of the fixed space
LEARNT = 2_048  # chunks that terms and axes are learnt from
BLOCK = 256  # chunks projected at a time
ENOUGH = 8  # chunks from which on a term of a single one is left out: it tells nothing of the others
ORDERED = 96  # chunks from which on their order is looked at
NEAR, OF_DOCUMENT = 20, 0.05  # how far apart two chunks are at most that are near, and what share of the document
PER_AXIS = 4  # chunks to an axis whose part in the themes is learnt
RIDGE = 0.01  # of the variance of an axis: what is added to that among near chunks, which may be none
NEIGHBOURS, SHARE = 8, 0.7  # how many of a chunk's, and what they count for against it
LEAST = 1e-5  # what is below this is rounding
NOTHING = ""  # a term that every text has: so that none, whatever it holds, is without a vector


@dataclass(frozen=True)
class Space:
    """What was learnt from a document: its terms, the axes, the mean of its chunks, and its themes."""

    halves: tuple[TfidfVectorizer, ...]
    examples: scipy.sparse.csr_matrix  # (n_examples, n_terms)
    axes: np.ndarray  # (n_examples, k) from the similarities to the examples to k coordinates
    mean: np.ndarray  # (k,)
    themes: np.ndarray  # (j, j) for the last j of the axes

    def query(self, texts: Sequence[str]) -> np.ndarray:
        """(n, DIM) float32 unit vectors of texts about the document, such as questions, to be compared with those of
        its chunks.
        """
        return _padded(_turned(_centred(_places(self, texts), self.mean), self.themes))


def identity() -> str:
    """What determines the vectors: this module, and the dictionaries of ICU."""
    return f"words and runs of characters, version {VERSION}, icu4py {version('icu4py')}"


def document(texts: Sequence[str], done: Callable[[int], None] = lambda n: None) -> tuple[Space, np.ndarray]:
    """The space of a document and the unit vectors of its chunks in it, (n, DIM) float32. `done` hears how many more
    chunks are read. Every chunk gets a vector, whatever it holds. Raises ValueError without a chunk.
    """
    if not texts:
        raise ValueError("a document without a chunk has no space")
    chosen = np.unique(np.linspace(0, len(texts) - 1, min(len(texts), LEARNT)).round().astype(int)).tolist()
    learnt, of_examples = _learnt([str(texts[i]) for i in chosen])
    done(len(chosen))
    others = sorted(set(range(len(texts))) - set(chosen))
    places = np.zeros((len(texts), of_examples.shape[1]), np.float32)
    places[chosen] = of_examples
    for at in range(0, len(others), BLOCK):
        block = others[at : at + BLOCK]
        places[block] = _places(learnt, [texts[i] for i in block])
        done(len(block))
    mean = places.mean(axis=0)
    centred = _centred(places, mean)
    space = replace(learnt, mean=mean, themes=_themes(centred))
    return space, _padded(_mingled(_turned(centred, space.themes)))


def fixed(texts: Sequence[str]) -> np.ndarray:
    """(n, HASHED) float32 unit vectors in the one space of all texts: texts that share most of their words, in their
    order, are near each other. Other words for the same are other words here.
    """
    options: dict[str, Any] = {"analyzer": phrases, "n_features": HASHED, "dtype": np.float32}
    hashed = scipy.sparse.csr_matrix(HashingVectorizer(**options).transform(texts))
    return hashed.toarray()


def words(text: str) -> list[str]:
    """The words of a text, by ICU's rules and dictionaries, and `NOTHING`."""
    return [NOTHING, *(word for word in WordBreaker(plain(text), "root") if word[0].isalnum())]


def phrases(text: str) -> list[str]:
    """The words of a text, and each two that follow each other."""
    found = words(text)
    return found + [f"{first} {second}" for first, second in pairwise(found)]


def runs(text: str) -> list[str]:
    """The runs of 2 to 4 characters within what stands between white space, and `NOTHING`."""
    return [NOTHING, *_RUNS(text)]


def plain(text: str) -> str:
    """A text without what only spells it differently: case, and the compatibility forms of Unicode."""
    return unicodedata.normalize("NFKC", text).casefold()


_RUNS = CountVectorizer(analyzer="char_wb", ngram_range=(2, 4), preprocessor=plain).build_analyzer()


def _learnt(texts: Sequence[str]) -> tuple[Space, np.ndarray]:
    """The terms and axes of these texts, whose mean is not known yet, and their places, (n, k)."""
    least = 2 if len(texts) >= ENOUGH else 1
    analyzers: tuple[Any, Any] = words, runs
    common: dict[str, Any] = {"sublinear_tf": True, "min_df": least, "dtype": np.float32}
    halves = tuple(TfidfVectorizer(**common, analyzer=each) for each in analyzers)
    examples = scipy.sparse.csr_matrix(scipy.sparse.hstack([half.fit_transform(texts) for half in halves]))
    n = len(texts)
    similar = examples.dot(examples.T).toarray()
    values, vectors = scipy.linalg.eigh(similar, subset_by_index=[max(0, n - DIM), n - 1])
    some = values > LEAST * values[-1]
    axes = vectors[:, some] / np.sqrt(values[some])
    return Space(halves, examples, axes, np.zeros(axes.shape[1], np.float32), np.eye(0)), similar @ axes


def _places(space: Space, texts: Sequence[str]) -> np.ndarray:
    """(n, k) float32 coordinates on the axes."""
    terms = scipy.sparse.csr_matrix(scipy.sparse.hstack([half.transform(texts) for half in space.halves]))
    return (terms @ space.examples.T).toarray() @ space.axes


def _centred(places: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """(n, k) unit vectors from the mean to the places; from the origin to a place that is the mean itself."""
    found = places - mean
    at_mean = np.linalg.norm(found, axis=1) < LEAST
    return _unit(np.where(at_mean[:, None], places, found))


def _themes(vectors: np.ndarray) -> np.ndarray:
    """(j, j) by which the last j axes of (n, k) vectors, in the order of the text, are multiplied: their covariance
    among any chunks, over that among near ones. Where order tells nothing the two are the same, and nothing changes.

    This is relevant component analysis (Bar-Hillel et al. 2003, "Learning Distance Functions using Equivalence
    Relations") with near chunks for the equivalent ones, which divides by the latter covariance alone.
    """
    n = len(vectors)
    j = min(vectors.shape[1], n // PER_AXIS) if n >= ORDERED else 0
    some = vectors[:, vectors.shape[1] - j :].astype(np.float64)
    away = min(NEAR, int(n * OF_DOCUMENT))
    first, end = np.maximum(np.arange(n) - away, 0), np.minimum(np.arange(n) + away + 1, n)
    sums = np.cumsum(np.vstack([np.zeros(j), some]), axis=0)
    # Half the mean of (x - y)(x - y)ᵀ over all x and each y near it. Counting y = x, too, adds nothing.
    differing = (some * (end - first)[:, None]).T @ some - some.T @ (sums[end] - sums[first])
    near = differing / np.maximum(1, (end - first - 1).sum())
    total = some.T @ some / n
    return np.linalg.solve(near + RIDGE * np.trace(total) / max(1, j) * np.eye(j), total).astype(np.float32)


def _turned(vectors: np.ndarray, themes: np.ndarray) -> np.ndarray:
    """(n, k) unit vectors, their last axes multiplied by `themes`."""
    first = vectors.shape[1] - len(themes)
    return _unit(np.hstack([vectors[:, :first], vectors[:, first:] @ themes]))


def _mingled(vectors: np.ndarray) -> np.ndarray:
    """(n, k) unit vectors, each with a share of its nearest neighbours, the more of one the more alike it is."""
    n = min(NEIGHBOURS + 1, len(vectors))
    similar, nearest = faiss.knn(vectors, vectors, n, metric=faiss.METRIC_INNER_PRODUCT)
    weights = np.where(nearest == np.arange(len(vectors))[:, None], 0, similar.clip(min=0))
    around = np.zeros_like(vectors)
    for i in range(n):  # one neighbour of all at a time: (n, n_neighbours, k) would be large
        around += weights[:, i : i + 1] * vectors[nearest[:, i]]
    return _unit(vectors + SHARE * _unit(around))


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors of length one; one of zeros stays so."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.divide(vectors, lengths, out=np.zeros_like(vectors), where=lengths > LEAST)


def _padded(vectors: np.ndarray) -> np.ndarray:
    return np.pad(vectors, ((0, 0), (0, DIM - vectors.shape[1])))
