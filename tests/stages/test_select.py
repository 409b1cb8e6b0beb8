import shutil
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen import prompts, shards
from datagen.config import model as configs
from datagen.config.model import Config
from datagen.console import Reporter
from datagen.errors import StaleStage
from datagen.executors import local as executors
from datagen.records import Candidate, Dropped, Judgement, Selection
from datagen.run.resume import Resume
from datagen.selection import window
from datagen.selection.choice import Left
from datagen.stages import runner, select
from datagen.text import tokenizers
from tests.selection.made import Draft, decide, kept, settings, spread, why, write_run


def test_the_best_of_a_cluster():
    fates = decide([Draft("a", 0, 0, 7.0), Draft("a", 0, 1, 9.0), Draft("a", 1, 0, 6.0)], per_cluster=1)
    assert kept(fates) == ["a/c0/q1", "a/c1/q0"]
    assert why(fates) == {
        "a/c0/q0": (
            "not the best of its cluster",
            "rated 7.0, evidence early; select.per_cluster is 1, taken before it: a/c0/q1",
        )
    }


def test_the_best_of_a_document():
    drafts = [Draft("a", 0, 0, 7.0), Draft("a", 1, 0, 9.0), Draft("a", 2, 0, 8.0), Draft("b", 0, 0, 6.0)]
    fates = decide(drafts, per_document=2)
    assert kept(fates) == ["a/c1/q0", "a/c2/q0", "b/c0/q0"]
    assert why(fates)["a/c0/q0"] == (
        "not the best of its document",
        "rated 7.0, evidence early; select.per_document is 2, taken before it: a/c2/q0",
    )


def test_every_cluster_gives_its_best_before_any_gives_a_second():
    drafts = [Draft("a", 0, 0, 10.0), Draft("a", 0, 1, 9.5), Draft("a", 1, 0, 7.0)]
    assert kept(decide(drafts, per_cluster=2, per_document=2)) == ["a/c0/q0", "a/c1/q0"]


def test_the_threshold():
    fates = decide([Draft("a", rating=6.9), Draft("b", rating=7.0)], min_rating=7.0)
    assert kept(fates) == ["b/c0/q0"]
    assert why(fates) == {"a/c0/q0": ("rating too low", "rated 6.9, select.min_rating is 7")}


@pytest.mark.parametrize("rating", [6.7, 7.11, 8.3, 9.99, 10.0, 0.0])
def test_a_rating_at_the_threshold_passes(rating):
    assert kept(decide([Draft("a", rating=rating)], min_rating=rating)) == ["a/c0/q0"]


@pytest.mark.parametrize(
    ("shares", "settings", "reason"),
    [
        ({"closed_book": 0.75}, {"max_closed_book": 0.5}, "answered without the document"),
        ({"sufficiency": 0.5}, {"min_sufficiency": 1.0}, "not answered from its evidence"),
        ({"pass_rate": 0.0}, {"min_pass_rate": 0.25}, "too hard"),
        ({"pass_rate": 1.0}, {}, "too easy"),
    ],
)
def test_what_the_judge_found(shares, settings, reason):
    fates = decide([Draft("a", shares=shares), Draft("b")], **settings)
    assert kept(fates) == ["b/c0/q0"]  # where the check was not made there is no limit
    assert why(fates)["a/c0/q0"][0] == reason


def test_what_is_never_solved_is_kept_by_default():
    assert kept(decide([Draft("a", shares={"pass_rate": 0.0}), Draft("b", shares={"pass_rate": 0.75})])) == [
        "a/c0/q0",
        "b/c0/q0",
    ]


def test_a_row_that_is_left_out_makes_no_room():
    """Not for the next best of its document, and not for what repeats it."""
    drafts = [
        Draft("a", 0, 0, 9.5, shares={"pass_rate": 1.0}, question="Who?"),
        Draft("a", 0, 1, 9.0),
        Draft("b", 0, 0, 9.0, question="Who?"),
    ]
    fates = decide(drafts, per_cluster=1)
    assert kept(fates) == []
    assert {qa_id: reason for qa_id, (reason, _) in why(fates).items()} == {
        "a/c0/q0": "too easy",
        "a/c0/q1": "not the best of its cluster",
        "b/c0/q0": "duplicate question",
    }


