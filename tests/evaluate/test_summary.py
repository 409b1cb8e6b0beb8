import io
import json
from dataclasses import replace
from html.parser import HTMLParser

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from datagen.errors import ConfigError, InputError
from datagen.evaluate import differing, layouts, page, summary, told
from datagen.evaluate.layouts import Row
from datagen.evaluate.prediction import Prediction
from tests.evaluate.test_score import DATA, prediction, response

RIGHT, WRONG = response("Aldwick"), response("Bexford")


def rows(*predictions: Prediction) -> list[summary.Result]:
    return summary.results([Row(p, "a.parquet", i, "a.parquet") for i, p in enumerate(predictions, 1)])


def answered(*responses: str | None, **known) -> list[summary.Result]:
    return rows(*(prediction(item_id=str(i), response=said, **known) for i, said in enumerate(responses)))


def test_shares_are_of_the_rows_that_have_a_response():
    found = summary.summary(answered(RIGHT, WRONG, RIGHT, None, "no tags", error="no server\nat all"))
    assert (found["rows"], found["unanswered"], found["strict"]) == (5, 1, 0.5)
    assert found["failed"] == {"no server": 1}
    assert found["diagnostics"]["parsed"] == 3
    assert found["diagnostics"]["failures"] == {"no <answer> section": 1, "no <useful_chunks> section": 1}


def test_failed_rows_are_told_by_reason_as_evaluate_run_tells_them():
    errors = ["request refused by the server: HTTP 400", "request refused by the server: HTTP 413", "  ", "cut\nx: y"]
    found = summary.summary(rows(*(prediction(item_id=str(i), error=e) for i, e in enumerate(errors))))
    assert found["failed"] == {"request refused by the server": 2, "no reason is given": 1, "cut": 1}
    assert found["unanswered"] == 4


def test_where_nothing_is_known_it_is_null_and_not_zero():
    found = summary.summary(answered(None, error="no server"))
    assert (found["strict"], found["strict_interval"], found["as_published"]) == (None, None, None)
    found = summary.summary(answered(RIGHT))
    assert (found["as_published"], found["as_published_interval"], found["as_published_rows"]) == (None, None, 0)
    assert (found["evidence"], found["differences"]) == (None, {"rows": 0, "reasons": {}})
    assert found["by"]["length"] == found["by"]["position"] == found["by"]["difficulty"] == found["by"]["domain"] == {}


def test_of_a_hand_worked_file():
    found = summary.summary(summary.results(layouts.read(str(DATA / "longreason.jsonl"))))
    assert (found["rows"], found["strict"], found["as_published"]) == (10, 0.3, 0.7)
    assert found["strict_interval"][0] < 0.3 < found["strict_interval"][1]
    assert found["differences"]["rows"] == 6
    assert sum(found["differences"]["reasons"].values()) == 6


def test_breakdowns_are_in_order_and_leave_no_row_out():
    lengths = ["128k", "8k", "", "1M", "32k", "8k"]
    found = rows(*(prediction(item_id=str(i), length=n, response=RIGHT) for i, n in enumerate(lengths)))
    by = summary.summary(found)["by"]["length"]
    assert {name: of["rows"] for name, of in by.items()} == {"8k": 2, "32k": 1, "128k": 1, "1M": 1}
    assert list(by) == ["8k", "32k", "128k", "1M"]
    named = rows(*(prediction(length=n, response=RIGHT) for n in ("8k", "long", "short", "medium")))
    assert list(summary.summary(named)["by"]["length"]) == ["short", "medium", "long", "8k"]


def test_positions_are_in_fifths():
    found = rows(*(prediction(position=p, response=RIGHT) for p in (0.0, 0.19, 0.2, 0.99, 1.0, None)))
    by = summary.summary(found)["by"]["position"]
    assert {name: of["rows"] for name, of in by.items()} == {"0-20 %": 2, "20-40 %": 1, "80-100 %": 2}


