import random
import warnings
from collections import Counter
from functools import partial

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from datagen import records
from datagen.clustering.reachability import unit
from datagen.config.data import ClusterConfig as Settings
from datagen.records import Cluster, Dropped
from datagen.stages import cluster
from tests.clustering.made import as_lists, half, reference, themed


def check(vectors: np.ndarray, seed: int = 0, doc_id: str = "a", **given) -> tuple[list[Cluster], list[Dropped]]:
    """Cluster a document, and hold what every outcome has to keep to."""
    wanted = Settings(**given)
    kept, dropped = cluster.cluster_document(doc_id, vectors, wanted, seed)
    assert len(kept) <= wanted.max_clusters
    assert len({c.cluster_id for c in kept} | {d.row_id for d in dropped}) == len(kept) + len(dropped)
    members = [i for c in kept for i in c.chunk_indices]
    assert len(members) == len(set(members))
    for c in kept:
        assert c.doc_id == doc_id
        assert c.chunk_indices == sorted(c.chunk_indices)
        assert wanted.min_cluster_size <= len(c.chunk_indices) <= wanted.max_cluster_size
        assert all(type(i) is int and 0 <= i < len(vectors) for i in c.chunk_indices)
    assert {d.status for d in dropped} <= {"rejected"}
    assert {d.doc_id for d in dropped} <= {doc_id}
    assert bool(kept) != ("document" in {d.unit for d in dropped})
    records.to_table(Cluster, kept)
    return kept, dropped


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("epsilon", [0.0, 0.3, 0.45])
def test_published_gives_what_the_published_rule_gives(seed, epsilon):
    shape = [(3, 3, 5), (2, 5, 6), (1, 2, 30), (8, 1, 3), (5, 2, 9), (4, 4, 4)][seed]
    vectors = themed(*shape, seed=seed, spread=0.2 + 0.1 * seed, noise=0.1 + 0.05 * seed)
    found = reference(vectors, 4, 2, epsilon)
    given = {"published": True, "min_similarity": 1 - epsilon, "max_clusters": 1000}
    kept, dropped = cluster.cluster_document("a", vectors, Settings(**given), 0)
    assert [c.chunk_indices for c in kept] == [group for group in found if len(group) <= 16]
    assert sum(d.reason == "oversized" for d in dropped) == sum(len(group) > 16 for group in found)


def test_published_means_the_published_similarity_unless_another_is_given():
    assert Settings().min_similarity is None
    assert Settings(published=True).min_similarity == 0.7
    assert Settings(published=True, min_similarity=0.5).min_similarity == 0.5


def test_the_cut_keeps_what_the_published_rule_drops():
    vectors = np.concatenate([themed(1, 6, 7), themed(1, 1, 6, seed=9)])  # a theme of 42 chunks and six sides; another
    few, dropped = check(vectors, published=True, min_similarity=0.5, max_clusters=9)
    assert [len(c.chunk_indices) for c in few] == [6]
    assert [(d.reason, d.detail) for d in dropped] == [("oversized", "42 chunks, cluster.max_cluster_size is 16")]
    many, dropped = check(vectors, min_similarity=0.95, max_clusters=9)
    assert [len(c.chunk_indices) for c in many] == [7] * 6 + [6]
    assert not dropped
    assert few[0].chunk_indices == many[-1].chunk_indices
    assert all(c.cohesion > c.document_cohesion for c in many)


def test_clusters_stand_in_order_of_their_first_chunk_and_are_named_after_it():
    kept, dropped = check(themed(5, 1, 6), max_clusters=5)
    assert not dropped
    assert [c.cluster_id for c in kept] == [f"a/c{i}" for i in range(5)]
    firsts = [c.chunk_indices[0] for c in kept]
    assert firsts == sorted(firsts)


