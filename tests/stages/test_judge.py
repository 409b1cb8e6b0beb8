import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from datagen import shards
from datagen.config import model as configs
from datagen.embed import encoder
from datagen.llm import drive
from datagen.records import Candidate, Judgement
from datagen.run.shard import Shard
from datagen.stages import judge
from datagen.tasks.cloze import rules

NAME = "shard-00000"


def judged_by(shard: Shard) -> judge.Output:
    return judge.finish(shard, drive.unasked(partial(judge.start, shard)))


@pytest.fixture
def copy(run, tmp_path):
    """A copy of the run whose candidates may be changed: (run directory, configuration, candidates)."""
    folder, config = run
    for stage in ("chunk", "generate"):
        shutil.copytree(f"{folder}/{stage}", tmp_path / stage)
    return str(tmp_path), config, shards.read_rows(f"{folder}/generate/{NAME}.parquet", Candidate)


def judged(copy, candidates: list[Candidate], **given):
    folder, config, _ = copy
    shards.write_rows(f"{folder}/generate/{NAME}.parquet", Candidate, candidates)
    return judged_by(Shard(folder, NAME, configs.merge(config, given)))


def test_judgements_of_a_run(run):
    folder, config = run
    judged = 0
    for name in shards.names(f"{folder}/judge"):
        candidates = {c.qa_id: c for c in shards.read_rows(f"{folder}/generate/{name}.parquet", Candidate)}
        rows = shards.read_rows(f"{folder}/judge/{name}.parquet", Judgement)
        vectors = encoder.encode([" ".join(candidates[r.qa_id].quotes) for r in rows], config.embed)
        for row, vector in zip(rows, vectors, strict=True):
            candidate = candidates[row.qa_id]
            assert (row.cluster_id, row.doc_id) == (candidate.cluster_id, candidate.doc_id)
            assert row.checks == [rule.name for rule in rules.RULES]
            assert 0 <= row.rating <= 10
            assert row.question_vector.tobytes() == vector.tobytes()
        judged += len(rows)
    assert judged > 5


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"answer": "Nineteen Eighty-Four"}, "the answer is not its terms"),
        ({"question": "What is missing?"}, "the question does not hold the blanked sentences"),
        ({"ref_chunks": [0]}, "the evidence does not fit the quotes"),
        ({"quotes": ["It was a bright cold day in April."] * 2}, None),
    ],
)
def test_a_label_that_does_not_hold_is_rejected(copy, change, reason):
    candidates = copy[2]
    forged = replace(candidates[0], **change)
    output = judged(copy, [forged, *candidates[1:]])
    (dropped,) = output.dropped
    assert (dropped.unit, dropped.row_id, dropped.status) == ("candidate", forged.qa_id, "rejected")
    assert dropped.reason in {rule.reason for rule in rules.RULES}
    assert reason in (dropped.reason, None)
    assert dropped.detail
    assert [r.qa_id for r in output.rows] == [c.qa_id for c in candidates[1:]]


def test_evidence_of_another_chunk_is_rejected(copy):
    moved = [
        replace(c, quote_chunks=[i + 1 for i in c.quote_chunks], ref_chunks=[i + 1 for i in c.ref_chunks])
        for c in copy[2]
    ]
    output = judged(copy, moved)
    assert not output.rows
    assert len(output.dropped) == len(moved)


@pytest.mark.parametrize("limit", ["judge.max_question_chars", "judge.max_answer_chars"])
def test_limits_of_length(copy, limit):
    sizes = {"judge.max_question_chars": "question", "judge.max_answer_chars": "answer"}
    longest = max(len(getattr(c, sizes[limit])) for c in copy[2])
    assert not judged(copy, copy[2], **{limit: longest}).dropped
    dropped = judged(copy, copy[2], **{limit: longest - 1}).dropped
    assert {d.reason for d in dropped} == {"too long or too short"}
    assert len(judged(copy, copy[2], **{limit: 1}).dropped) == len(copy[2])


def test_fewest_evidence_is_that_of_generate(copy):
    output = judged(copy, copy[2], **{"generate.min_evidence": 4})
    few = {c.qa_id for c in copy[2] if len(c.ref_chunks) < 4}
    assert {d.row_id for d in output.dropped} == few
    assert few


def test_the_vector_tells_questions_apart_by_what_they_ask(run):
    """The wording around the sentences is the same for all."""
    folder, config = run
    rows = [
        row
        for name in shards.names(f"{folder}/judge")
        for row in shards.read_rows(f"{folder}/judge/{name}.parquet", Judgement)
    ]
    quotes = {
        c.qa_id: set(c.quotes)
        for name in shards.names(f"{folder}/generate")
        for c in shards.read_rows(f"{folder}/generate/{name}.parquet", Candidate)
    }
    apart = [
        float(a.question_vector.astype(np.float32) @ b.question_vector.astype(np.float32))
        for i, a in enumerate(rows)
        for b in rows[:i]
        if not quotes[a.qa_id] & quotes[b.qa_id]
    ]
    assert max(apart) < config.select.max_similarity


def test_no_candidates_need_no_model(copy):
    folder, config, _ = copy
    shards.write_rows(f"{folder}/generate/{NAME}.parquet", Candidate, [])
    other = configs.merge(config, {"embed.model": "no/such-model"})
    assert judged_by(Shard(folder, NAME, other)) == judge.Output([], [])