def test_the_same_question_twice():
    twins = [Draft("a", rating=8.0, question="Who?"), Draft("b", rating=9.0, question="Who?")]
    fates = decide(twins)
    assert kept(fates) == ["b/c0/q0"]
    assert why(fates) == {"a/c0/q0": ("duplicate question", "the same as b/c0/q0")}


@pytest.mark.parametrize(("limit", "expected"), [(0.85, 1), (0.95, 2), (1.0, 2)])
def test_nearly_the_same_question(limit, expected):
    pair = [Draft("a", rating=9.0, vector=[1, 0]), Draft("b", rating=8.0, vector=[0.9, np.sqrt(1 - 0.81)])]
    fates = decide(pair, max_similarity=limit)
    assert len(kept(fates)) == expected
    if expected == 1:
        assert why(fates) == {"b/c0/q0": ("near-duplicate question", "cosine 0.900 to a/c0/q0")}


def test_a_limit_of_one_lets_everything_pass_that_is_worded_otherwise():
    vector = np.random.default_rng(0).normal(size=384)
    same = [Draft(doc, vector=vector / np.linalg.norm(vector)) for doc in "abcdef"]
    assert len(kept(decide(same, max_similarity=1.0))) == 6
    assert len(kept(decide(same, max_similarity=0.99))) == 1


def test_what_did_not_win_its_cluster_makes_no_duplicate():
    drafts = [Draft("a", 0, 0, 9.5), Draft("a", 0, 1, 8.0, question="Who?"), Draft("b", 0, 0, 7.0, question="Who?")]
    assert kept(decide(drafts, per_cluster=1)) == ["a/c0/q0", "b/c0/q0"]


def test_evidence_that_does_not_fit_a_prompt():
    tokens = {"a": [100] * 9}
    drafts = [Draft("a", 0, 0, 9.0, refs=[1, 4]), Draft("a", 1, 0, 8.0, refs=[2, 4])]
    tags = window.tag_costs(tokenizers.load("embedded"), 9)
    (besides,) = window.besides_chunks(
        tokenizers.load("embedded"), prompts.load("task"), [drafts[0].candidate().question]
    )
    limit = besides + 400 + int(tags[1:5].sum()) - 1
    fates = decide(drafts, tokens, max_prompt_tokens=limit)
    assert why(fates) == {"a/c0/q0": ("prompt too long", f"select.max_prompt_tokens is {limit}")}
    assert fates["a/c1/q0"][1:3] == (2, 4)
    assert kept(decide(drafts, tokens, max_prompt_tokens=limit + 1)) == ["a/c0/q0", "a/c1/q0"]


def test_no_candidates_at_all():
    assert decide([], {"a": [100]}) == {}


def test_a_candidate_without_evidence_is_a_bug():
    with pytest.raises(ValueError, match="no evidence"):
        decide([Draft("a", refs=[])])


def test_positions_are_evened_out_among_candidates_of_one_step():
    refs = {0: [0, 1], 1: [4, 5], 2: [8, 9]}
    docs = [f"d{i:03d}" for i in range(30)]
    tokens = {doc: [100] * 10 for doc in docs}
    drafts = [Draft(doc, c, rating=9.0 + c / 10, refs=refs[c]) for doc in docs for c in refs]
    fates = decide(drafts, tokens, per_document=1)
    taken = Counter(qa_id[5:7] for qa_id in kept(fates))
    assert taken == {"c0": 10, "c1": 10, "c2": 10}  # strictly by rating, all would be late
    drafts = [replace(d, rating=9.5) if d.cluster == 2 else d for d in drafts]
    assert {qa_id[5:7] for qa_id in kept(decide(drafts, tokens, per_document=1))} == {"c2"}


words = [f"w{i}" for i in range(40)]
SENTENCES = [" ".join(words[i : i + 14]) for i in (0, 8, 20)] + ["who was it"]

