"""What `benchmarks/labels_real.py` measures with: its truths hold, and a model without a mistake is right about all."""

import asyncio
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from benchmarks.labels_real import asked, data, recording, report
from benchmarks.labels_real.data import CHECKS, DIFFERENT, KINDS, LANGUAGES, SAME, Row
from benchmarks.labels_real.ideal import Counted, Ideal
from datagen.checks.asking import GRADE
from datagen.errors import UserError
from datagen.grounding import verify
from tests.servers.openai_server import Server, serve
from tests.servers.settings import Settings

SCRIPT = Path(data.FOLDER).parent / "labels_real.py"
PROMPTS = Path(__file__).parents[2] / "prompts"
ROWS, PAIRS = data.rows(), data.pairs()


def of_kind(*kinds: str) -> list[Row]:
    return [row for row in ROWS if row.kind in kinds]


def without_mistake(**given) -> Settings:
    ideal = Ideal(ROWS, PAIRS)

    def reply(body: dict) -> str:
        form = body.get("response_format") or {}
        return ideal.reply(body["messages"], (form.get("json_schema") or {}).get("schema"))

    return Settings(reply=reply, **given)


# The data -------------------------------------------------------------------------------------------------------------


def test_there_is_enough_of_each_kind_and_language():
    assert min(Counter(row.language for row in ROWS).values()) >= 25
    kinds = Counter(row.kind for row in ROWS)
    assert kinds.keys() == set(KINDS)
    assert min(kinds.values()) >= 9
    assert kinds["good"] >= 25
    for language in LANGUAGES:
        assert {row.kind for row in ROWS if row.language == language} == set(KINDS)


def test_every_question_is_asked_once():
    questions = [each.question for each in (*ROWS, *PAIRS)]
    assert [q for q in questions if sum(q in other for other in questions) != 1] == []
    assert len({each.id for each in (*ROWS, *PAIRS)}) == len(questions)


def test_passages_are_cut_from_the_chapters_and_short():
    for language in LANGUAGES:
        chapter = " ".join((data.CHAPTERS / f"{language}.txt").read_text(encoding="utf-8").split())
        for row in ROWS:
            if row.language == language:
                assert 3 <= len(row.passages) <= 6, row.id
                assert len(set(row.passages)) == len(row.passages), row.id
                assert [passage for passage in row.passages if passage not in chapter] == [], row.id
                assert sum(map(len, row.passages)) / 4 <= 400, row.id


def test_evidence_is_in_range_and_sets_are_minimal():
    for row in ROWS:
        sets = [set(some) for some in row.sufficient]
        for numbers in (row.evidence, row.clash, *row.sufficient):
            assert list(numbers) == sorted(set(numbers)), row.id
            assert set(numbers) <= set(range(len(row.passages))), row.id
        assert len(row.evidence) >= 2, row.id
        assert not any(a < b for a in sets for b in sets), row.id


def test_answers_rest_on_the_passages():
    for row in ROWS:
        needed = " ".join(row.passages[i] for i in sorted({i for some in row.sufficient for i in some})).casefold()
        assert [words for words in row.rests_on if words.casefold() not in needed] == [], row.id


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_a_candidate_is_of_its_kind(row: Row):
    cited, sets = set(row.evidence), [set(some) for some in row.sufficient]
    enough = [some for some in sets if some <= cited]
    assert bool(row.clash) == (row.kind == "ambiguous")
    assert (row.answer != row.right) == (row.kind == "wrong answer")
    match row.kind:
        case "good":
            assert sets == [cited]
        case "wrong answer":
            assert verify.verdict(row.answer, row.right) is not True
            assert enough
        case "evidence missing":
            assert not enough
            assert all(cited < some for some in sets)
        case "evidence extra":
            assert [some for some in enough if len(some) >= 2]
            assert cited not in sets
        case "evidence wrong":
            assert not enough
            assert cited - set().union(*sets)
        case "ambiguous":
            assert enough
            assert not set(row.clash) <= cited
        case "answered by another passage too":
            assert enough
            assert [some for some in sets if not some <= cited]
        case "answerable without the document":
            assert enough


def test_what_checks_should_say_follows_from_the_kind():
    by_kind = {kind: {tuple(row.should.items()) for row in of_kind(kind)} for kind in KINDS}
    assert {len(said) for said in by_kind.values()} == {1}
    assert all(tuple(row.should) == CHECKS for row in ROWS)
    assert set(of_kind("good")[0].should.values()) == {"pass"}
    for check in CHECKS:
        said = Counter(row.should[check] for row in ROWS)
        assert said["pass"] >= 25, check
        assert said["reject"] >= (0 if check == "lint" else 9), check


def test_pairs_are_balanced_and_held_out():
    for language in LANGUAGES:
        of = [pair for pair in PAIRS if pair.language == language]
        assert len(of) >= 30
        assert sum(pair.same for pair in of) * 2 == len(of)
        assert {pair.kind for pair in of} == {*SAME, *DIFFERENT}
    assert all(pair.same == (pair.kind in SAME) for pair in PAIRS)
    prompts = "\n".join(file.read_text(encoding="utf-8") for file in PROMPTS.glob("*.md"))
    assert [pair.id for pair in PAIRS if pair.question in prompts] == []


# The benchmark --------------------------------------------------------------------------------------------------------


