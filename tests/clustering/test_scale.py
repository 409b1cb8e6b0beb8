import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.clustering import scale
from datagen.clustering.reachability import unit
from tests.clustering.made import scattered


@given(st.integers(2, 60), st.integers(0, 5), st.floats(0, 1))
def test_a_level_lies_between_any_two_and_the_nearest(n, seed, share):
    vectors = unit(scattered(n, 12, 3, 0.3, seed))
    similar = vectors @ vectors.T
    typical = similar[np.triu_indices(n, 1)].mean()
    np.fill_diagonal(similar, -2)
    nearest = np.median(similar.max(axis=1))
    assert scale.level(vectors, share) == pytest.approx(typical + share * (nearest - typical), abs=1e-5)


@given(st.integers(3, 40), st.integers(0, 5), st.floats(0, 1), st.floats(0.1, 3))
def test_a_level_has_as_many_pairs_above_it_on_any_scale(n, seed, share, length):
    """A vector that all chunks have in common moves all similarities, and changes nothing."""
    vectors = unit(scattered(n, 12, 3, 0.3, seed))
    shifted = unit(np.hstack([vectors, np.full((n, 1), length)]))

    def above(these: np.ndarray) -> np.ndarray:
        return (these @ these.T)[np.triu_indices(n, 1)] - scale.level(these, share)

    assert above(shifted) * (1 + length**2) == pytest.approx(above(vectors), abs=1e-4)


def test_parts_that_differ_are_told_apart_and_noise_is_not():
    rng = np.random.default_rng(0)
    parts = np.repeat(rng.normal(size=(6, 16)), 20, axis=0) + 0.3 * rng.normal(size=(120, 16))
    noise = rng.normal(size=(400, 16))
    assert scale.told_apart(unit(parts)) > 0.85
    assert scale.told_apart(unit(noise)) == pytest.approx(0.5, abs=0.05)
    assert scale.told_apart(np.ones((5, 4)) / 2) == 0.5


def test_of_a_long_document_a_part_is_looked_at():
    rng = np.random.default_rng(1)
    vectors = unit(np.repeat(rng.normal(size=(8, 16)), 400, axis=0) + rng.normal(size=(3200, 16)))
    similar = vectors @ vectors.T
    np.fill_diagonal(similar, -2)
    assert scale.level(vectors, 1) == pytest.approx(np.median(similar.max(axis=1)), abs=0.01)
    assert scale.told_apart(vectors) > 0.7


@pytest.mark.parametrize("call", [scale.told_apart, lambda vectors: scale.level(vectors, 0.5)])
def test_one_chunk_makes_no_pair(call):
    with pytest.raises(ValueError, match="fewer than two"):
        call(np.ones((1, 3)))
