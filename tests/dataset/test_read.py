"""Reading a dataset: our layout, and the one that LongRLVR's data is published in."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datagen.dataset import read
from datagen.errors import InputError

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
