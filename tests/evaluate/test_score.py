import gzip
import json
import os
import re
from collections import Counter
from difflib import SequenceMatcher
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.config.train import RewardConfig
from datagen.evaluate import diagnostics, layouts, score
from datagen.evaluate.prediction import Prediction
from datagen.grounding.tags import read_response

DATA = Path(__file__).parents[1] / "data" / "evaluate"
RECORDED = Path(__file__).parents[3] / "shared" / "data" / "model_outputs.jsonl.gz"
RESULTS = Path(os.environ.get("LONGRLVR_RESULTS", "/nowhere"))
PUBLISHED = pytest.mark.skipif(not RESULTS.is_dir(), reason="LONGRLVR_RESULTS names no folder of published results")


def prediction(**known) -> Prediction:
    texts: dict[str, Any] = dict.fromkeys(
        ("question", "length", "difficulty", "domain", "model", "finish", "error"), ""
    )
    empty = dict.fromkeys(("gold_chunks", "n_chunks", "prompt_tokens", "position", "response", "as_published"))
    given = {"benchmark": "x", "item_id": "1", "kind": "answer", "choices": [], "gold": ["Aldwick"]} | known
    whole: dict[str, Any] = texts | empty | given
    return Prediction(**whole)


def response(answer: str, cited: str = "<CHUNK_1>", reasoning: str = "So.</think>") -> str:
    return f"{reasoning}\n<useful_chunks>{cited}</useful_chunks>\n<answer>{answer}</answer>"


# By hand, row for row: strict, as published, why they differ.
AGREE = ""
LONGBENCH = [
    (True, True, AGREE),
    (False, False, AGREE),
    (False, True, score.JUDGED),
    (False, True, score.UNPARSED),
    (False, True, score.SEVERAL),
    (True, False, score.OTHERWISE),
    (True, False, score.OTHERWISE),
    (True, True, AGREE),
    (False, True, score.OTHER_LETTER),  # "A mill" is option C
]
LONGREASON = [
    (True, True, AGREE),
    (False, True, score.ELSEWHERE),  # <CHUNK_2> has a C
    (False, False, AGREE),
    (False, True, score.IN_WORDS),  # Behind the Bell
    (False, True, score.UNPARSED),
    (False, False, AGREE),
    (False, True, score.SEVERAL),
    (False, True, score.NO_LETTER),  # the file has no options that a wording could name
    (True, False, score.OTHERWISE),  # a small b
    (True, True, AGREE),
]
RULER = [
    (True, True, AGREE),
    (False, True, score.PART),
    (False, True, score.REASONING),
    (False, True, score.UNPARSED),
    (True, False, score.NORMALISED),
    (False, True, score.BOTH),
    (False, False, AGREE),
    (True, True, AGREE),
]
QA = "RULER/tiny/synthetic/32768/pred"


@pytest.mark.parametrize(
    ("file", "wanted"),
    [
        ("longbench.jsonl", LONGBENCH),
        ("longreason.jsonl", LONGREASON),
        (f"{QA}/qa_1.jsonl", RULER),
        (f"{QA}/submission.csv", RULER),
        (QA, RULER),
        ("RULER", RULER),
    ],
)
def test_both_verdicts_of_the_published_layouts_row_for_row(file: str, wanted: list):
    found = [score.score(row.prediction) for row in layouts.read(str(DATA / file))]
    assert [(s.strict, s.as_published, s.reason) for s in found if s] == wanted


def test_every_reason_is_in_the_closed_list():
    given = {reason for _, _, reason in LONGBENCH + LONGREASON + RULER} - {AGREE}
    assert given | {score.JUDGED_FALSE, score.AROUND} == set(score.REASONS)


def test_a_judge_that_says_false_of_a_right_letter():
    said = response("The correct answer is (B)")
    found = score.score(
        prediction(benchmark="longbench-v2", kind="choice", gold=["B"], response=said, as_published=False)
    )
    assert found
    assert (found.strict, found.reason) == (True, score.JUDGED_FALSE)


def test_no_reply_is_neither_right_nor_wrong():
    assert score.verdict(prediction(response=None)) is None
    assert score.score(prediction(response=None)) is None
    assert score.by_rule(prediction(benchmark="ruler-qa", kind="match", response=None)) is None


def test_without_gold_there_is_nothing_to_score():
    with pytest.raises(ValueError, match="gold is empty"):
        score.verdict(prediction(gold=[], response="x"))