def test_evidence_by_hand():
    """Precision 1/2, recall 1/2; nothing cited; not parsed; one that is not there. F-beta of the first: 1/2."""
    cited = [response("x", "<CHUNK_1> <CHUNK_3>"), response("x", ""), "<useful_chunks><CHUNK_1></useful_chunks>"]
    cited += [response("x", "<CHUNK_1> <CHUNK_2> <CHUNK_99>"), None]
    found = summary.summary(answered(*cited, gold_chunks=[1, 2], n_chunks=9, error="e"))["evidence"]
    assert (found["rows"], found["parsed"]["rows"], found["cites_nothing"], found["out_of_range"]) == (4, 3, 1, 1)
    assert found["precision"] == pytest.approx((1 / 2 + 2 / 3) / 4)
    assert found["recall"] == pytest.approx((1 / 2 + 1) / 4)
    fbeta = 5 * (2 / 3) / (4 * 2 / 3 + 1)
    assert found["fbeta"] == pytest.approx((1 / 2 + fbeta) / 4)
    assert found["parsed"]["fbeta"] == pytest.approx((1 / 2 + fbeta) / 3)


def test_evidence_is_in_every_group_that_has_some():
    kinds = [("8k", 0.1, "easy"), ("8k", 0.9, "hard"), ("32k", 0.1, "hard")]
    known = [dict(zip(("length", "position", "difficulty"), kind, strict=True), gold_chunks=[1]) for kind in kinds]
    cited = ["<CHUNK_1>", "<CHUNK_2>", "<CHUNK_1> <CHUNK_2>"]
    all_rows = [prediction(item_id=c, response=response("Aldwick", c), **k) for c, k in zip(cited, known, strict=True)]
    found = summary.summary(rows(*all_rows, prediction(length="1M", response=RIGHT)))
    by = found["by"]
    assert {name: of["evidence"] and of["evidence"]["recall"] for name, of in by["length"].items()} == {
        "8k": 0.5, "32k": 1.0, "1M": None,
    }  # fmt: skip
    assert [of["evidence"]["precision"] for of in by["position"].values()] == [0.75, 0.0]
    assert [of["evidence"]["rows"] for of in by["difficulty"].values()] == [1, 2]
    assert by["difficulty"]["hard"]["evidence"]["fbeta"] == pytest.approx(5 / 6 / 2)
    table = screen_text(found)
    assert table["rows"].endswith("P / R / F2")
    assert table["8k"].endswith("50.0 / 50.0 / 50.0")
    assert table["1M"].endswith("–")
    reader = Reader()
    reader.feed(page.render("x", found | {"comparison": None}, []))
    assert "50.0 / 50.0 / 50.0" in reader.text
    assert "P / R / F2" not in "".join(screen_text(summary.summary(rows(prediction(response=RIGHT)))).values())


def screen_text(found: dict) -> dict[str, str]:
    """The lines of the table on a wide terminal, by their first words."""
    text = io.StringIO()
    Console(file=text, width=160).print(told.table(found))
    return {line.split()[0]: line.rstrip() for line in text.getvalue().splitlines() if line.strip()}


def test_an_unanswerable_question_has_no_evidence_to_score():
    assert summary.summary(answered(RIGHT, gold_chunks=[]))["evidence"] is None


def test_a_comparison_by_hand():
    here = answered(RIGHT, RIGHT, RIGHT, WRONG, RIGHT, None, RIGHT)
    there = answered(RIGHT, WRONG, WRONG, RIGHT, WRONG, RIGHT, error="e")
    found = summary.compared(here, there, "b.parquet")
    assert (found["rows"], found["unanswered"], found["only_here"], found["only_there"]) == (5, 1, 1, 0)
    assert (found["strict"], found["against_strict"], found["difference"]) == (0.8, 0.4, pytest.approx(0.4))
    assert (found["better_here"], found["better_there"]) == (3, 1)
    assert found["mcnemar_p"] == pytest.approx(10 / 16)  # 2 (1 + 4) / 2^4
    low, high = found["difference_interval"]
    assert low < 0.4 < high


