import shutil
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen import config as configs
from datagen import records, shards
from datagen.config import Config
from datagen.records import Candidate, Dropped, Judgement, Selection
from datagen.stages import select
from datagen.stages.select import Costs, Entry

OVERHEAD = 10  # tokens of a question and the instructions


def entry(doc: str, cluster: int = 0, sample: int = 0, rating: float = 8.0, **given) -> Entry:
    cluster_id = f"{doc}/c{cluster}"
    qa_id = f"{cluster_id}/q{sample}"
    plain = Entry("shard-00000", qa_id, cluster_id, doc, rating, f"What of {qa_id}?", [1])
    return replace(plain, **given)


def choose(
    entries: list[Entry],
    vectors: np.ndarray | None = None,
    documents: dict[str, list[int]] | None = None,
    **given: float,
) -> dict[str, Selection | Dropped]:
    """What becomes of each entry, by its id. Questions are unlike each other unless vectors are given."""
    settings = {"select.per_document": 99, "select.per_cluster": 99, "select.validation_fraction": 0.0}
    config = configs.load(None, settings | {k.replace("__", "."): v for k, v in given.items()})
    vectors = np.eye(max(len(entries), 1), dtype=np.float32)[: len(entries)] if vectors is None else vectors
    documents = documents or {e.doc_id: [100] * 5 for e in entries}
    fates = list(select.choose(entries, vectors, Costs(documents, [OVERHEAD] * len(entries)), config))
    assert Counter(e.qa_id for e, _ in fates) == Counter(e.qa_id for e in entries)
    assert all(fate.qa_id == e.qa_id if isinstance(fate, Selection) else fate.row_id == e.qa_id for e, fate in fates)
    assert all(a.rating >= b.rating for (a, _), (b, _) in pairwise(fates))
    return {e.qa_id: fate for e, fate in fates}


def kept(fates: dict[str, Selection | Dropped]) -> list[str]:
    return sorted(qa_id for qa_id, fate in fates.items() if isinstance(fate, Selection))


def why(fates: dict[str, Selection | Dropped]) -> dict[str, tuple[str, str]]:
    dropped = [fate for fate in fates.values() if isinstance(fate, Dropped)]
    assert {(d.unit, d.status) for d in dropped} <= {("candidate", "rejected")}
    return {d.row_id: (d.reason, d.detail) for d in dropped}


def test_the_best_of_a_cluster():
    fates = choose([entry("a", 0, 0, 7.0), entry("a", 0, 1, 9.0), entry("a", 1, 0, 6.0)], select__per_cluster=1)
    assert kept(fates) == ["a/c0/q1", "a/c1/q0"]
    assert why(fates) == {"a/c0/q0": ("not the best of its cluster", "rated 7.0, select.per_cluster is 1")}


def test_the_best_of_a_document():
    entries = [entry("a", 0, 0, 7.0), entry("a", 1, 0, 9.0), entry("a", 2, 0, 8.0), entry("b", 0, 0, 6.0)]
    fates = choose(entries, select__per_document=2)
    assert kept(fates) == ["a/c1/q0", "a/c2/q0", "b/c0/q0"]
    assert why(fates) == {"a/c0/q0": ("not the best of its document", "rated 7.0, select.per_document is 2")}


def test_the_threshold():
    fates = choose([entry("a", 0, 0, 6.9), entry("a", 1, 0, 7.0)], select__min_rating=7.0)
    assert kept(fates) == ["a/c1/q0"]
    assert why(fates) == {"a/c0/q0": ("rating too low", "rated 6.9, select.min_rating is 7.0")}


@pytest.mark.parametrize("rating", [6.7, 7.11, 8.3, 9.99, 10.0, 0.0])
def test_a_rating_at_the_threshold_passes(rating):
    stored = records.to_table(Judgement, [Judgement("q", "c", "a", rating, [], np.ones(1, np.float16))])
    read = stored.column("rating")[0].as_py()  # ratings are kept as float32
    assert kept(choose([entry("a", rating=read)], select__min_rating=rating)) == ["a/c0/q0"]


