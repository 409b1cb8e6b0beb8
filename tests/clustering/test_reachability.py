import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse.csgraph import minimum_spanning_tree
from sklearn.metrics.pairwise import cosine_distances

from datagen.clustering import reachability
from datagen.clustering.reachability import by_matrix, by_neighbours, reach, unit
from tests.clustering.made import documents, scattered


def mutual_reachability(vectors: np.ndarray, min_samples: int) -> np.ndarray:
    distances = cosine_distances(vectors.astype(np.float64))
    core = np.sort(distances, axis=1)[:, min_samples - 1]
    return np.maximum(distances, np.maximum(core[:, None], core[None, :]))


def check(vectors: np.ndarray, min_samples: int, reached: reachability.Reached) -> None:
    """Its gaps are the edges of a minimum spanning tree; each is what parts its point from all before it."""
    lengths = mutual_reachability(vectors, min_samples)
    assert sorted(reached.order.tolist()) == list(range(len(vectors)))
    assert reached.order[0] == 0
    tree = minimum_spanning_tree(lengths + 1)  # zeros would be no edges
    np.testing.assert_allclose(np.sort(reached.gaps), np.sort(tree.data) - 1, atol=1e-6)
    for i, gap in enumerate(reached.gaps):
        before, after = reached.order[: i + 1], reached.order[i + 1 :]
        assert abs(lengths[np.ix_(before, after)].min() - gap) < 1e-6
        assert lengths[before, reached.order[i + 1]].min() < gap + 1e-6


@given(documents, st.integers(1, 5))
def test_prims_order_with_a_matrix(vectors, min_samples):
    min_samples = min(min_samples, len(vectors))
    check(vectors, min_samples, by_matrix(unit(vectors), min_samples))


@settings(max_examples=60)
@given(documents.filter(lambda v: len(v) > 12), st.integers(1, 5), st.integers(2, 6))
def test_prims_order_from_neighbours(vectors, min_samples, neighbours):
    check(vectors, min_samples, by_neighbours(unit(vectors), min_samples, neighbours))


def test_more_copies_of_a_chunk_than_neighbours():
    vectors = np.repeat(scattered(5, 8, 5, 0.5, seed=0), 20, axis=0)
    check(vectors, 2, by_neighbours(unit(vectors), 2, 4))


def test_a_long_document_needs_no_matrix(monkeypatch):
    vectors = scattered(300, 16, 12, 0.5, seed=3)
    with_matrix = reach(unit(vectors), 2)
    monkeypatch.setattr(reachability, "DENSE", 100)
    without = reach(unit(vectors), 2)
    assert without.order.tolist() == with_matrix.order.tolist()
    np.testing.assert_allclose(without.gaps, with_matrix.gaps, atol=1e-12)


def test_min_samples_beyond_the_document():
    vectors = scattered(5, 8, 2, 0.5, seed=0)
    check(vectors, 5, reach(unit(vectors), 99))


def test_min_samples_beyond_the_neighbours_that_are_kept():
    vectors = scattered(150, 8, 3, 0.5, seed=4)
    for min_samples in (40, 149, 150):
        check(vectors, min_samples, by_neighbours(unit(vectors), min_samples, 4))


@pytest.mark.parametrize("n", [2048, 2049])
def test_the_shortest_document_without_a_matrix_is_walked_as_the_longest_with_one(n):
    vectors = unit(scattered(n, 24, 60, 0.6, seed=n))
    walked, with_matrix = reach(vectors, 2), by_matrix(vectors, 2)
    np.testing.assert_allclose(walked.gaps, with_matrix.gaps, atol=1e-9)


@pytest.mark.parametrize("n", [50, 3000])
@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_a_vector_without_a_direction_is_refused(n, value):
    vectors = scattered(n, 8, 5, 0.5, seed=0)
    vectors[7] = value
    with pytest.raises(ValueError, match=rf"^1 of {n:,} vectors .* chunk 7$"):
        unit(vectors)
