"""What a small real model replied on two chapters, replayed: the journal of `make test-real` with Qwen2.5-Coder-1.5B.

Replies are found again only under the prompts that were sent. After a change of a prompt, or of what a request holds,
it is recorded anew: `make test-real`, then chunk/, embed/, cluster/ and journal/ of its run, and the config.yaml.
"""

import tarfile
from collections import Counter
from pathlib import Path

import pytest

from datagen.checks import grading
from datagen.records import Candidate, Dropped
from datagen.run.run import Run
from tests.commands.calls import call

# Documents are cut, embedded and clustered otherwise since it was recorded: what there is, is built on as it is.
OFFLINE = ("--offline", "--workers", "1", "--resume", "always")
RECORDED = Path(__file__).parent / "data" / "real-run.tar.gz"


@pytest.fixture(scope="module")
def replayed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("real")
    with tarfile.open(RECORDED) as archive:
        archive.extractall(folder, filter="data")
    settings = folder / "config.yaml"  # the encoder that it was made with has another name
    settings.write_text(settings.read_text().replace("embed: {device", "embed: {model: minilm, device"))
    for stage, code in (("generate", 0), ("judge", 3)):
        done = call(stage, "-c", folder / "config.yaml", "-o", folder / "run", *OFFLINE)
        assert done.exit_code == code, done.output
    return Run(str(folder / "run"))


def reasons(run: Run, stage: str) -> dict[str, int]:
    return dict(Counter(row.reason for row in run.dropped(stage) if row.unit == "candidate"))


def test_few_candidates_are_lost_before_they_are_judged(replayed: Run):
    made: list[Candidate] = list(replayed.rows("generate"))
    assert len(made) == 25
    assert reasons(replayed, "generate") == {
        "answer in the question": 1,
        "skipped by the model": 1,
        "too long or too short": 1,
    }
    assert all(len(set(row.ref_chunks)) >= 2 for row in made)


def test_the_judge_tells_what_is_wrong_with_each(replayed: Run):
    """By reading: of the 11 that need fewer chunks, 8 rest on one indeed, and 3 have an answer that none gives."""
    left: list[Dropped] = list(replayed.dropped("judge"))
    assert reasons(replayed, "judge") == {
        "another answer follows": 11,
        "fewer chunks are enough": 11,
        "another answer among other chunks": 1,
        "answered without the document": 1,
        "reply cut short": 1,
    }
    assert [row.row_id for row in left if row.status == "failed"] == ["fr.txt/c3/q0"]
    assert list(replayed.rows("judge")) == []


def test_the_grader_was_tried_out(replayed: Run):
    trial = grading.kept(replayed.trial("judge"))
    assert trial
    assert (trial["same_right"], trial["different_right"]) == (6, 6)