def test_the_same_question_twice():
    twins = [entry("a", rating=8.0, question="Who?"), entry("b", rating=9.0, question="Who?")]
    fates = choose(twins)
    assert kept(fates) == ["b/c0/q0"]
    assert why(fates) == {"a/c0/q0": ("duplicate question", "the same as b/c0/q0")}


@pytest.mark.parametrize(("limit", "expected"), [(0.85, 1), (0.95, 2), (1.0, 2)])
def test_nearly_the_same_question(limit, expected):
    vectors = np.array([[1, 0], [0.9, np.sqrt(1 - 0.81)]], np.float32)
    fates = choose([entry("a", rating=9.0), entry("b", rating=8.0)], vectors, select__max_similarity=limit)
    assert len(kept(fates)) == expected
    if expected == 1:
        assert why(fates) == {"b/c0/q0": ("near-duplicate question", "cosine 0.900 to a/c0/q0")}


def test_a_limit_of_one_lets_everything_pass_that_is_worded_otherwise():
    vectors = np.random.default_rng(0).normal(size=(200, 384)).astype(np.float32)
    halves = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16).astype(np.float32)
    for vector in halves:  # as stored: unit length only to three digits
        fates = choose([entry("a"), entry("b")], np.stack([vector, vector]), select__max_similarity=1.0)
        assert len(kept(fates)) == 2


def test_what_was_not_kept_makes_no_duplicate():
    entries = [
        entry("a", 0, 0, 9.0),
        entry("a", 0, 1, 8.0, question="Who?"),  # not the best of its cluster
        entry("b", 0, 0, 7.0, question="Who?"),
    ]
    assert kept(choose(entries, select__per_cluster=1)) == ["a/c0/q0", "b/c0/q0"]


def test_a_document_whose_best_question_is_a_duplicate_gives_its_second_best():
    entries = [
        entry("a", 0, 0, 9.0, question="Who?"),
        entry("b", 0, 0, 8.0, question="Who?"),
        entry("b", 0, 1, 7.0),
    ]
    assert kept(choose(entries, select__per_document=1, select__per_cluster=1)) == ["a/c0/q0", "b/c0/q1"]


def test_ties_go_by_id_whatever_the_order():
    entries = [entry("a", c, q) for c in range(2) for q in range(3)]
    for order in (entries, entries[::-1], entries[3:] + entries[:3]):
        assert kept(choose(order, select__per_document=1)) == ["a/c0/q0"]
        assert kept(choose(order, select__per_cluster=1)) == ["a/c0/q0", "a/c1/q0"]


def test_evidence_that_does_not_fit_a_prompt():
    documents = {"a": [100] * 9}
    entries = [entry("a", 0, 0, 9.0, ref_chunks=[1, 4]), entry("a", 0, 1, 8.0, ref_chunks=[2, 4])]
    fates = choose(entries, documents=documents, select__max_prompt_tokens=OVERHEAD + 399, select__per_cluster=1)
    assert why(fates) == {"a/c0/q0": ("prompt too long", f"select.max_prompt_tokens is {OVERHEAD + 399}")}
    (selected,) = (fate for fate in fates.values() if isinstance(fate, Selection))
    assert (selected.qa_id, selected.first_chunk, selected.last_chunk) == ("a/c0/q1", 2, 4)
    assert selected.n_tokens == OVERHEAD + 300
    assert kept(choose(entries, documents=documents, select__max_prompt_tokens=OVERHEAD + 400, select__per_cluster=1))


def test_a_whole_document_is_shown_if_it_fits():
    entries = [entry("a", ref_chunks=[2])]
    for room, shown in ((500, 5), (499, 4)):
        fate = choose(entries, select__max_prompt_tokens=OVERHEAD + room)["a/c0/q0"]
        assert isinstance(fate, Selection)
        assert fate.last_chunk - fate.first_chunk + 1 == shown
        assert fate.n_tokens == OVERHEAD + 100 * shown


def test_no_candidates_at_all():
    assert choose([], np.zeros((0, 1), np.float32)) == {}