def test_clusters_that_are_spread_and_alike_are_kept():
    vectors = themed(9, 1, 5)
    everything = check(vectors, max_clusters=9)[0]
    kept, dropped = check(vectors, max_clusters=3)
    assert len(everything) > 6
    ranks = {
        c.cluster_id: sum(o.spread > c.spread for o in everything) + sum(o.cohesion > c.cohesion for o in everything)
        for c in everything
    }
    assert sorted(ranks[c.cluster_id] for c in kept) == sorted(ranks.values())[:3]
    left = ranks.keys() - {c.cluster_id for c in kept}
    assert {d.row_id: d.detail for d in dropped} == dict.fromkeys(left, f"3 of {len(everything)} were drawn")


def test_the_published_draw_depends_on_the_seed_and_the_document_alone():
    vectors = themed(9, 1, 5)
    run = partial(check, published=True)
    kept, dropped = run(vectors, max_clusters=3)
    drawn = [c.chunk_indices for c in kept]
    assert Counter(d.reason for d in dropped) == {"not drawn": 6}
    assert {d.detail for d in dropped} == {"3 of 9 were drawn"}
    assert kept == run(vectors, max_clusters=3)[0]
    assert drawn == [c.chunk_indices for c in run(vectors, max_clusters=3, min_clusters=2)[0]]
    everything = run(vectors, max_clusters=9)[0]
    assert [c for c in everything if c.cluster_id in {k.cluster_id for k in kept}] == kept
    other_seeds = [[c.chunk_indices for c in run(vectors, max_clusters=3, seed=seed)[0]] for seed in range(1, 9)]
    other_documents = [[c.chunk_indices for c in run(vectors, max_clusters=3, doc_id=d)[0]] for d in "bcdefghi"]
    for others in (other_seeds, other_documents):
        assert len(set(map(str, others))) > 3


def test_too_few_clusters_account_for_every_cluster():
    vectors = np.concatenate([themed(2, 1, 6, seed=1), themed(1, 1, 30, seed=2, noise=0.05)])
    kept, dropped = check(vectors, min_clusters=4, published=True)
    assert not kept
    assert sorted((d.unit, d.row_id, d.reason) for d in dropped) == [
        ("cluster", "a/c0", "document left out"),
        ("cluster", "a/c1", "document left out"),
        ("cluster", "a/c2", "oversized"),
        ("document", "a", "too few clusters"),
    ]
    assert dropped[-1].detail == "2 usable of 3 clusters in 42 chunks, at least 4 wanted"


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_document_of_hardly_any_chunks_has_no_cluster(n):
    kept, dropped = check(themed(1, 1, 4)[:n])
    assert not kept
    assert [(d.unit, d.reason) for d in dropped] == [("document", "too few clusters")]
    assert dropped[0].detail == f"0 usable of 0 clusters in {n} chunks, at least 1 wanted"


@pytest.mark.parametrize("n", [2, 3])
def test_the_smallest_clusters_there_can_be(n):
    check(themed(1, 1, 4)[:n], min_cluster_size=2, min_samples=5)
    check(themed(2, 1, n), min_cluster_size=2, min_samples=1, min_similarity=0.9)


@pytest.mark.parametrize("n", [4, 5, 17, 60])
@pytest.mark.parametrize("published", [True, False])
def test_identical_vectors_are_no_trouble(n, published):
    same = np.repeat(themed(1, 1, 1), n, axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        check(same, published=published)
        kept, _ = check(np.concatenate([same, themed(2, 1, 6, seed=5)]), published=published)
    assert len(kept) >= 2


def test_cohesion_is_the_mean_similarity_of_the_pairs():
    vectors = themed(3, 1, 6)
    kept, _ = check(vectors)
    whole = half(vectors).astype(np.float64)
    for c in kept:
        assert c.cohesion == pytest.approx(pairs(whole[c.chunk_indices]), abs=2e-3)
        assert c.document_cohesion == pytest.approx(pairs(whole), abs=2e-3)


def pairs(vectors: np.ndarray) -> float:
    similarities = [vectors[i] @ vectors[j] for i in range(len(vectors)) for j in range(i)]
    return float(np.mean(similarities))


documents = st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 8), st.integers(0, 99))


