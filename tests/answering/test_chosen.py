"""Which document is asked about, out of whatever holds it."""

import io
import json
import os
import sys
from types import SimpleNamespace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datagen.answering import chosen
from datagen.config.data import InputConfig
from datagen.errors import ConfigError, InputError
from tests.answering.asked import JAPANESE, MARKDOWN, written

SETTINGS = InputConfig()


def lines(*rows: dict) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_a_file_is_a_document(tmp_path):
    document, said = chosen.one(str(written(tmp_path, "plan.md", MARKDOWN)), SETTINGS)
    assert (document.doc_id, document.text, said) == ("plan.md", MARKDOWN, [])


def test_of_several_documents_one_is_chosen_by_its_id(tmp_path):
    written(tmp_path, "a.txt", "Of a.")
    written(tmp_path, "b.txt", "Of b.")
    with pytest.raises(ConfigError, match=r"holds several documents.*\n  a\.txt\n  b\.txt") as e:
        chosen.one(str(tmp_path), SETTINGS)
    assert e.value.add == ("--doc-id", "a.txt")
    assert chosen.one(str(tmp_path), SETTINGS, "b.txt")[0].text == "Of b."
    with pytest.raises(InputError, match=r"no document has the id 'c'\. There are \n  a\.txt\n  b\.txt"):
        chosen.one(str(tmp_path), SETTINGS, "c")


def test_only_the_first_ids_are_listed(tmp_path):
    file = written(tmp_path, "many.jsonl", lines(*({"id": f"d{i}", "text": f"Number {i}."} for i in range(100))))
    with pytest.raises(ConfigError) as e:
        chosen.one(str(file), SETTINGS)
    assert str(e.value).endswith("  d0\n  d1\n  d2\n  d3\n  d4\n  …")
    assert chosen.one(str(file), SETTINGS, "d99")[0].text == "Number 99."
    with pytest.raises(InputError, match=r"d4\n  …$"):
        chosen.one(str(file), SETTINGS, "d100")


def test_a_limit_for_runs_hides_no_document(tmp_path):
    file = written(tmp_path, "two.jsonl", lines({"id": "a", "text": "A."}, {"id": "b", "text": "B."}))
    assert chosen.one(str(file), InputConfig(limit=1), "b")[0].text == "B."


def test_a_column_of_another_name(tmp_path):
    table = pa.table({"key": [7, 8], "body": ["Seven.", "Eight."]})
    pq.write_table(table, tmp_path / "rows.parquet")
    settings = InputConfig(text_column="body", id_column="key")
    assert chosen.one(str(tmp_path / "rows.parquet"), settings, "8")[0].text == "Eight."


def test_the_only_good_one_is_taken_and_the_others_are_named(tmp_path):
    file = written(tmp_path, "rows.jsonl", lines({"id": "good", "text": "Good."}, {"id": "bad", "text": " "}))
    document, said = chosen.one(str(file), SETTINGS)
    assert document.doc_id == "good"
    assert len(said) == 1
    assert said[0].startswith("set aside (empty document): rows.jsonl:2")
    with pytest.raises(InputError, match=r"this document cannot be read \(empty document\): rows.jsonl:2"):
        chosen.one(str(file), SETTINGS, "bad")


def test_files_of_other_kinds_are_named(tmp_path):
    written(tmp_path, "plan.md", MARKDOWN)
    written(tmp_path, "plan.xyz", "?")
    document, said = chosen.one(str(tmp_path), SETTINGS)
    assert document.doc_id == "plan.md"
    assert said == [f"{tmp_path}: passed over 1 files of other kinds, such as plan.xyz"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"", "the file is empty"),
        ("a.txt", b"a\0b", r"no document can be read: \n  a\.txt: .*NUL"),
        ("a.txt", bytes(range(128, 256)) * 4, r"no document can be read"),
        ("a.jsonl", b"{]\n", r"no document can be read: \n  a\.jsonl:1: "),
        ("a.pdfx", b"%PDF", "this kind of file is not known"),
        ("a.parquet", b"PAR1nonsense", "not a parquet file"),
    ],
)
def test_what_cannot_be_read_says_why(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        chosen.one(str(tmp_path / name), SETTINGS)


def test_a_file_that_is_not_there():
    with pytest.raises(InputError, match="there is no such file or folder"):
        chosen.one("/nowhere/at/all.txt", SETTINGS)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read all")
def test_a_file_that_may_not_be_read(tmp_path):
    file = written(tmp_path, "plan.md", MARKDOWN)
    file.chmod(0)
    with pytest.raises(InputError, match="permission"):
        chosen.one(str(file), SETTINGS)


@pytest.mark.parametrize(
    ("given", "doc_id", "text"),
    [(JAPANESE, None, JAPANESE), (lines({"id": "a", "text": "A."}, {"id": "b", "text": "B."}), "b", "B.")],
)
def test_standard_input(monkeypatch, given, doc_id, text):
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(given.encode())))
    assert chosen.one("-", SETTINGS, doc_id)[0].text == text


@pytest.mark.parametrize(("stdin", "message"), [(None, "closed"), (SimpleNamespace(buffer=io.BytesIO()), "is empty")])
def test_standard_input_that_gives_nothing(monkeypatch, stdin, message):
    monkeypatch.setattr(sys, "stdin", stdin)
    with pytest.raises(InputError, match=message):
        chosen.one("-", SETTINGS)
