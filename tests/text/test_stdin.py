import gzip
import io
import os
from pathlib import Path

import pytest

from datagen.errors import InputError
from datagen.text import sources, stdin


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b'{"text": "a"}\n', "stdin.jsonl"),
        (b' \n\t\r\n{"text": "a"}\n', "stdin.jsonl"),
        (b'\xef\xbb\xbf{"text": "a"}\n', "stdin.jsonl"),
        ('{"text": "a"}\n'.encode("utf-16"), "stdin.jsonl"),
        (b"Call me Ishmael.", "stdin.txt"),
        (b" " * 3_000_000 + b'{"text": "a"}', "stdin.jsonl"),
        (b"  \n", "stdin.txt"),
    ],
)
def test_standard_input_is_copied_whole(tmp_path, data, name):
    file = stdin.spool(io.BytesIO(data), tmp_path / "input")
    assert file.name == name
    assert Path(file.path).read_bytes() == data
    assert sources.find(file.path) == ([file], [])
    assert os.listdir(tmp_path / "input") == [name]


def test_a_second_standard_input_takes_the_place_of_the_first(tmp_path):
    stdin.spool(io.BytesIO(b'{"text": "a"}'), tmp_path)
    stdin.spool(io.BytesIO(b"a text"), tmp_path)
    assert os.listdir(tmp_path) == ["stdin.txt"]


@pytest.mark.parametrize(
    ("data", "says"), [(b"", "is empty"), (gzip.compress(b"x", mtime=0), "gzip"), (b"PAR1", "parquet")]
)
def test_standard_input_that_cannot_be_used_leaves_nothing_behind(tmp_path, data, says):
    with pytest.raises(InputError, match=says):
        stdin.spool(io.BytesIO(data), tmp_path)
    assert os.listdir(tmp_path) == []


def test_a_copy_that_breaks_off_leaves_the_earlier_one(tmp_path):
    class Broken(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            raise OSError("the pipe broke")

    stdin.spool(io.BytesIO(b"a text"), tmp_path)
    with pytest.raises(InputError, match="Standard input broke off: the pipe broke"):
        stdin.spool(Broken(), tmp_path)
    assert os.listdir(tmp_path) == ["stdin.txt"]
