from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from datagen.selection import ranking as turns
from tests.selection.made import Draft, gathered, spread

DOCS = "abcd"
drafts = st.lists(
    st.builds(
        Draft,
        doc=st.sampled_from(DOCS),
        cluster=st.integers(0, 3),
        rating=st.integers(0, 100).map(lambda n: n / 10),
        refs=st.sets(st.integers(0, 8), min_size=1, max_size=3),
    ),
    min_size=1,
    max_size=40,
).map(spread)


@given(drafts, st.integers(1, 5), st.integers(0, 9))
def test_the_order(drafts, per_cluster, seed):
    rows, documents = gathered(drafts, {doc: [10] * 9 for doc in DOCS})
    places = turns.places(rows, documents)
    order = turns.order(rows, places, per_cluster, seed)
    shorter = turns.order(rows, places, per_cluster - 1, seed)
    assert order[: len(shorter)].tolist() == shorter.tolist()
    assert len(set(order.tolist())) == len(order)
    sizes = Counter(rows.clusters.tolist())
    assert Counter(rows.clusters[order].tolist()) == {c: min(n, per_cluster) for c, n in sizes.items()}
    steps = np.floor(2 * rows.ratings)
    passes = turns.counted(rows.clusters[order])
    rounds = turns.counted(rows.documents[order] + len(DOCS) * passes)
    at = list(zip(passes.tolist(), rounds.tolist(), strict=True))
    assert at == sorted(at)  # pass by pass, round by round: a document gives one in each
    for i, row in enumerate(order):
        left = set(range(len(rows))) - set(order[:i].tolist())
        assert steps[row] == max(steps[j] for j in left if rows.clusters[j] == rows.clusters[row])


def test_ties_are_drawn_by_the_seed():
    drafts = [Draft("a", c, q, refs=[4]) for c in range(3) for q in range(3)]
    rows, documents = gathered(drafts, {"a": [10] * 9})
    places = turns.places(rows, documents)
    firsts = Counter(rows.qa_ids[turns.order(rows, places, 1, seed)[0]] for seed in range(300))
    assert set(firsts) == set(rows.qa_ids)
    assert max(firsts.values()) < 4 * min(firsts.values())


def test_what_was_filled_least_goes_first_within_half_a_point():
    def taken(late: float) -> str:
        drafts = [Draft("a", rating=9.9, refs=[1]), Draft("b", 0, 0, 9.4, refs=[1]), Draft("b", 1, 0, late, refs=[7])]
        rows, documents = gathered(drafts, {"a": [10] * 9, "b": [10] * 9})
        return rows.qa_ids[turns.order(rows, turns.places(rows, documents), 1, 0)[1]]

    assert taken(9.4) == "b/c1/q0"
    assert taken(9.0) == "b/c1/q0"
    assert taken(8.9) == "b/c0/q0"


def test_places_go_by_tokens():
    tokens = [100, 10, 10, 10, 10, 10, 50, 50, 50]  # thirds of 100: the first chunk, the next six, the last two
    refs = {"early": [0], "middle": [1, 5], "late": [7, 8], "early to late": [0, 8], "early to middle": [0, 3]}
    refs["middle to late"] = [5, 7]
    drafts = [Draft("a", i, refs=found) for i, found in enumerate(refs.values())]
    rows, documents = gathered(drafts, {"z": [7] * 3, "a": tokens})
    assert [turns.PLACES[place] for place in turns.places(rows, documents)] == list(refs)


@given(st.lists(st.integers(0, 5)))
def test_counted(labels):
    found = turns.counted(np.array(labels, np.int64))
    assert found.tolist() == [labels[:i].count(label) for i, label in enumerate(labels)]