drafts = st.lists(
    st.builds(
        Draft,
        doc=st.sampled_from("abcde"),
        cluster=st.integers(0, 2),
        rating=st.sampled_from([7.0, 8.4, 8.5, 8.9, 9.0, 9.1, 9.4, 9.5, 10.0]),
        question=st.sampled_from(["", "", "", "Who?", *SENTENCES, f"And {SENTENCES[0]}"]),
        refs=st.sets(st.integers(0, 11), min_size=1, max_size=3),
        vector=st.sampled_from([[1, 0, 0], [0.96, 0.28, 0], [0.8, 0.6, 0], [0, 1, 0], [0, 0.6, 0.8], [0, 0, 1]]),
        shares=st.dictionaries(
            st.sampled_from(["closed_book", "sufficiency", "pass_rate"]), st.sampled_from([0.0, 0.25, 0.5, 1.0])
        ),
    ),
    max_size=25,
).map(spread)
sentences = st.sampled_from(["", "", *SENTENCES])
TIGHTER = {  # settings, from the loosest on
    "per_cluster": [4, 3, 2, 1],
    "per_document": [9, 4, 3, 2, 1],
    "min_rating": [0.0, 8.5, 8.9, 9.0, 9.2, 10.0],
    "max_closed_book": [1.0, 0.5, 0.3, 0.0],
    "min_sufficiency": [0.0, 0.25, 0.9, 1.0],
    "min_pass_rate": [0.0, 0.2, 0.5, 1.0],
    "max_pass_rate": [1.0, 0.99, 0.5, 0.0],
    "max_similarity": [1.0, 0.97, 0.95, 0.7, 0.5, 0.0],
    "max_prompt_tokens": [4000, 1500, 1000, 700, 256],
    "decontaminate": [0, 1, 2, 3],  # so many files
}
loose = st.fixed_dictionaries({name: st.sampled_from(range(len(values))) for name, values in TIGHTER.items()})
TOKENS = {doc: np.random.default_rng(i).integers(20, 200, 12).tolist() for i, doc in enumerate("abcde")}


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[str]:
    folder = tmp_path_factory.mktemp("benchmarks")
    for i, sentence in enumerate([SENTENCES[0], SENTENCES[3], SENTENCES[2]]):
        (folder / f"{i}.txt").write_text(f"Some words before. {sentence.upper()}, and some after.")
    return [str(folder / f"{i}.txt") for i in range(3)]


@given(drafts, loose, st.sampled_from(list(TIGHTER)), st.integers(1, 5), st.lists(sentences, min_size=5, max_size=5))
def test_a_tighter_threshold_never_adds_a_row(files, drafts, levels, name, more, texts):
    def result(levels: dict[str, int]) -> set[str]:
        given = {name: TIGHTER[name][min(level, len(TIGHTER[name]) - 1)] for name, level in levels.items()}
        given["decontaminate"] = files[: given["decontaminate"]]
        return set(kept(decide(drafts, TOKENS, dict(zip("abcde", texts, strict=True)), **given)))

    tighter = result(levels | {name: levels[name] + more})
    assert tighter <= result(levels)
    assert result({name: level + more for name, level in levels.items()}) <= tighter


@given(drafts, loose, st.randoms(use_true_random=False), st.lists(st.integers(0, 2), min_size=5, max_size=5))
def test_order_and_shards_make_no_difference(files, drafts, levels, random, layout):
    given: dict[str, Any] = {name: TIGHTER[name][level] for name, level in levels.items()}
    given["validation_fraction"] = 0.3
    given["decontaminate"] = files[: given["decontaminate"]]
    fates = decide(drafts, TOKENS, **given)
    shuffled = random.sample(drafts, len(drafts))
    tokens = dict(random.sample(list(TOKENS.items()), len(TOKENS)))
    names = {doc: f"shard-{n}" for doc, n in zip("abcde", layout, strict=True)}
    assert decide(shuffled, tokens, layout=names, **given) == fates