@settings(max_examples=40)
@given(
    shape=documents,
    similarity=st.sampled_from([0.0, 0.3, 0.5, 0.7, 1.0]),
    sizes=st.tuples(st.integers(2, 6), st.integers(0, 8)),
    samples=st.integers(1, 6),
    published=st.booleans(),
    counts=st.tuples(st.integers(1, 3), st.integers(1, 5)),
)
@example(shape=(1, 1, 1, 0), similarity=0.7, sizes=(2, 0), samples=6, published=False, counts=(1, 1))
def test_every_cluster_is_kept_or_dropped_with_a_reason(shape, similarity, sizes, samples, published, counts):
    vectors = themed(*shape[:3], seed=shape[3], noise=random.Random(shape[3]).uniform(0, 0.6))
    given = Settings(
        min_similarity=similarity,
        min_cluster_size=sizes[0],
        max_cluster_size=sum(sizes),
        min_samples=samples,
        published=published,
        min_clusters=counts[0],
        max_clusters=counts[1],
    )
    found = sorted(
        as_lists(cluster.find_clusters(unit(vectors), given, cluster.least_similarity(unit(vectors), given)))
    )
    assert all(len(group) >= given.min_cluster_size for group in found)
    kept, dropped = check(vectors, **given.model_dump())
    fates = {d.row_id: d.reason for d in dropped if d.unit == "cluster"}
    assert len(kept) + len(fates) == len(found)
    for i, group in enumerate(found):
        assert (fates.get(f"a/c{i}") == "oversized") == (len(group) > given.max_cluster_size)
    assert [c.chunk_indices for c in kept] == [found[int(c.cluster_id.split("/c")[1])] for c in kept]


def test_a_long_document_is_clustered_in_parts_that_a_prompt_has_room_for():
    vectors = np.concatenate([themed(2, 1, 12, seed=1)] * 4)  # the same two themes in every part
    ends = np.cumsum([100] * len(vectors))
    settings = Settings(max_span_tokens=2_500, max_clusters=99)
    assert cluster.parts(ends, settings) == [(0, 24), (24, 48), (48, 72), (72, 96)]
    kept, _ = cluster.cluster_document("a", vectors, settings, 0, ends)
    assert len(kept) >= 4
    assert {c.chunk_indices[0] // 24 for c in kept} == {0, 1, 2, 3}
    assert all(c.chunk_indices[-1] // 24 == c.chunk_indices[0] // 24 for c in kept)
    assert all(0 <= c.spread < 2.5 for c in kept)
    whole = Settings(max_span_tokens=10_000, max_clusters=99)
    assert cluster.parts(ends, whole) == [(0, 96)]
    assert cluster.describe("a", vectors, whole, ends) == cluster.describe("a", vectors, whole)
    assert cluster.parts(ends, Settings(published=True)) == [(0, 96)]


@given(st.lists(st.integers(1, 50), min_size=1, max_size=60), st.integers(256, 1200))
@example([48] * 233 + [16], 56_000 // 10)
def test_parts_are_all_of_a_document_and_none_is_too_long(lengths, most):
    ends = np.cumsum([10 * n for n in lengths])
    found = cluster.parts(ends, Settings(max_span_tokens=most))
    assert [i for start, end in found for i in range(start, end)] == list(range(len(lengths)))
    for start, end in found:
        assert end == start + 1 or ends[end - 1] - (ends[start - 1] if start else 0) <= most


def test_a_part_that_is_short_is_held_to_the_measure_of_the_whole():
    """Chunks that have nothing to do with each other, seven to a part."""
    vectors = np.random.default_rng(0).normal(size=(70, 80))
    ends = np.cumsum([8_000] * 70)
    assert len(cluster.describe("a", vectors, Settings(), ends)) <= len(cluster.describe("a", vectors, Settings()))
