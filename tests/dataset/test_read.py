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
