"""JSON is read block by block: wherever the blocks end, it is what `json.loads` reads."""

import json
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.errors import InputError
from datagen.evaluate import rows
from datagen.text import sources

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
ROWS = st.lists(st.dictionaries(st.text(max_size=5), VALUES, max_size=4), max_size=6)


def read(data: bytes, block: int):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "data.json"
        path.write_bytes(data or b" ")
        (file,), _ = sources.find(str(path))
        return list(rows._of_json(file, block))


@given(ROWS, st.integers(1, 40), st.booleans(), st.sampled_from([None, 1]), st.sampled_from(["", "\ufeff", " \n"]))
def test_an_array(wanted, block, ascii, indent, before):
    text = before + json.dumps(wanted, ensure_ascii=ascii, indent=indent) + "\n"
    assert read(text.encode(), block) == wanted


@given(ROWS, st.integers(1, 40), st.sampled_from(["\n", "\r\n", "\n\n"]), st.booleans())
def test_lines(wanted, block, end, ends):
    text = end.join(json.dumps(row, ensure_ascii=False) for row in wanted) + (end if ends else "")
    assert read(text.encode(), block) == wanted


@given(ROWS.filter(bool), st.integers(1, 40), st.data())
def test_an_array_that_was_cut_is_never_taken_for_a_whole_one(wanted, block, data):
    whole = json.dumps(wanted, ensure_ascii=False).encode()
    with pytest.raises(InputError):
        read(whole[: data.draw(st.integers(1, len(whole) - 1))], block)


@given(st.binary(max_size=60), st.integers(1, 9))
def test_any_bytes_are_read_or_refused(data, block):
    with suppress(InputError):  # and no other error
        read(data, block)
