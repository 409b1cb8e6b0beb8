import json

import pytest
import yaml

from datagen import shards
from datagen.records import Chunk
from tests.commands.calls import call, times
from tests.text.formats import making


def test_a_missing_input_file_is_an_error(tmp_path):
    result = call("chunk", "--input", tmp_path / "none.jsonl", "-o", tmp_path / "run", "--workers", "1")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {tmp_path}/none.jsonl: there is no such file or folder")
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("text", "name", "ids"),
    [
        ('{"id": "a", "text": "One."}\n{"text": "Two."}\n', "stdin.jsonl", ["a", "stdin.jsonl:2"]),
        ("Only prose here.\n", "stdin.txt", ["stdin.txt"]),
    ],
)
def test_standard_input_is_kept_for_resuming(tmp_path, text, name, ids):
    run = tmp_path / "run"
    assert call("chunk", "--input", "-", "-o", run, "--workers", "1", input=text).exit_code == 0
    assert (run / "input" / name).read_text() == text
    before = times(run)
    assert call("chunk", "-o", run, input="").exit_code == 0
    assert times(run) == before
    source = yaml.safe_load((run / "config.yaml").read_text())["input"]["path"]
    assert source == str(run / "input" / name)
    rows = shards.read_rows(f"{run}/chunk/shard-00000.parquet", Chunk)
    assert [row.doc_id for row in rows] == ids


def test_files_that_cannot_be_read_are_counted_and_too_many_of_them_are_a_failure(tmp_path):
    (tmp_path / "in").mkdir()
    for name in ("a.txt", "b.txt"):
        (tmp_path / "in" / name).write_text("Only prose here.\n")
    for name in ("c.doc", "d.doc", "e.xyz"):
        (tmp_path / "in" / name).write_bytes(b"\0")
    given = ("chunk", "--input", tmp_path / "in", "-o", tmp_path / "run", "--workers", "1")
    result = call(*given)
    assert result.exit_code == 0, result.stderr
    helps = "What helps: soffice --headless --convert-to docx c.doc"
    assert f"{tmp_path}/in: not read: 2 .doc files, such as c.doc. {helps}\n" in result.stderr
    assert f"{tmp_path}/in: passed over 1 files of other kinds, such as e.xyz\n" in result.stderr
    (tmp_path / "in" / "f.png").write_bytes(b"\0")
    result = call(*given)
    assert result.exit_code == 3
    assert f"{tmp_path}/in: 3 files could not be read, and 2 documents were read" in result.stderr


def test_documents_of_other_formats_have_their_readers_in_the_identity(tmp_path):
    (tmp_path / "a.pdf").write_bytes(making.pdf([making.lines(["Words of a page."])]))
    given = ("chunk", "--input", tmp_path / "a.pdf", "-o", tmp_path / "run", "--workers", "1")
    assert call(*given).exit_code == 0
    fingerprints = json.loads((tmp_path / "run" / "chunk" / "stage.json").read_text())["fingerprints"]
    assert list(fingerprints["readers of documents"]) == ["pdf"]
    assert "pypdfium2" in fingerprints["readers of documents"]["pdf"]
    before = times(tmp_path / "run")
    assert call(*given).exit_code == 0
    assert times(tmp_path / "run") == before
    (tmp_path / "b.txt").write_text("Words.")
    call("chunk", "--input", tmp_path / "b.txt", "-o", tmp_path / "plain", "--workers", "1")
    assert "readers of documents" not in (tmp_path / "plain" / "chunk" / "stage.json").read_text()


def test_a_run_among_its_own_documents_reads_none_of_its_files(tmp_path):
    (tmp_path / "a.txt").write_text("Only prose here.\n")
    given = ("chunk", "--input", tmp_path, "-o", tmp_path / "run", "--workers", "1")
    assert call(*given).exit_code == 0
    before = times(tmp_path / "run")
    assert call(*given).exit_code == 0
    assert times(tmp_path / "run") == before


def test_a_run_is_not_made_of_the_folder_of_its_documents(tmp_path):
    (tmp_path / "a.txt").write_text("Only prose here.\n")
    result = call("chunk", "--input", tmp_path, "-o", tmp_path, "--workers", "1")
    assert result.exit_code == 2
    assert "-o names the folder of the documents" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_failed_rows_end_with_3_and_say_where_they_are(tmp_path):
    file = tmp_path / "in.jsonl"
    file.write_text('{"text": "One."}\n' + "oops\n" * 7)
    result = call("chunk", "--input", file, "-o", tmp_path / "run", "--workers", "1")
    assert result.exit_code == 3
    assert result.stderr.count("set aside: in.jsonl:") == 5
    assert "… and 2 more (-v names them all)" in result.stderr
    assert f"7 rows failed: `longrlvr-data status {tmp_path}/run` counts the reasons" in result.stderr
    result = call("chunk", "-o", tmp_path / "run", "--workers", "1", "-v", "--json")
    assert result.stderr.count("set aside: in.jsonl:") == 7
    assert json.loads(result.stdout)["exit_code"] == 3
    assert call("chunk", "--input", file, "-o", tmp_path / "strict", "--strict").exit_code == 1