drafts = st.lists(
    st.tuples(
        st.sampled_from("abcd"),
        st.integers(0, 2),
        st.integers(0, 100).map(lambda n: n / 10),
        st.sampled_from(["", "", "Who?", "Where?"]),
        st.integers(0, 11),
    ),
    max_size=25,
)


@given(
    drafts,
    st.integers(1, 3),
    st.integers(1, 4),
    st.floats(0, 10),
    st.floats(0, 10),
    st.integers(256, 1100),
    st.floats(0, 1),
    st.integers(0, 9),
)
def test_any_choice(drafts, per_cluster, per_document, lower, higher, room, similarity, seed):
    lower, higher = sorted((lower, higher))
    entries = [
        entry(doc, c, i, rating, ref_chunks=sorted({at, (at * 7) % 12}))
        for i, (doc, c, rating, _, at) in enumerate(drafts)
    ]
    entries = [replace(e, question=d[3] or e.question) for e, d in zip(entries, drafts, strict=True)]
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(len(entries), 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    documents = {doc: rng.integers(1, 200, 12).tolist() for doc in "abcd"}
    given: Any = {
        "select__per_cluster": per_cluster,
        "select__per_document": per_document,
        "select__max_similarity": similarity,
        "select__max_prompt_tokens": room,
        "select__validation_fraction": 0.5,
        "seed": seed,
    }
    fates = choose(entries, vectors, documents, select__min_rating=lower, **given)
    rows = [fate for fate in fates.values() if isinstance(fate, Selection)]
    assert max(Counter(r.cluster_id for r in rows).values(), default=0) <= per_cluster
    assert max(Counter(r.doc_id for r in rows).values(), default=0) <= per_document
    assert all(np.float32(r.rating) >= np.float32(lower) for r in rows)
    by_id = {e.qa_id: i for i, e in enumerate(entries)}
    assert len({entries[by_id[r.qa_id]].question for r in rows}) == len(rows)
    chosen = vectors[[by_id[r.qa_id] for r in rows]]
    assert np.max(np.triu(chosen @ chosen.T, 1), initial=-1) <= similarity + 1e-6 or similarity < 1e-6
    for r in rows:
        refs = entries[by_id[r.qa_id]].ref_chunks
        assert r.first_chunk <= refs[0] <= refs[-1] <= r.last_chunk
        assert r.n_tokens == OVERHEAD + sum(documents[r.doc_id][r.first_chunk : r.last_chunk + 1]) <= room
    train, held_out = ({r.doc_id for r in rows if r.split == split} for split in ("train", "validation"))
    assert not train & held_out
    assert bool(train) == bool(rows)
    assert bool(held_out) == (len(train | held_out) > 1)
    assert set(kept(choose(entries, vectors, documents, select__min_rating=higher, **given))) <= set(kept(fates))
    shuffled = rng.permutation(len(entries))
    again = choose([entries[i] for i in shuffled], vectors[shuffled], documents, select__min_rating=lower, **given)
    assert again == fates


@given(st.data(), st.lists(st.integers(0, 50), min_size=1, max_size=30), st.integers(-5, 800), st.text(max_size=3))
def test_any_window(data, costs, room, seed):
    refs = sorted(data.draw(st.sets(st.integers(0, len(costs) - 1), min_size=1, max_size=4)))
    window = select.fit_window(costs, refs, room, seed)
    if sum(costs[refs[0] : refs[-1] + 1]) > room:
        assert window is None
        return
    assert window is not None
    first, last = window
    assert 0 <= first <= refs[0] <= refs[-1] <= last < len(costs)
    assert sum(costs[first : last + 1]) <= room
    if sum(costs) <= room:
        assert window == (0, len(costs) - 1)
    assert first == 0 or sum(costs[first - 1 : last + 1]) > room
    assert last == len(costs) - 1 or sum(costs[first : last + 2]) > room
    assert window == select.fit_window(costs, refs, room, seed)


def test_evidence_stands_anywhere_in_its_window():
    windows = [select.fit_window([10] * 200, [100, 103], 300, str(seed)) for seed in range(1000)]
    places = Counter(100 - window[0] for window in windows if window)
    assert set(places) == set(range(27))  # 30 chunks, 4 of them from the first evidence to the last
    assert max(places.values()) < 4 * min(places.values())


def test_evidence_at_the_end_of_a_document_fills_the_window_from_before():
    assert {select.fit_window([10] * 50, [49], 100, str(seed)) for seed in range(50)} == {(40, 49)}
    assert {select.fit_window([10] * 50, [0], 100, str(seed)) for seed in range(50)} == {(0, 9)}


@given(st.sets(st.text(max_size=4), max_size=30), st.floats(0, 1), st.integers(0, 99))
def test_held_out_documents(doc_ids, fraction, seed):
    held_out = select.validation_documents(doc_ids, fraction, seed)
    assert held_out <= doc_ids
    assert held_out == select.validation_documents({*sorted(doc_ids)[::-1]}, fraction, seed)
    if len(doc_ids) < 2 or fraction == 0:
        assert not held_out
    else:
        assert 1 <= len(held_out) < len(doc_ids)
        assert abs(len(held_out) - fraction * len(doc_ids)) <= 1


def test_held_out_documents_are_drawn():
    doc_ids = {str(i) for i in range(100)}
    draws = [select.validation_documents(doc_ids, 0.1, seed) for seed in range(50)]
    assert {len(draw) for draw in draws} == {10}
    assert len(set.union(*draws)) > 90


@pytest.mark.parametrize("seed", range(4))
def test_both_splits_have_rows_wherever_two_documents_do(seed):
    """Documents of which nothing was selected don't count: the rows of one could be the whole validation split."""
    entries = [entry("a", rating=9.0), *(entry(f"poor-{i}", rating=1.0) for i in range(9)), entry("b", rating=8.0)]
    fates = choose(entries, select__validation_fraction=0.1, seed=seed)
    assert sorted(f.split for f in fates.values() if isinstance(f, Selection)) == ["train", "validation"]
    fates = choose(entries[:-1], select__validation_fraction=0.9, seed=seed)
    assert [f.split for f in fates.values() if isinstance(f, Selection)] == ["train"]


def test_the_stage_accounts_for_every_candidate(run):
    folder, config = run
    made = read(folder, "generate", Candidate)
    judged = read(folder, "judge", Judgement)
    rows, dropped = read(folder, "select", Selection), read(folder, "select/dropped", Dropped)
    assert {r.qa_id for r in rows} | {d.row_id for d in dropped} == {j.qa_id for j in judged}
    assert len(rows) + len(dropped) == len(judged)
    assert len(rows) > 3
    assert {r.rating for r in rows} <= {j.rating for j in judged}
    assert min(r.rating for r in rows) >= config.select.min_rating
    for name in shards.names(f"{folder}/select"):
        mine = [r.qa_id for r in shards.read_rows(f"{folder}/select/{name}.parquet", Selection)]
        assert mine == sorted(mine)
        assert set(mine) <= {c.qa_id for c in shards.read_rows(f"{folder}/generate/{name}.parquet", Candidate)}
    evidence = {c.qa_id: c.ref_chunks for c in made}
    for r in rows:
        assert r.first_chunk <= evidence[r.qa_id][0] <= evidence[r.qa_id][-1] <= r.last_chunk
    assert {r.split for r in rows} == {"train", "validation"}


def test_another_threshold_redoes_only_this_stage(run, go, tmp_path):
    folder, config = run
    before = {n: shards.read_json(f"{folder}/{n}/stage.json") for n in ("chunk", "embed", "cluster", "generate")}
    copied = tmp_path / "run"
    for name in ("chunk", "embed", "cluster", "generate", "judge"):
        shutil.copytree(f"{folder}/{name}", copied / name)
    stricter: Config = configs.merge(config, {"select.min_rating": 9.9})
    ledger = go(copied, stricter, "judge", "select")["select"]
    assert ledger["candidate"]["rejected"].get("rating too low")
    assert {n: shards.read_json(f"{copied}/{n}/stage.json") for n in before} == before


def read(run: str, stage: str, record: type) -> list:
    return [
        row
        for name in shards.names(f"{run}/{stage}")
        for row in shards.read_rows(f"{run}/{stage}/{name}.parquet", record)
    ]
