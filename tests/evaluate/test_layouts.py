import csv
import json
from dataclasses import asdict, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datagen import shards
from datagen.errors import InputError
from datagen.evaluate import layouts
from datagen.evaluate.prediction import Prediction
from tests.evaluate.test_score import DATA, prediction, response

ROWS = [
    prediction(item_id="1", kind="choice", choices=["x", "y"], gold=["B"], response=response("B"), length="32k"),
    prediction(item_id="2", gold_chunks=[1, 4], n_chunks=9, position=0.5, response="", prompt_tokens=700),
    prediction(item_id="3", kind="match", gold=["Aldwick", "Ald"], error="the server gave no reply", finish=""),
    prediction(item_id="4", response="水車\ud83c小屋".replace("\ud83c", ""), as_published=True),
]


def read(path: Path) -> list[Prediction]:
    return [row.prediction for row in layouts.read(str(path))]


def lines(path: Path, *rows: object) -> Path:
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows), encoding="utf-8")
    return path


def test_our_own_layout_comes_back_from_every_kind_of_file(tmp_path):
    shards.write_rows(str(tmp_path / "a.parquet"), Prediction, ROWS)
    lines(tmp_path / "a.jsonl", *map(asdict, ROWS))
    with (tmp_path / "a.csv").open("w", newline="", encoding="utf-8") as f:
        out = csv.DictWriter(f, asdict(ROWS[0]))
        out.writeheader()
        for row in ROWS:
            cells = {k: json.dumps(v) if isinstance(v, (list, bool)) else v for k, v in asdict(row).items()}
            out.writerow(cells)
    for name in ("a.parquet", "a.jsonl", "a.csv"):
        assert read(tmp_path / name) == ROWS, name


def test_a_folder_of_shards_is_read_in_order_and_nothing_else_in_it(tmp_path):
    for i in (1, 0):
        shards.write_rows(
            str(tmp_path / f"predictions-0000{i}.parquet"), Prediction, [replace(ROWS[0], item_id=str(i))]
        )
    lines(tmp_path / "run.json", {})
    (tmp_path / "journal").mkdir()
    lines(tmp_path / "journal" / "0.jsonl", {"a": 1})
    rows = layouts.read(str(tmp_path))
    assert [row.prediction.item_id for row in rows] == ["0", "1"]
    assert {row.given for row in rows} == {str(tmp_path)}


def test_a_parquet_file_may_lack_what_may_be_left_out(tmp_path):
    few = {"item_id": [7], "kind": ["match"], "gold": [["x"]], "response": ["y"]}
    pq.write_table(pa.table(few), tmp_path / "few.parquet")
    assert read(tmp_path / "few.parquet") == [
        prediction(benchmark="", item_id="7", kind="match", gold=["x"], response="y")
    ]


def test_what_the_published_layouts_say():
    longbench = read(DATA / "longbench.jsonl")[0]
    assert (longbench.benchmark, longbench.item_id, longbench.kind) == ("longbench-v2", "lb-1", "choice")
    assert (longbench.choices[2], longbench.gold, longbench.as_published) == ("By the mill", ["C"], True)
    assert (longbench.length, longbench.difficulty, longbench.domain) == ("short", "easy", "Single-Document QA")
    longreason = read(DATA / "longreason.jsonl")[1]
    assert (longreason.benchmark, longreason.gold, longreason.length) == ("longreason", ["C"], "32k")
    ruler = read(DATA / "RULER")[0]
    assert (ruler.benchmark, ruler.item_id, ruler.domain) == ("ruler-qa", "qa_1/0", "qa_1")
    assert (ruler.length, ruler.model, ruler.prompt_tokens) == ("32k", "tiny", 30000)
    assert ruler.gold == ["Aldwick", "the town of Aldwick"]


def test_longreason_without_a_judge_is_judged_by_its_rule(tmp_path):
    row = {"example_idx": 1, "response": "…", "pred": "Clearly A", "answer": "C"}
    assert read(lines(tmp_path / "a.jsonl", row, row | {"answer": "B"}))[0].as_published is True
    assert read(tmp_path / "a.jsonl")[1].as_published is False


def test_a_null_response_is_a_failed_row(tmp_path):
    row = json.loads((DATA / "longbench.jsonl").read_text(encoding="utf-8").splitlines()[0])
    [found] = read(lines(tmp_path / "a.jsonl", row | {"response": None}))
    assert found.response is None
    assert found.error == "`response` is null"


