import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.clustering.reachability import Reached
from datagen.clustering.tree import condense, hdbscan, single_linkage
from tests.clustering.made import as_lists, documents, half, reference, scattered, themed


@given(documents, st.integers(2, 8), st.integers(1, 6), st.sampled_from([0.0, 0.1, 0.3, 0.6]))
def test_clusters_are_those_of_scikit_learn(vectors, min_cluster_size, min_samples, epsilon):
    found = hdbscan(vectors, min_cluster_size, min_samples, epsilon)
    assert as_lists(found) == reference(vectors, min_cluster_size, min_samples, epsilon)


@pytest.mark.parametrize(("n", "noise"), [(400, 0.4), (1000, 0.7), (2000, 0.9)])
def test_clusters_of_a_long_document_are_those_of_scikit_learn(n, noise):
    vectors = scattered(n, 48, 30, noise, seed=n)
    found = as_lists(hdbscan(vectors, 4, 2, 0.3))
    assert found == reference(vectors, 4, 2, 0.3)
    assert len(found) > 1


@pytest.mark.parametrize("epsilon", [0.4, 0.45, 0.5])
def test_epsilon_merges_clusters(epsilon):
    """On numpy 2.4 and later scikit-learn fails as soon as epsilon merges anything."""
    vectors = themed(3, 3, 5)
    apart, merged = hdbscan(vectors, 4, 2, 0.0), hdbscan(vectors, 4, 2, epsilon)
    assert (len(apart), len(merged)) == (9, 3)
    assert as_lists(merged) == reference(vectors, 4, 2, epsilon)


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5])
def test_hardly_any_chunks(n):
    assert hdbscan(scattered(9, 8, 1, 0.1, 0)[:n], 4, 2, 0.3) == []


def test_identical_chunks():
    same = np.repeat(half(np.ones((1, 8))), 20, axis=0)
    assert hdbscan(same, 4, 2, 0.3) == []
    both = np.concatenate([same, np.repeat(half(np.arange(8.0)[None] - 3), 9, axis=0)])
    assert as_lists(hdbscan(both, 4, 2, 0.0)) == reference(both, 4, 2, 0.0) == [[*range(20)], [*range(20, 29)]]


def test_a_dendrogram_joins_neighbouring_runs_from_the_nearest_to_the_farthest():
    linkage = single_linkage(np.array([0.2, 0.5, 0.1]), np.array([2, 0, 1]))
    assert linkage.distance == [0.1, 0.2, 0.5]
    assert linkage.halves == [(2, 3), (0, 1), (5, 4)]
    assert list(zip(linkage.start, linkage.end, strict=True))[4:] == [(2, 4), (0, 2), (0, 4)]


def test_condensing_leaves_out_splits_with_a_small_side():
    gaps = np.array([0.1, 0.1, 0.9, 0.2, 0.2, 0.5])  # runs 0-2 and 3-5, and point 6 that leaves the second
    tree = condense(Reached(np.arange(7), gaps), 3)
    assert [(node.start, node.end) for node in tree] == [(0, 7), (0, 3), (3, 7)]
    assert [node.birth for node in tree[1:]] == [1 / 0.9] * 2
    assert tree[2].stability == pytest.approx((1 / 0.5 - 1 / 0.9) + 3 * (1 / 0.2 - 1 / 0.9))