def test_an_answer_is_verified_as_a_trainer_verifies_it():
    """By `exact`, its default, and not by the laxer `contains`, unless that is what it was trained with."""
    assert RewardConfig().verifier == score.EXACT
    town = prediction(response=response("Aldwick Town"))
    assert (score.verdict(town), score.verdict(town, "contains")) == (False, True)
    assert score.verdict(prediction(response=response("aldwick."))) is True
    assert score.verdict(prediction(response=response("not Aldwick")), "contains") is False
    assert score.verdict(prediction(response=response("Aldwick", cited="</useful_chunks><useful_chunks>"))) is False


def test_a_benchmark_without_a_published_rule_has_no_published_verdict():
    for kind in ("answer", "choice", "match", "similarity"):
        found = score.score(prediction(kind=kind, gold=["A"], response=response("A")))
        assert found
        assert (found.as_published, found.reason) == (None, "")
    assert score.by_rule(prediction(benchmark="longreason", kind="answer", response="Aldwick")) is None


MRCR = {"benchmark": "mrcr", "kind": "similarity", "gold": ["aB3dE6gH9kThe mill stands still."]}


@pytest.mark.parametrize(
    ("answer", "strict"),
    [
        ("aB3dE6gH9kThe mill stands still.", 1.0),
        ("aB3dE6gH9kThe mill.", SequenceMatcher(None, "The mill.", "The mill stands still.").ratio()),
        ("The mill stands still.", 0.0),
        ("aB3dE6gH9k", 0.0),
    ],
)
def test_similarity_is_of_what_follows_the_prefix(answer: str, strict: float):
    found = score.score(prediction(**MRCR, response=response(answer)))
    assert found
    assert found.strict == strict
    assert found.as_published == 0.0  # the response begins with its reasoning
    assert found.reason == (score.AROUND if strict else "")


def test_the_prefix_is_the_one_that_the_question_names():
    asked = {"question": "Prepend xyz to the 2nd poem about mills.", "gold": ["xyzMills."], "kind": "similarity"}
    assert score.verdict(prediction(**asked, response=response("xyzMills."))) == 1.0
    assert score.verdict(prediction(**asked, response=response("Mills."))) == 0.0
    whole = prediction(**asked, benchmark="mrcr", response="xyzMills.")
    assert (score.verdict(whole), score.by_rule(whole)) == (0.0, 1.0)


tags_and_text = st.lists(
    st.sampled_from(
        [
            "<answer>",
            "</answer>",
            "<useful_chunks>",
            "</useful_chunks>",
            "<CHUNK_2>",
            "</think>",
            "The correct answer is ",
            *("(A)", "B", "C", "D", "**", "aldwick", " ", "\n", "not ", "Prepend"),
        ]
    ),
    max_size=14,
).map("".join)
kinds = st.sampled_from(["choice", "match", "similarity", "answer"])
benchmarks = st.sampled_from(["longreason", "longbench-v2", "ruler-qa", "mrcr", "dataset", ""])


@given(tags_and_text, kinds, benchmarks, st.sampled_from("ABCD"))
def test_what_does_not_parse_is_never_right(text: str, kind, benchmark: str, gold: str):
    found = score.score(prediction(response=text, kind=kind, benchmark=benchmark, gold=[gold]))
    assert found
    assert read_response(text).parsed or not found.strict
    assert (found.reason == "") == (found.as_published is None or found.strict == found.as_published)
    assert found.reason in ("", *score.REASONS)


@given(tags_and_text, st.sampled_from(["A", "B", "C", "D", "Aldwick"]))
def test_the_published_rules_are_what_their_one_line_references_say(text: str, gold: str):
    longreason = prediction(response=text, kind="choice", benchmark="longreason", gold=[gold])
    assert score.by_rule(longreason) == (gold in text.split("</think>")[-1])
    longbench = prediction(response=text, kind="choice", benchmark="longbench-v2", gold=[gold])
    stars = text.replace("*", "")
    sections = re.findall(r"<answer>(.*?)</answer>", stars, re.DOTALL)
    stars = sections[0].strip() if len(sections) == 1 else stars
    bracketed = re.findall(r"The correct answer is \(([A-D])\)", stars)
    bare = re.findall(r"The correct answer is ([A-D])", stars)
    assert score.by_rule(longbench) == ([*bracketed, *bare, None][0 if bracketed else len(bracketed)] == gold)
    ruler = prediction(response=text, kind="match", benchmark="ruler-qa", gold=[gold, "north"])
    assert score.by_rule(ruler) == bool(max([1.0 if r.lower() in text.lower() else 0.0 for r in (gold, "north")]))