def test_similarities_are_compared_without_mcnemar():
    known = {"kind": "similarity", "gold": ["abcdefghijMills"]}
    found = summary.compared(
        answered(response("abcdefghijMills"), **known), answered(response("abcdefghijMi"), **known), "b"
    )
    assert (found["better_here"], found["mcnemar_p"]) == (1, None)


def test_an_item_of_several_lengths_is_paired_by_its_length():
    found = rows(*(prediction(item_id="1", length=n, response=RIGHT) for n in ("8k", "32k")))
    assert summary.compared(found, found[1:], "b")["rows"] == 1
    with pytest.raises(InputError, match=r"the item 1 stands in a\.parquet, row 1, too"):
        summary.compared(rows(prediction(), prediction()), found, "b")


def test_files_without_a_question_in_common_are_not_compared():
    other = [replace(r, row=replace(r.row, prediction=replace(r.row.prediction, item_id="z"))) for r in answered(RIGHT)]
    with pytest.raises(InputError, match=r"b\.parquet has none of the same items.*begins with z"):
        summary.compared(answered(RIGHT), other, "b.parquet")
    with pytest.raises(InputError, match=r"b\.parquet is of another benchmark \(y, not x\)"):
        summary.compared(answered(RIGHT), answered(RIGHT, benchmark="y"), "b.parquet")


@pytest.mark.parametrize("name", ["d.jsonl", "d.parquet"])
def test_the_rows_that_differ_as_a_file(tmp_path, name):
    found = summary.results(layouts.read(str(DATA / "longreason.jsonl")))
    differing.write(str(tmp_path / name), differing.rows(found))
    if name.endswith("jsonl"):
        written = [json.loads(line) for line in (tmp_path / name).read_text(encoding="utf-8").splitlines()]
    else:
        written = pq.read_table(tmp_path / name).to_pylist()
    assert [row["item_id"] for row in written] == ["lr-2", "lr-4", "lr-5", "lr-7", "lr-8", "lr-9"]
    assert (written[0]["row"], written[0]["named"], written[0]["strict"], written[0]["as_published"]) == (2, "D", 0, 1)
    assert written[2]["answer"] is None


def test_another_kind_of_file_is_refused():
    with pytest.raises(ConfigError, match=r"--rows d\.txt: end its name in \.jsonl or \.parquet"):
        differing.check("d.txt")


class Reader(HTMLParser):
    VOID = ("meta", "link", "br", "img", "input", "hr")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict]] = []
        self.text = ""

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def test_the_page_is_whole_and_loads_and_runs_nothing():
    hostile = "<script>alert(1)</script><img src=x onerror=alert(2)> $title \x1b[31m\u202e"
    found = answered(
        response(f"{hostile}Aldw"), RIGHT, hostile, None, kind="match", benchmark="ruler-qa", error=hostile
    )
    found += rows(
        prediction(
            **dict.fromkeys(("item_id", "question", "length", "difficulty", "domain"), hostile),
            benchmark="ruler",
            kind="match",
            gold=["script"],
            response=f"script {hostile}",
        )
    )
    html = page.render(hostile, summary.summary(found) | {"comparison": None}, differing.rows(found))
    reader = Reader()
    reader.feed(html)
    assert reader.open == []
    tags = {tag for tag, _ in reader.seen}
    assert not tags & {"script", "img", "link", "iframe", "object", "form"}
    assert not any(name.startswith("on") or name in ("src", "href") for _, attrs in reader.seen for name in attrs)
    assert "url(" not in html
    assert "@import" not in html
    assert "\x1b" not in html
    assert "\u202e" not in html
    assert "<script>alert(1)</script>" in reader.text  # shown as it is
    assert ("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}) in reader.seen
    assert "prefers-color-scheme: dark" in html
    for words in ("strict", "as published", "The rows that differ", "Responses that parse"):
        assert words in reader.text


def test_the_page_says_what_it_leaves_out(monkeypatch):
    monkeypatch.setattr(page, "MOST_ROWS", 2)
    found = summary.results(layouts.read(str(DATA / "longreason.jsonl")))
    html = page.render("x", summary.summary(found), differing.rows(found))
    assert html.count("<details>") == 2
    assert "The first 2 of 6; --rows writes all of them." in html
