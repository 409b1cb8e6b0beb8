import pytest

import datagen
from datagen import shards
from datagen.errors import UserError
from datagen.run import identity
from datagen.run.run import Run
from tests.toy import go as go_toy
from tests.toy import set_up


def test_what_a_run_holds(run):
    here = datagen.Run(run[0])
    assert {"chunk", "chunk/documents", "embed", "cluster", "generate", "judge", "select"} <= set(here.tables)
    selected = list(here.rows("select"))
    frame = here.frame("select")
    assert frame["qa_id"].tolist() == [row.qa_id for row in selected]
    assert len(here.frame("embed")["vector"][0]) == 384
    assert len(list(here.rows("chunk", "documents"))) == 3
    assert all(row.reason for row in here.dropped("select"))


def test_dropped_rows_name_the_row_before_them(run):
    here = Run(run[0])
    known = {row.qa_id for row in here.rows("judge")}
    beaten = [row for row in here.dropped("select") if row.reason.startswith("not the best")]
    assert beaten
    assert {row.other_id for row in beaten} <= known


def test_what_is_not_there_is_said():
    here = Run("nowhere")
    for stage, table in (("chunks", ""), ("chunk", "notes")):
        with pytest.raises(UserError):
            next(here.rows(stage, table))
    with pytest.raises(UserError, match="longrlvr-data select -o nowhere"):
        here.dataset("train")
    with pytest.raises(UserError):
        _ = here.config
    assert here.tables == []


def test_what_stands_on_a_stage_that_was_made_again_is_stale(tmp_path):
    path, config = set_up(tmp_path)
    go_toy(path, config)
    assert not any(status.stale for status in Run(path).status())
    chunk = identity.load(f"{path}/chunk")
    assert chunk is not None
    kept = [{"settings": {}, "identity": chunk.digest}]
    fresh = identity.Identity("chunk", 7, chunk.schema, chunk.settings, chunk.fingerprints, {}, kept)
    identity.save(f"{path}/chunk", fresh)
    shards.write_json(Run(path).provenance, provenance(chunk.digest))
    stale = {status.name: status.stale for status in Run(path).status()}
    assert stale["cluster"] == ["chunk"]
    assert stale["dataset"] == ["chunk"]
    assert stale["chunk"] == stale["embed"] == []


def test_advice_can_be_pasted_whatever_the_run_is_called(tmp_path):
    (tmp_path / "my run").mkdir()
    with pytest.raises(UserError, match=rf"`longrlvr-data select -o '{tmp_path}/my run'`"):
        Run(str(tmp_path / "my run")).dataset()


def provenance(chunk: str) -> dict:
    ledger = {"candidate": {"in": 1, "kept": 1, "rejected": {}, "failed": {}}}
    stages = {"chunk": {"identity": chunk, "mixed": False}, "select": {"mixed": False, "ledger": ledger}}
    stages["select"]["identity"] = None
    return {"stages": stages}
