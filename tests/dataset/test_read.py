"""Reading a dataset: our layout, and the one that LongRLVR's data is published in."""

import random
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datagen import shards
from datagen.dataset import read
from datagen.dataset.schema import SCHEMA
from datagen.errors import InputError
from tests import memory

PUBLISHED = {
    "data_source": "longrlvr",
    "prompt": [{"role": "user", "content": "<CHUNK_0>the oak</CHUNK_0> What tree?"}],
    "reward_model": {"ground_truth": "the oak", "style": "rule"},
    "extra_info": {"question": "What tree?", "ref_chunks": [0], "ref_chunks_text": ["the oak"]},
}


def write(path, *rows):
    pq.write_table(pa.Table.from_pylist(list(rows)), path)


def changed(**info):
    return PUBLISHED | {"extra_info": PUBLISHED["extra_info"] | info}


def test_the_published_layout(tmp_path):
    write(tmp_path / "train.parquet", PUBLISHED, PUBLISHED)
    files = read.find(str(tmp_path))
    assert files == {"train": [tmp_path / "train.parquet"], "validation": []}
    first, second = read.rows(files["train"])
    assert (first.qa_id, second.qa_id) == ("train/1", "train/2")
    assert (first.messages, first.question) == (PUBLISHED["prompt"], "What tree?")
    assert (first.answer, first.ref_chunks) == ("the oak", (0,))


def test_our_layout(tmp_path):
    (tmp_path / "dataset" / "data").mkdir(parents=True)
    for split in ("train", "validation"):
        write(tmp_path / "dataset" / "data" / f"{split}-00000-of-00001.parquet", changed(qa_id=f"{split}-q"))
    files = read.find(str(tmp_path))
    assert [[row.qa_id for row in read.rows(files[split])] for split in files] == [["train-q"], ["validation-q"]]


def test_an_answer_beside_the_question_will_do(tmp_path):
    write(tmp_path / "train.parquet", {k: v for k, v in changed(answer="oak").items() if k != "reward_model"})
    assert [row.answer for row in read.rows([tmp_path / "train.parquet"])] == ["oak"]


def test_a_prompt_that_shows_chunks_in_a_way_of_its_own_may_have_any(tmp_path):
    write(tmp_path / "train.parquet", changed(ref_chunks=[7]) | {"prompt": [{"role": "user", "content": "[7] oak"}]})
    assert [row.ref_chunks for row in read.rows([tmp_path / "train.parquet"])] == [(7,)]


def test_a_file_is_a_dataset_too(tmp_path):
    write(tmp_path / "mine.parquet", PUBLISHED)
    assert [row.qa_id for row in read.rows(read.find(str(tmp_path / "mine.parquet"))["train"])] == ["mine/1"]


def test_no_dataset_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"train\.parquet"):
        read.find(str(tmp_path))


@pytest.mark.parametrize(
    ("row", "named"),
    [
        (changed(ref_chunks=["0"]), "row 1.*'0'"),
        (changed(ref_chunks=pa.scalar([], pa.list_(pa.int32())).as_py()), "row 1.*ref_chunks is empty"),
        (PUBLISHED | {"reward_model": {"ground_truth": 5}}, "row 1.*the answer.*5"),
        (
            PUBLISHED | {"reward_model": {"ground_truth": None}},
            r"row 1: reward_model\.ground_truth.* is not text, but None",
        ),
        (PUBLISHED | {"reward_model": {"ground_truth": " "}}, r"row 1: reward_model\.ground_truth.* is empty"),
        (changed(ref_chunks=[0.0]), r"row 1: extra_info\.ref_chunks.*0\.0"),
        (changed(ref_chunks=[True]), r"row 1: extra_info\.ref_chunks.*True"),
        (changed(ref_chunks=[None, 1]), r"row 1: extra_info\.ref_chunks.*None"),
        (changed(ref_chunks=[-1]), r"row 1: extra_info\.ref_chunks: -1"),
        (changed(ref_chunks=[0, 1]), r"row 1: extra_info\.ref_chunks: 1 is no chunk that the prompt shows"),
        (changed(ref_chunks="0"), r"row 1: extra_info\.ref_chunks.*'0'"),
        (changed(ref_chunks=0), r"row 1: extra_info\.ref_chunks.*got 0"),
        (changed(question=7), r"row 1: extra_info\.question is not text, but 7"),
        (changed(question=b"raw"), r"row 1: extra_info\.question is not text, but b'raw'"),
        (PUBLISHED | {"prompt": "What tree?"}, "row 1: prompt is not a list of messages, but 'What tree"),
        (PUBLISHED | {"prompt": [{"role": "user", "content": None}]}, r"row 1: prompt\[\]\.content is not text"),
        (PUBLISHED | {"prompt": [{"content": "What tree?"}]}, r"row 1: prompt\[\]\.role is not text, but None"),
        (PUBLISHED | {"prompt": ["What tree?"]}, "row 1: prompt is not an object"),
        ({name: value for name, value in PUBLISHED.items() if name != "reward_model"}, "reward_model"),
    ],
)
def test_what_cannot_be_rewarded_is_refused_by_name(tmp_path, row, named):
    write(tmp_path / "train.parquet", row)
    with pytest.raises(InputError, match=named):
        list(read.rows([tmp_path / "train.parquet"]))