@given(drafts, loose, st.integers(0, 9))
def test_any_choice(files, drafts, levels, seed):
    """Every row in one place, within every limit."""
    given: dict[str, Any] = {name: TIGHTER[name][level] for name, level in levels.items()}
    given |= {"validation_fraction": 0.5, "seed": seed}
    given["decontaminate"] = files[: given["decontaminate"]]
    fates = decide(drafts, TOKENS, **given)  # which sees to it that every row has one fate
    by_id = {d.qa_id: d for d in drafts}
    rows = [by_id[qa_id] for qa_id in kept(fates)]
    assert max(Counter(d.cluster_id for d in rows).values(), default=0) <= given["per_cluster"]
    assert max(Counter(d.doc for d in rows).values(), default=0) <= given["per_document"]
    assert all(np.float32(d.rating) >= np.float32(given["min_rating"]) for d in rows)
    assert all(d.shares.get("closed_book", 0) <= given["max_closed_book"] for d in rows)
    assert all(d.shares.get("sufficiency", 1) >= given["min_sufficiency"] for d in rows)
    assert all(given["min_pass_rate"] <= r <= given["max_pass_rate"] for d in rows if (r := d.shares.get("pass_rate")))
    chosen = np.array([d.vector for d in rows]).reshape(-1, 3)
    assert np.max(np.triu(chosen @ chosen.T, 1), initial=-1) <= given["max_similarity"] + 1e-3
    asked = [d.candidate().question for d in rows]
    assert len(set(asked)) == len(asked)
    for draft in rows:
        decision = fates[draft.qa_id]
        assert not isinstance(decision, Left)
        _, first, last, n_tokens = decision
        assert first <= min(draft.refs) <= max(draft.refs) <= last
        assert sum(TOKENS[draft.doc][first : last + 1]) < n_tokens <= given["max_prompt_tokens"]
    train, held_out = ({d.doc for d in rows if fates[d.qa_id][0] == split} for split in ("train", "validation"))
    assert not train & held_out
    assert bool(train) == bool(rows)
    assert bool(held_out) == (len(train | held_out) > 1)


@given(drafts)
def test_the_published_procedure(drafts):
    """Best of a cluster, best of a document, then the threshold; ratings in steps of half a point."""
    plain = [replace(d, question="", shares={}, vector=None) for d in drafts]
    chosen = kept(decide(plain, TOKENS, per_cluster=1, per_document=1, min_rating=9.0))
    for doc in {d.doc for d in plain}:
        best = max(int(2 * d.rating) for d in plain if d.doc == doc)
        mine = [int(2 * d.rating) for d in plain if d.doc == doc and d.qa_id in chosen]
        assert mine == ([best] if best >= 18 else [])


@pytest.mark.parametrize("seed", range(4))
def test_both_splits_have_rows_wherever_two_documents_do(seed):
    """Documents of which nothing was selected don't count: the rows of one could be the whole validation split."""
    drafts = [Draft("a"), *(Draft(f"poor-{i}", rating=1.0) for i in range(9)), Draft("b")]
    fates = decide(drafts, min_rating=5, validation_fraction=0.1, seed=seed)
    assert sorted(fates[qa_id][0] for qa_id in kept(fates)) == ["train", "validation"]
    fates = decide(drafts[:-1], min_rating=5, validation_fraction=0.9, seed=seed)
    assert [fates[qa_id][0] for qa_id in kept(fates)] == ["train"]


def contents(folder) -> dict[str, tuple[bytes, int]]:
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {str(p.relative_to(folder)): (p.read_bytes(), p.stat().st_mtime_ns) for p in files}


def go_alone(run, config: Config, workers: int = 1, resume: Resume = "never") -> dict:
    with executors.pool(workers) as pool:
        return runner.run(select.STAGE, str(run), config, resume, pool, Reporter(quiet=True))["candidate"]


MODEL = {
    "generate.method": "llm",
    "judge.method": "llm",
    "engine.model": "m",
    "engine.endpoints": [{"base_url": "http://x"}],
}
SOME = [Draft(doc, c, q, 9 + q / 2, refs=[c, c + 5]) for doc in ("a", "b", "c") for c in range(3) for q in range(2)]


