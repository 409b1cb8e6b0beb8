import json
import re
import subprocess
import sys
import time

import pytest

from datagen import shards
from datagen.evaluate import score
from datagen.evaluate.prediction import Prediction
from tests.commands.calls import call
from tests.commands.test_json import keys_of
from tests.evaluate.test_score import DATA, prediction, response

LONGREASON = DATA / "longreason.jsonl"


@pytest.fixture
def predictions(tmp_path):
    said = [response("Aldwick"), response("Bexford"), None]
    rows = [
        prediction(item_id=str(i), response=r, gold_chunks=[1], n_chunks=4, error="" if r else "no\x1b[2Jserver")
        for i, r in enumerate(said)
    ]
    shards.write_rows(str(tmp_path / "mine.parquet"), Prediction, rows)
    return tmp_path / "mine.parquet"


def test_both_columns_stand_side_by_side():
    result = call("evaluate", "score", LONGREASON)
    assert result.exit_code == 0
    heading, every, *_ = result.stdout.splitlines()
    assert heading.split() == ["rows", "strict", "as", "published"]
    assert every.split() == ["all", "10", "30.0", "[0.0,", "60.0]", "70.0", "[40.0,", "100.0]"]
    for told in ("Rows whose two verdicts differ: 6", f"1  {score.ELSEWHERE}", "Responses that parse: 9 of 10"):
        assert told in result.stdout


def test_what_has_no_published_rule_has_a_dash_and_failed_rows_are_said(predictions):
    result = call("evaluate", "score", predictions)
    assert result.exit_code == 0
    cells = result.stdout.splitlines()[1].split()
    assert cells[:7] == ["all", "3", "1", "50.0", "[0.0,", "100.0]", "–"]
    assert cells[7:] == ["100.0", "/", "100.0", "/", "100.0"]  # of the evidence
    assert "Rows that failed, and are in no share: 1" in result.stdout
    assert "\x1b[2J" not in result.stdout
    assert "100.0 / 100.0 / 100.0  of 2 rows with gold chunks" in result.stdout


def test_the_verifier_of_a_datasets_rows_is_chosen(tmp_path):
    rows = [prediction(item_id="1", response=response("Aldwick Town"))]
    shards.write_rows(str(tmp_path / "a.parquet"), Prediction, rows)
    by = {
        name: json.loads(call("evaluate", "score", tmp_path / "a.parquet", "--verifier", name, "--json").stdout)
        for name in ("exact", "contains")
    }
    assert [(found["verifier"], found["strict"]) for found in by.values()] == [("exact", 0.0), ("contains", 1.0)]


def test_a_run_that_is_not_finished_is_said(tmp_path):
    rows = [prediction(item_id=str(i), response=response("Aldwick")) for i in range(16)]
    shards.write_rows(str(tmp_path / "run" / "predictions-00000.parquet"), Prediction, rows)
    record = tmp_path / "run" / "run.json"
    shards.write_json(str(record), {"questions": 500})
    said = f"{tmp_path}/run: 16 of 500 questions are asked: go on with the same `evaluate run`"
    result = call("evaluate", "score", tmp_path / "run", "--html", tmp_path / "s.html", "--json")
    assert said in result.stderr
    assert json.loads(result.stdout)["asked_of"] == 500
    assert "Not finished: 16 of 500 questions are asked" in (tmp_path / "s.html").read_text(encoding="utf-8")
    whole = tmp_path / "run" / "predictions-00000.parquet"
    assert said in call("evaluate", "score", whole, "--against", tmp_path / "run").stderr
    shards.write_json(str(record), {"questions": 16})
    assert "are asked" not in call("evaluate", "score", tmp_path / "run").output
    record.write_text("{")
    result = call("evaluate", "score", tmp_path / "run", "--json")
    assert f"{tmp_path}/run: whether all questions are asked is not known" in result.stderr
    assert (result.exit_code, json.loads(result.stdout)["asked_of"]) == (0, None)


def test_json_has_both_shares_and_keys_that_the_page_explains(predictions):
    result = call("evaluate", "score", predictions, "--against", predictions, "--json", "--seed", "3")
    found = json.loads(result.stdout)
    assert (found["rows"], found["unanswered"], found["strict"], found["as_published"]) == (3, 1, 0.5, None)
    assert (found["failed"], found["asked_of"], found["verifier"]) == ({"no\x1b[2Jserver": 1}, None, "exact")
    assert found["by"]["benchmark"]["x"]["evidence"]["recall"] == 1
    assert found["comparison"]["mcnemar_p"] == 1
    parts = [found, found["differences"], found["diagnostics"], found["evidence"], found["comparison"], found["by"]]
    parts.append(found["by"]["benchmark"]["x"])
    assert {key for part in parts for key in part} <= keys_of("evaluate score")
    assert (
        call("evaluate", "score", predictions, "--against", predictions, "--json", "--seed", "3").stdout
        == result.stdout
    )
    assert json.loads(call("evaluate", "score", LONGREASON, "--json").stdout)["comparison"] is None