def quick(server: Server, arms: tuple[str, ...] = ("now",)) -> list[asked.Ask]:
    settings = {"engine.model": "scripted", "engine.endpoints": [{"base_url": server.url, "max_concurrency": 8}]}
    rows, pairs = data.third(ROWS, 0), data.third(PAIRS, 0)
    return asked.everything(arms, rows, pairs, (*CHECKS, GRADE), settings)


def test_a_model_without_a_mistake_is_right_about_everything():
    """All of it, in this process: what the checks make of true replies is what the data say."""
    llm = Counted(Ideal(ROWS, PAIRS))

    for each in asked.everything(("now",), ROWS, PAIRS, (*CHECKS, GRADE), {"engine.model": "scripted"}):
        assert [outcome for outcome in asyncio.run(each.begin(llm)) if not outcome.right] == []


def test_a_recording_says_what_the_server_said(tmp_path: Path):
    """One check's replies are always cut short: that is asked again, and nothing else."""
    (cut, *_) = [row for row in data.third(ROWS, 0) if row.kind == "good"]

    def faults(body: dict, nth: int) -> str | None:
        return "length" if cut.question in body["messages"][0]["content"] and "rating" in str(body) else None

    with serve(without_mistake(faults=faults)) as server:
        asks = quick(server)
        outcomes = recording.live(asks, tmp_path)
        recording.pack(asks, tmp_path, file := tmp_path / "journal-scripted.jsonl.gz")
        seen = server.stats.requests
        assert recording.live(asks, tmp_path) == outcomes
        assert server.stats.requests - seen == 1 + asks[0].configs["now"].judge.max_parse_retries
    assert recording.replay(asks, file) == outcomes
    assert {(o.id, o.asked) for o in outcomes if not o.right} == {(cut.id, "quality")}
    counted = report.summary(outcomes, PAIRS)
    assert counted["grader"]["right"] == counted["grader"]["pairs"] == len(data.third(PAIRS, 0))
    assert counted["checks"]["quality"]["unreadable"] == 1


def test_no_recording_and_an_old_one_are_told(tmp_path: Path):
    with serve(without_mistake()) as server:
        asks = quick(server)
        with pytest.raises(UserError, match="no recording of this model yet"):
            recording.replay(asks, tmp_path / "none.jsonl.gz")
        recording.live(asks[:-2], tmp_path)
        recording.pack(asks, tmp_path, tmp_path / "old.jsonl.gz")
        with pytest.raises(UserError, match=f"2 of {len(asks)} conversations were never recorded"):
            recording.replay(asks, tmp_path / "old.jsonl.gz")


def test_outcomes_of_then_need_no_recording(tmp_path: Path):
    with serve(without_mistake()) as server:
        asks = quick(server)[:6]
        outcomes = recording.live(asks, tmp_path)
    recording.save(outcomes, file := recording.outcomes_file("now", "org/scripted", tmp_path))
    assert recording.load(asks, file) == outcomes
    assert recording.load(asks[:3], file) == [o for o in outcomes if o.id in {ask.of.id for ask in asks[:3]}]


def test_what_was_recorded_replays_and_stands_in_the_documentation():
    """The replies of a real model. Where a prompt or a check was changed, it has to be asked again."""
    model = "qwen2.5-coder-1.5b-instruct"
    asks = asked.everything(("now",), ROWS, PAIRS, (*CHECKS, GRADE), {"engine.model": model})
    outcomes = recording.replay(asks, recording.file_for(model))
    page = (PROMPTS.parent / "docs" / "labels.md").read_text(encoding="utf-8").splitlines()
    before = recording.load(asks, recording.outcomes_file("before", model))
    assert {outcome.language for outcome in before if outcome.asked != GRADE} == {"en"}
    assert sum(outcome.asked == GRADE for outcome in before) == len(PAIRS)
    for table in (report.markdown(outcomes), report.markdown(before, outcomes)):
        assert [line for line in table if line not in page] == []
    assert {outcome.asked for outcome in outcomes} == {*CHECKS, GRADE}


def go(folder: Path, *options: str) -> subprocess.Popen:
    command = [sys.executable, str(SCRIPT), "--folder", str(folder), *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)


@pytest.mark.slow
def test_killed_and_run_again_it_goes_on(tmp_path: Path):
    with serve(without_mistake(latency=0.02)) as server:
        options = ["--quick", "--arm", "both", "--model", "scripted"]
        process = go(tmp_path, *options, "--base-url", server.url)
        while server.stats.answered.total() < 40 and process.poll() is None:
            time.sleep(0.01)
        os.killpg(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        out, _ = go(tmp_path, *options, "--base-url", server.url).communicate()
        found = json.loads(out.splitlines()[-1])
        kept = gzip.decompress((tmp_path / "journal-scripted.jsonl.gz").read_bytes()).count(b"\n")
        assert server.stats.requests - kept <= 2  # one in flight, and one that was not on disk yet
    out, _ = go(tmp_path, *options, "--recording", str(tmp_path / "journal-scripted.jsonl.gz")).communicate()
    assert json.loads(out.splitlines()[-1]) == found
    for arm in (found, found["before"]):
        assert arm["grader"]["right"] == arm["grader"]["pairs"] == 36
        assert all(not counted["wrong"] + counted["unreadable"] for counted in arm["checks"].values())