@pytest.mark.skipif(not RECORDED.exists(), reason="the recorded outputs are not at hand")
def test_of_the_real_outputs_odd_ones_are_diagnostics_and_the_reader_agrees_on_every_row():
    rows = [json.loads(line) for line in gzip.decompress(RECORDED.read_bytes()).splitlines()]
    assert len(rows) == 579
    counts: Counter[str] = Counter()
    for row in rows:
        reading = read_response(row["response"])
        assert (reading.useful_chunks, reading.answer) == (row["useful_chunks"], row["answer"])
        failures, odd = diagnostics.failures(reading), diagnostics.oddities(row["response"], reading)
        assert bool(failures) == (row["useful_chunks"] is None or row["answer"] is None)
        assert ("cites a chunk twice" in odd) == (
            len(set(row["useful_chunks"] or ())) < len(row["useful_chunks"] or ())
        )
        counts.update(odd)
    for seen in ("a chunk tag that cites none, such as a range", "cites a chunk twice", "tags within a section"):
        assert counts[seen], seen
    assert counts["a left-over end-of-turn token"]


@pytest.mark.parametrize(
    ("text", "odd"),
    [
        (response("x", "<CHUNK_12-12>"), ["cites nothing", "a chunk tag that cites none, such as a range"]),
        (response("x", "<CHUNK_1> <CHUNK_1>"), ["cites a chunk twice"]),
        (response("x", "<CHUNK_9>"), ["cites a chunk that is not there"]),
        (response("<answer>x"), ["tags within a section"]),
        (response("see <CHUNK_1>"), ["tags within a section"]),
        (response("x", "<useful_chunks><CHUNK_1>"), ["tags within a section"]),
        (response(""), ["an empty answer"]),
        (response("x") + "<|im_end|>", ["a left-over end-of-turn token"]),
        (response("x") + "\nSo it is.", ["text after the sections"]),
        ("<answer>x</answer><useful_chunks><CHUNK_1></useful_chunks>", ["the answer before the chunks"]),
        (response("x"), []),
        ("", []),
    ],
)
def test_what_is_odd_about_a_response(text: str, odd: list[str]):
    assert diagnostics.oddities(text, read_response(text), n_chunks=9) == odd


@pytest.mark.parametrize(
    ("text", "finish", "failures"),
    [
        ("", "", ["no <answer> section", "no <useful_chunks> section"]),
        (response("x") * 2, "", ["several <answer> sections", "several <useful_chunks> sections"]),
        ("<answer>x</answer>", "length", ["cut short by the length limit", "no <useful_chunks> section"]),
        (response("x", f"<CHUNK_{'9' * 5000}>"), "stop", ["a chunk number of thousands of digits"]),
        (response("x"), "stop", []),
    ],
)
def test_what_keeps_a_response_from_being_read(text: str, finish: str, failures: list[str]):
    assert diagnostics.failures(read_response(text), finish) == failures


@PUBLISHED
def test_longreason_and_longbench_are_reproduced_row_for_row():
    checked = Counter()
    for file in sorted(RESULTS.glob("LongReason/*.jsonl")):
        rows = [json.loads(line) for line in file.open(encoding="utf-8")]
        found = [score.score(row.prediction) for row in layouts.read(str(file))]
        assert [s.as_published for s in found if s] == [row["judge"] for row in rows]
        assert all((row["answer"] in row["pred"]) == row["judge"] for row in rows)
        by_rule = [score.by_rule(row.prediction) for row in layouts.read(str(file))]
        # Of one row the publisher's `pred` is no end of the response: 'A. UNABLE TO DETERMINE', which has a B
        checked["unlike"] += sum(rule != row["judge"] for rule, row in zip(by_rule, rows, strict=True))
        checked["longreason"] += len(rows)
    for file in sorted(RESULTS.glob("LongBench/*.jsonl")):
        rows = [json.loads(line) for line in file.open(encoding="utf-8")]
        assert [score.published_letter(row["response"]) for row in rows] == [row["pred"] for row in rows]
        found = [score.score(row.prediction) for row in layouts.read(str(file))]
        assert [s.as_published for s in found if s] == [row["judge"] for row in rows]
        checked["judged"] += sum(row["judge"] != (row["pred"] == row["answer"]) for row in rows)
        checked["longbench"] += len(rows)
    assert checked == {"longreason": 3176, "unlike": 1, "longbench": 1509, "judged": 65}


@PUBLISHED
def test_ruler_scores_are_those_of_the_summaries():
    tasks = 0
    for summary in sorted(RESULTS.glob("RULER/*/synthetic/*/pred/summary.csv")):
        _, names, scores, _ = (line.split(",") for line in summary.read_text(encoding="utf-8").splitlines())
        for task, given_score in list(zip(names, scores, strict=True))[1:]:
            found = [score.score(row.prediction) for row in layouts.read(str(summary.parent / f"{task}.jsonl"))]
            assert round(100 * sum(bool(s and s.as_published) for s in found) / len(found), 2) == float(given_score)
            tasks += 1
    assert tasks == 18