OWN = {"item_id": "1", "kind": "match", "gold": ["x"], "response": "y"}
LONGREASON = {"example_idx": "1", "response": "x", "pred": "x", "answer": "A", "judge": True}


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([OWN, '{"item_id": "1", "ki'], "a.jsonl, row 2: no JSON (.*): the line was cut"),
        ([OWN, "[1]"], "a.jsonl, row 2: a JSON object belongs here"),
        ([OWN, "", '"x"'], "a.jsonl, row 3: a JSON object"),
        (["[" * 100_000], "a.jsonl, row 1: no JSON"),
        ([OWN, {k: v for k, v in OWN.items() if k != "gold"}], "a.jsonl, row 2: `gold` is missing"),
        ([OWN | {"gold": []}], "row 1: `gold` is empty"),
        ([OWN | {"gold": ["", " "]}], "row 1: `gold` is empty"),
        ([OWN | {"gold": [1]}], "row 1: `gold` is a list of texts, and not"),
        ([OWN | {"gold": None}], "row 1: `gold` is null"),
        ([OWN | {"kind": "guess"}], "row 1: `kind` is one of choice, match, similarity, answer, and not 'guess'"),
        ([OWN | {"kind": "choice", "gold": ["word"]}], "row 1: `gold` is a letter from A to Z, and not 'WORD'"),
        (
            [OWN | {"kind": "choice", "gold": ["E"], "choices": ["x", "y"]}],
            "`gold` is a letter from A to B, and not 'E'",
        ),
        ([OWN | {"response": 5}], "row 1: `response` is a text, and not 5"),
        ([OWN | {"gold_chunks": [1.5]}], "row 1: `gold_chunks` is a list of chunk numbers"),
        ([OWN | {"gold_chunks": [-1]}], "row 1: `gold_chunks` is a list of chunk numbers"),
        ([OWN | {"position": 1.5}], "row 1: `position` is a number from 0 to 1"),
        ([OWN | {"n_chunks": "many"}], "row 1: `n_chunks` is a whole number"),
        ([OWN | {"as_published": 1}], "row 1: `as_published` is true or false"),
        ([LONGREASON | {"answer": "AB"}], "row 1: `answer` is a letter from A to Z, and not 'AB'"),
        ([LONGREASON | {"judge": "yes"}], "row 1: `judge` is true or false, and not 'yes'"),
        ([{"index": 1, "pred": "x", "outputs": []}], "row 1: `outputs` is empty"),
        ([{"question": "x", "reply": "y"}], "it has the columns question, reply; the columns of each layout are"),
        ([], "holds no predictions"),
    ],
)
def test_what_is_damaged_is_named_by_file_and_row(tmp_path, rows: list, said: str):
    with pytest.raises(InputError, match=said.replace("(.*)", r"\(.*\)")):
        read(lines(tmp_path / "a.jsonl", *rows))


def test_an_unknown_layout_is_told_the_columns_of_each(tmp_path):
    with pytest.raises(InputError) as e:
        read(lines(tmp_path / "a.jsonl", {"x": 1}))
    for name in (*layouts.OWN, *layouts.LONGBENCH, *layouts.LONGREASON, *layouts.RULER, *layouts.SUBMISSION):
        assert name in str(e.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="is not there"):
        read(tmp_path / "none.jsonl")
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(InputError, match=r"no file of predictions: these end in \.parquet, \.jsonl, \.csv"):
        read(tmp_path / "a.txt")
    with pytest.raises(InputError, match="holds no predictions"):
        read(tmp_path)
    (tmp_path / "b.jsonl").write_bytes(b'{"item_id": "\xff"}\n')
    with pytest.raises(InputError, match=r"b\.jsonl, row 1: not UTF-8 at byte 14"):
        read(tmp_path / "b.jsonl")
    (tmp_path / "c.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match=r"c\.parquet"):
        read(tmp_path / "c.parquet")
    (tmp_path / "d.csv").write_text("item_id,kind,gold,response\n1,match,x\n")
    with pytest.raises(InputError, match=r"d\.csv, row 1: it has not as many cells"):
        read(tmp_path / "d.csv")


def test_a_parquet_file_whose_bytes_have_changed(tmp_path):
    shards.write_rows(str(tmp_path / "a.parquet"), Prediction, ROWS)
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    data[40] ^= 255
    (tmp_path / "a.parquet").write_bytes(data)
    with pytest.raises(InputError, match=r"a\.parquet"):
        read(tmp_path / "a.parquet")


def test_half_a_character_does_no_harm(tmp_path):
    [found] = read(lines(tmp_path / "a.jsonl", '{"item_id": 1, "kind": "match", "gold": "x", "response": "\\ud83c x"}'))
    assert found.response == "\\ud83c x"


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("qa_2,0,x", r"row 1: its gold answers are in qa_2\.jsonl beside this file, and that is not there"),
        ("../qa_1,0,x", "that is not there"),
        ("qa_1,99,x", r"row 1: .*qa_1\.jsonl has no row with the index 99"),
        ("qa_1,0,another answer", r"row 1: its Prediction does not stand in the response"),
    ],
)
def test_a_submission_goes_with_the_file_beside_it(tmp_path, row: str, said: str):
    (tmp_path / "qa_1.jsonl").write_bytes((DATA / "RULER/tiny/synthetic/32768/pred/qa_1.jsonl").read_bytes())
    (tmp_path / "submission.csv").write_text(f"Task,ID,Prediction\n{row}\n")
    with pytest.raises(InputError, match=said):
        read(tmp_path / "submission.csv")
