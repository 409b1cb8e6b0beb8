import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.selection import near_duplicates as duplicates


def unlike(rng: np.random.Generator, n: int, dim: int, near: float) -> np.ndarray:
    """(n, dim) float16 of unit length, many of them near another."""
    vectors = rng.normal(size=(n, dim)) * np.arange(1, dim + 1) ** -0.5
    for i in range(1, n):
        if rng.uniform() < 0.4:
            vectors[i] = vectors[rng.integers(i)] + near * rng.normal(size=dim) * np.linalg.norm(vectors[i]) / dim**0.5
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)


def plainly(vectors: np.ndarray, asked: list[int], limit: float) -> list[int]:
    exact = vectors.astype(np.float32)
    exact = (exact / np.linalg.norm(exact, axis=1, keepdims=True)).astype(np.float64)
    above = exact @ exact.T > limit
    return [next((j for j in range(i) if above[i, j]), -1) for i in asked]


@pytest.mark.parametrize("dim", [8, 48, 100])
@pytest.mark.parametrize("near", [0.05, 0.3, 1.0])
def test_the_first_near_duplicate_is_found(monkeypatch, dim, near):
    monkeypatch.setattr(duplicates, "BLOCK", 16)
    rng = np.random.default_rng(dim)
    for n in (1, 5, 16, 17, 150):
        vectors = unlike(rng, n, dim, near)
        asked = np.flatnonzero(rng.uniform(size=n) < 0.7)
        for limit in (0.99, 0.95, 0.8, 0.5, 0.0):
            found, cosines = duplicates.first_near(vectors, asked, limit)
            assert found.tolist() == plainly(vectors, asked.tolist(), limit)
            assert all((cosine > limit) == (before >= 0) for before, cosine in zip(found, cosines, strict=True))


@given(st.integers(0, 99), st.floats(0, 1), st.data())
def test_what_is_found_depends_on_nothing_else_that_is_asked(seed, limit, data):
    vectors = unlike(np.random.default_rng(seed), 40, 48, 0.2)
    asked = sorted(data.draw(st.sets(st.integers(0, 39), min_size=1)))
    some = sorted(data.draw(st.sets(st.sampled_from(asked), min_size=1)))
    every, fewer = (
        duplicates.first_near(vectors, np.array(asked), limit),
        duplicates.first_near(vectors, np.array(some), limit),
    )
    at = [asked.index(i) for i in some]
    assert [found[at].tolist() for found in every] == [found.tolist() for found in fewer]


def test_a_limit_that_is_the_cosine_itself():
    vectors = np.array([[1, 0], [0.6, 0.8], [1, 0]], np.float16)
    exact = float(duplicates.first_near(vectors, np.array([1]), 0.5)[1][0])
    for limit, expected in ((exact, -1), (np.nextafter(exact, 0), 0)):
        assert duplicates.first_near(vectors, np.array([1]), limit)[0].tolist() == [expected]


def test_vectors_of_nothing_are_like_none():
    assert duplicates.first_near(np.zeros((3, 48), np.float16), np.arange(3), 0.0)[0].tolist() == [-1, -1, -1]


@given(st.lists(st.integers(0, 5)))
def test_repeats(codes):
    expected = [codes.index(code) if codes.index(code) < i else -1 for i, code in enumerate(codes)]
    assert duplicates.repeats(np.array(codes, np.int64)).tolist() == expected
