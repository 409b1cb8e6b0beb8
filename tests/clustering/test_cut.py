import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.clustering import cut
from datagen.clustering.cut import cohesion, spread, themes
from datagen.clustering.reachability import unit
from datagen.clustering.tree import hdbscan
from tests.clustering.made import as_lists, documents, half, themed


def pairs(vectors: np.ndarray) -> float:
    return float(np.mean([vectors[i] @ vectors[j] for i in range(len(vectors)) for j in range(i)]))


@given(documents, st.sampled_from([0.0, 0.3, 0.6, 0.9]), st.integers(2, 6), st.integers(0, 12), st.integers(1, 5))
def test_clusters_are_disjoint_and_keep_to_the_limits(vectors, min_similarity, smallest, more, min_samples):
    found = themes(vectors, min_similarity, smallest, smallest + more, min_samples)
    members = [i for cluster in found for i in cluster.tolist()]
    assert len(members) == len(set(members))
    for cluster in found:
        assert smallest <= len(cluster) <= smallest + more
        assert cluster.tolist() == sorted(cluster.tolist())
        assert pairs(unit(vectors)[cluster]) >= min_similarity - 1e-9


@given(documents, st.sampled_from([0.3, 0.6, 0.9]))
def test_no_free_chunk_is_like_a_cluster_with_room(vectors, min_similarity):
    found = themes(vectors, min_similarity, 3, 8, 2)
    free = set(range(len(vectors))) - {i for cluster in found for i in cluster.tolist()}
    for cluster in found:
        if len(cluster) < 8:
            for i in free:
                assert (unit(vectors)[cluster] @ unit(vectors)[i]).mean() < min_similarity + 1e-9


@pytest.mark.parametrize("sides", [2, 5, 9])
def test_one_theme_of_many_sides_is_cut_where_the_published_rule_drops_it(sides):
    vectors = np.concatenate([themed(1, sides, 9, spread=0.6), themed(1, 1, 6, seed=9)])
    published = [cluster for cluster in hdbscan(vectors, 4, 2, 0.5) if len(cluster) <= 16]
    assert len(published) == 1
    found = themes(vectors, 0.9, 4, 16, 2)
    assert sorted(map(len, found)) == [6] + [9] * sides


def test_free_chunks_are_looked_at_again():
    """Ten chunks lie between two dense groups, too far out for either, and are a theme of their own."""
    rng = np.random.default_rng(0)
    a, b, c = np.eye(64)[:3]
    dense = [centre + 0.01 * rng.normal(size=(5, 64)) for centre in (a + 0.35 * c, b + 0.35 * c)]
    loose = a + b + 1.2 * c + 0.07 * rng.normal(size=(10, 64))
    vectors = half(np.concatenate([*dense, loose]))
    assert [10, *range(11, 20)] in as_lists(themes(vectors, 0.85, 4, 16, 2))


@pytest.mark.parametrize(("min_similarity", "limit", "joins"), [(0.8, 16, True), (0.8, 6, False), (0.9, 16, False)])
def test_a_free_chunk_joins_the_cluster_that_it_is_most_like(min_similarity, limit, joins):
    rng = np.random.default_rng(1)
    a, b = np.eye(32)[:2]
    groups = [centre + 0.02 * rng.normal(size=(6, 32)) for centre in (a, b)]
    vectors = unit(np.concatenate([*groups, (a + 0.6 * b)[None]]))  # its similarities: 0.86 and 0.51
    clusters = cut._joined(vectors, [np.arange(6), np.arange(6, 12)], np.array([12]), min_similarity, limit)
    assert as_lists(clusters) == [[0, 1, 2, 3, 4, 5, *([12] if joins else [])], [6, 7, 8, 9, 10, 11]]


@pytest.mark.parametrize(("n", "sizes"), [(40, [16, 16, 8]), (35, [16, 16]), (3000, [16] * 187 + [8])])
def test_identical_chunks_fill_clusters_to_the_limit_from_one_tree(n, sizes):
    same = np.repeat(half(np.arange(1.0, 9)[None]), n, axis=0)
    assert sorted(map(len, cut._branches(unit(same), 0.99, 4, 16, 2)), reverse=True) == sizes
    assert len(themes(same, 0.99, 4, 16, 2)) == len(sizes)


@given(st.integers(1, 12), st.integers(1, 6), st.integers(0, 2**32 - 1), st.floats(0, 3))
def test_cohesion_is_that_of_all_pairs(n, dim, seed, offset):
    vectors = unit(np.random.default_rng(seed).normal(size=(n, dim)) + offset)
    assert cohesion(vectors) == pytest.approx(1.0 if n < 2 else pairs(vectors), abs=1e-9)


@given(st.lists(st.integers(0, 99), min_size=2, max_size=9, unique=True))
def test_spread_is_the_mean_distance_over_that_of_random_chunks(chunks):
    distances = [abs(a - b) for i, a in enumerate(chunks) for b in chunks[:i]]
    assert spread(np.array(chunks), 100) == pytest.approx(np.mean(distances) / (101 / 3))


def test_spread_of_all_kinds():
    assert spread(np.array([7]), 100) == 0.0
    assert spread(np.arange(4) + 50, 1000) < 0.01
    assert spread(np.arange(1000), 1000) == pytest.approx(1.0)
    assert spread(np.array([0, 999]), 1000) > 2.9


def test_joining_in_blocks_changes_nothing(monkeypatch):
    vectors = unit(themed(6, 2, 8, spread=0.5, noise=0.5))
    clusters = [np.arange(i, i + 4) for i in range(0, 48, 8)]
    free = np.setdiff1d(np.arange(96), np.concatenate(clusters))
    whole = cut._joined(vectors, clusters, free, 0.3, 16)
    monkeypatch.setattr(cut, "BLOCK", 16)
    assert as_lists(cut._joined(vectors, clusters, free, 0.3, 16)) == as_lists(whole)