def test_the_rows_that_differ_and_the_page_are_written(tmp_path):
    result = call(
        "evaluate", "score", LONGREASON, DATA / "longbench.jsonl", "--rows", tmp_path / "d.jsonl", "--html",
        tmp_path / "s.html", "-v",
    )  # fmt: skip
    assert result.exit_code == 0
    reasons = [json.loads(line)["reason"] for line in (tmp_path / "d.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(reasons) == 12
    assert f"longreason.jsonl, row 2: {score.ELSEWHERE}" in result.stderr
    assert (tmp_path / "s.html").read_text(encoding="utf-8").count("<details>") == 12
    assert "by predictions" in result.stdout


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("none.jsonl",), 1, "none.jsonl is not there"),
        ((LONGREASON, "--rows", "d.txt"), 2, "end its name in .jsonl or .parquet"),
        ((LONGREASON, "--against", DATA / "longbench.jsonl"), 1, "is of another benchmark"),
        ((LONGREASON, "--seed", "-1"), 2, "--seed"),
        ((), 2, "PREDICTIONS"),
    ],
)
def test_mistakes_are_said_without_a_traceback(args, code, said):
    result = call("evaluate", "score", *args)
    assert result.exit_code == code
    assert said in result.stderr
    assert "Traceback" not in result.stderr


def test_help_is_quick_to_load():
    code = (
        "import sys\nfrom datagen.cli import app\ntry: app(['evaluate', 'score', '-h'])\nexcept SystemExit: pass\n"
        "print(sorted({'numpy', 'pyarrow', 'scipy', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
    assert re.search(
        r"Usage: longrlvr-data evaluate score \[OPTIONS\] \W?PREDICTIONS", call("evaluate", "score", "-h").output
    )


def test_ten_thousand_long_responses_take_seconds(tmp_path):
    long = response("The correct answer is (B) On the hill.", reasoning="It may be (A), or (B). " * 440)
    rows = [
        prediction(benchmark="longbench-v2", item_id=str(i), kind="choice", gold=["AB"[i % 2]], response=long)
        for i in range(10_000)
    ]
    shards.write_rows(str(tmp_path / "a.parquet"), Prediction, rows)
    start = time.process_time()
    result = call("evaluate", "score", tmp_path / "a.parquet", "--json")
    assert json.loads(result.stdout)["strict"] == 0.5
    assert time.process_time() - start < 30  # seconds on one core; a reader that is not linear takes minutes


def test_what_is_scored_is_never_written_over(predictions, tmp_path):
    before = predictions.read_bytes()
    page = tmp_path / "page.html"
    for options in (
        ("--rows", predictions),
        ("--html", predictions),
        ("--against", LONGREASON, "--rows", LONGREASON),
    ):
        result = call("evaluate", "score", predictions, *options)
        assert result.exit_code == 2, result.output
    assert call("evaluate", "score", tmp_path, "--rows", tmp_path / "differ.jsonl").exit_code == 2
    assert predictions.read_bytes() == before
    assert call("evaluate", "score", predictions, "--html", page).exit_code == 0


def test_answers_to_one_question_are_not_counted_twice_in_silence(predictions, tmp_path):
    assert call("evaluate", "score", predictions, predictions).exit_code == 2
    again = tmp_path / "again.parquet"
    again.write_bytes(predictions.read_bytes())
    result = call("evaluate", "score", predictions, again)
    assert result.exit_code == 0
    assert "3 answers are to questions that have one already" in result.stderr
    assert "warning" not in call("evaluate", "score", predictions).stderr


def test_a_run_without_a_finished_file_is_said_to_be_one(tmp_path):
    journal = tmp_path / "run" / "journal" / "evaluate"
    journal.mkdir(parents=True)
    (journal / "predictions-00000.jsonl").write_text('{"key": "x", "text": "y"}\n')
    (tmp_path / "run" / "run.json").write_text("{}")
    result = call("evaluate", "score", tmp_path / "run")
    assert result.exit_code == 1
    assert "has no finished predictions yet" in result.output