def test_selecting_again_asks_no_model_and_leaves_the_rest_as_it_is(tmp_path):
    tokens = {doc: [50] * 12 for doc in ("a", "b", "c")}
    write_run(tmp_path, SOME, tokens, settings(**MODEL))
    before = {name: contents(tmp_path / name) for name in ("chunk", "generate", "judge")}
    assert go_alone(tmp_path, settings(**MODEL))["kept"] == 18
    strict = go_alone(tmp_path, settings(**MODEL, min_rating=9.5, per_document=2))
    assert strict["kept"] == 6
    assert strict["rejected"] == {"not the best of its document": 12}
    assert {name: contents(tmp_path / name) for name in before} == before
    assert not (tmp_path / "journal").exists()


def test_another_benchmark_makes_the_result_stale_and_another_place_does_not(tmp_path):
    write_run(tmp_path / "run", SOME, {doc: [50] * 12 for doc in ("a", "b", "c")}, settings(**MODEL))
    for folder, text in (("here", "some text"), ("there", "some text"), ("new", "other text")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "bench.txt").write_text(text)
    config = {f: settings(**MODEL, decontaminate=[str(tmp_path / f / "bench.txt")]) for f in ("here", "there", "new")}
    go_alone(tmp_path / "run", config["here"])
    assert go_alone(tmp_path / "run", config["there"], resume="if-possible")["kept"] == 18
    with pytest.raises(StaleStage, match=r"benchmark bench\.txt: [0-9a-f]{12} there, [0-9a-f]{12} now"):
        go_alone(tmp_path / "run", config["new"], resume="if-possible")


def test_documents_are_read_only_to_be_compared(tmp_path):
    write_run(tmp_path / "run", SOME, {doc: [50] * 12 for doc in ("a", "b", "c")}, settings(**MODEL))
    (tmp_path / "bench.txt").write_text("word " * 13)
    found = go_alone(tmp_path / "run", settings(**MODEL, decontaminate=[str(tmp_path / "bench.txt")]))
    assert found["rejected"] == {"document in a benchmark": 18}
    shutil.rmtree(tmp_path / "run" / "chunk" / "documents")
    assert go_alone(tmp_path / "run", settings(**MODEL))["kept"] == 18


@pytest.mark.slow
def test_the_number_of_workers_makes_no_difference(tmp_path):
    write_run(tmp_path, SOME, {doc: [50] * 12 for doc in ("a", "b", "c")}, settings(**MODEL))
    results = []
    for workers in (1, 2):
        go_alone(tmp_path, settings(**MODEL, per_document=3), workers)
        found = contents(tmp_path / "select")
        results.append({name: data for name, (data, _) in found.items() if name.endswith(".parquet")})
    assert results[0] == results[1]
    assert len(results[0]) == 6


def test_the_stage_accounts_for_every_candidate(run):
    folder, config = run
    judged = read(folder, "judge", Judgement)
    rows, dropped = read(folder, "select", Selection), read(folder, "select/dropped", Dropped)
    assert {r.qa_id for r in rows} | {d.row_id for d in dropped} == {j.qa_id for j in judged}
    assert len(rows) + len(dropped) == len(judged)
    assert len(rows) > 3
    assert min(r.rating for r in rows) >= config.select.min_rating
    for name in shards.names(f"{folder}/select"):
        mine = [r.qa_id for r in shards.read_rows(f"{folder}/select/{name}.parquet", Selection)]
        assert mine == sorted(mine)
        assert set(mine) <= {c.qa_id for c in shards.read_rows(f"{folder}/generate/{name}.parquet", Candidate)}
    found = {j.qa_id: j for j in judged}
    for r in rows:
        mine = found[r.qa_id]
        assert (r.rating, r.ref_chunks, r.alt_chunks, r.pass_rate, r.cluster_id, r.doc_id) == (
            *(mine.rating, mine.ref_chunks, mine.alt_chunks, mine.pass_rate),
            *(mine.cluster_id, mine.doc_id),
        )
        assert r.first_chunk <= r.ref_chunks[0] <= r.ref_chunks[-1] <= r.last_chunk
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
