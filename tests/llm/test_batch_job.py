"""A batch job's file holds all of it."""

import json
from dataclasses import replace

import pytest

from datagen.errors import UserError
from datagen.llm.batch_job import BatchJob

JOB = BatchJob("k", "http://s/v1", 12.5, {"a": 1, "b": 2}, ["json_schema"])


def test_what_was_written_down_is_read_back(tmp_path):
    JOB.save(str(tmp_path))
    assert BatchJob.load(JOB.path(str(tmp_path))) == JOB
    named = replace(JOB, file="file-1", batch="batch-1")
    named.save(str(tmp_path))
    assert BatchJob.load(JOB.path(str(tmp_path))).batch == "batch-1"
    assert [p.name for p in tmp_path.iterdir()] == ["k.json"]


WITHOUT_ONE = [json.dumps(vars(JOB) | {name: None}) for name in vars(JOB)]


@pytest.mark.parametrize("text", ["", "{", "[]", "5", "null", "{}", *WITHOUT_ONE])
def test_of_a_damaged_one_it_is_said_that_its_batch_goes_on(tmp_path, text):
    (tmp_path / "k.json").write_text(text)
    with pytest.raises(UserError, match=r"k\.json is damaged.* goes on at the server"):
        BatchJob.load(str(tmp_path / "k.json"))
