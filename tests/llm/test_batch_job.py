"""A batch job's file holds all of it."""

from datagen.llm.batch_job import BatchJob


def test_what_was_written_down_is_read_back(tmp_path):
    job = BatchJob("k", "http://s/v1", 12.5, {"a": 1, "b": 2}, ["json_schema"])
    job.save(str(tmp_path))
    assert BatchJob.load(job.path(str(tmp_path))) == job
    job.file, job.batch = "file-1", "batch-1"
    job.save(str(tmp_path))
    assert BatchJob.load(job.path(str(tmp_path))).batch == "batch-1"
    assert [p.name for p in tmp_path.iterdir()] == ["k.json"]