def test_a_damaged_file_is_an_error(tmp_path):
    (tmp_path / "train.parquet").write_bytes(b"half")
    with pytest.raises(InputError, match=r"train\.parquet"):
        list(read.rows([tmp_path / "train.parquet"]))


@pytest.mark.parametrize("column", ["extra_info", "reward_model", "prompt", "ref_chunks"])
def test_a_row_with_nothing_in_a_column_is_named(column, tmp_path):
    """The other rows have all of it, so that the file's schema is right."""
    empty = changed(ref_chunks=None) if column == "ref_chunks" else PUBLISHED | {column: None}
    write(tmp_path / "train.parquet", PUBLISHED, empty)
    with pytest.raises(InputError, match=rf"train\.parquet, row 2: .*{column}.*None"):
        list(read.rows([tmp_path / "train.parquet"]))


def test_a_name_may_be_a_number(tmp_path):
    write(tmp_path / "train.parquet", changed(qa_id=0), changed(qa_id=12))
    assert [row.qa_id for row in read.rows([tmp_path / "train.parquet"])] == ["0", "12"]


@pytest.mark.parametrize(
    ("texts", "named"),
    [("the oak", "is not a list of texts, but 'the oak'"), ([7], r"is not a list of texts, but \[7\]")],
)
def test_the_text_of_the_evidence_is_text(tmp_path, texts, named):
    write(tmp_path / "train.parquet", changed(ref_chunks_text=texts))
    with pytest.raises(InputError, match=rf"row 1: extra_info\.ref_chunks_text {named}"):
        list(read.rows([tmp_path / "train.parquet"]))


def test_the_text_of_the_evidence_need_not_be_there(tmp_path):
    info = {name: value for name, value in PUBLISHED["extra_info"].items() if name != "ref_chunks_text"}
    write(tmp_path / "with.parquet", PUBLISHED, changed(ref_chunks_text=None))
    write(tmp_path / "without.parquet", PUBLISHED | {"extra_info": info})
    found = read.rows([tmp_path / "with.parquet", tmp_path / "without.parquet"])
    assert [row.evidence for row in found] == [("the oak",), (), ()]


def test_rows_of_one_name_are_told_apart(tmp_path):
    """In a file, and in another of the same dataset; the first keeps the name."""
    for name in ("train-0", "train-1"):
        write(tmp_path / f"{name}.parquet", changed(qa_id="q1"), changed(qa_id="q2"), changed(qa_id="q1"))
    files = read.find(str(tmp_path))["train"]
    assert [row.qa_id for row in read.rows(files)] == ["q1", "q2", "train-0/3", "train-1/1", "train-1/2", "train-1/3"]
    assert [row.qa_id for row, _ in read.whole_rows(files)] == [row.qa_id for row in read.rows(files)]


def test_a_byte_that_changed_is_noticed_in_what_is_read(tmp_path):
    """Of a sealed file: in any byte where all columns are read, in the footer and the columns that are read else."""
    text = random.Random(0).randbytes(4000).hex()
    row = PUBLISHED | {"prompt": [{"role": "user", "content": text}]}
    file = tmp_path / "train.parquet"
    shards.write_groups(str(file), SCHEMA, [pa.Table.from_pylist([row], SCHEMA)])
    assert len(list(read.rows([file]))) == len(list(read.whole_rows([file]))) == 1
    whole = file.read_bytes()
    for at in (2000, len(whole) - 200):  # in the prompt, and in the footer
        file.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        for reading in (read.rows, read.whole_rows):
            with pytest.raises(InputError, match=r"train\.parquet cannot be read"):
                list(reading([file]))
    at = whole.index(b"longrlvr", 4)  # data_source, which training does not read
    assert at < len(whole) // 2
    file.write_bytes(whole[:at] + b"X" + whole[at + 1 :])
    with pytest.raises(InputError, match=r"train\.parquet cannot be read"):
        list(read.whole_rows([file]))


COUNT = """
import pathlib, sys
from datagen.dataset import read
print(sum(1 for _ in getattr(read, sys.argv[1])([pathlib.Path(sys.argv[2])])))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted as Linux does")
@pytest.mark.parametrize("reading", ["rows", "whole_rows"])
def test_memory_does_not_grow_with_the_rows_of_a_row_group(tmp_path, reading):
    draw, sizes, peaks = random.Random(0), [], []
    for n in (4096, 16_384):
        file = tmp_path / f"{n}.parquet"
        rows = [PUBLISHED | {"prompt": [{"role": "user", "content": draw.randbytes(2048).hex()}]} for _ in range(n)]
        pq.write_table(pa.Table.from_pylist(rows), file, compression="zstd", row_group_size=n)
        assert pq.ParquetFile(file).num_row_groups == 1
        done = memory.python("-c", COUNT, reading, str(file))
        assert done.code == 0, done.stderr
        sizes.append(file.stat().st_size / 1e6)
        peaks.append(done.peak)
    assert peaks[1] - peaks[0] < (sizes[1] - sizes[0]) / 4
