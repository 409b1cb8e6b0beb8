"""`longrlvr_reward.py`: one file that says what `datagen.score` and the trainer say, by the standard library alone."""

import asyncio
import gzip
import hashlib
import importlib.util
import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

import datagen
from datagen import prompts
from datagen.checks import grading
from datagen.checks.grading import Grader
from datagen.export import reward_file
from datagen.grounding import tags, verify
from datagen.train.types import Example, Response
from tests.grounding.test_tags import RECORDED
from tests.servers.openai_server import Server, serve
from tests.servers.settings import Settings

ROW = {"reward_model": {"ground_truth": "the red oak"}, "extra_info": {"ref_chunks": [1, 3], "question": "What tree?"}}
PARTS = ("score", "answer", "precision", "recall", "fbeta")


def load(path: Path, verifier: str = "exact") -> ModuleType:
    """The file as OpenRLHF loads it: without making the module known."""
    path.write_text(reward_file.source(verifier), encoding="utf-8")
    spec = importlib.util.spec_from_file_location("reward_func", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def shipped(tmp_path_factory) -> ModuleType:
    return load(tmp_path_factory.mktemp("shipped") / "longrlvr_reward.py")


def ours(row, response: str, verifier: str) -> dict[str, float]:
    found = datagen.score(row, response, verifier=verifier)
    assert found
    return dict(zip(PARTS, (found.total, found.answer, found.precision, found.recall, found.fbeta), strict=True))


def theirs(shipped: ModuleType, row, response: str, verifier: str) -> list[dict[str, float]]:
    """What each trainer's call makes of it, as far as it tells."""
    info, truth = row["extra_info"], row["reward_model"]["ground_truth"]
    return [
        shipped.reward(response, info["ref_chunks"], truth, verifier=verifier),
        shipped.compute_score("longrlvr", response, truth, info, verifier=verifier, eta=0.1, beta=2.0),
    ]


def labellings(ids: list[int] | None) -> list[list[int]]:
    """Three kinds of evidence: some that was cited, some of it and others, and others alone."""
    cited = sorted(set(ids or [0, 1]))
    return [cited[:2], [*cited[:1], max(cited) + 1], [max(cited) + 2, max(cited) + 5]]


def test_every_hook_says_of_recorded_outputs_what_the_package_says(shipped: ModuleType):
    if not RECORDED.exists():
        pytest.skip("no recorded outputs here")
    cases = 0
    for line in gzip.decompress(RECORDED.read_bytes()).decode().splitlines():
        response = json.loads(line)["response"]
        reading = tags.read_response(response)
        for refs in labellings(reading.useful_chunks):
            for verifier in verify.VERIFIERS:
                row = {
                    "reward_model": {"ground_truth": reading.answer or "1850"},
                    "extra_info": {"ref_chunks": refs, "question": "?"},
                }
                wanted = ours(row, response, verifier)
                assert all(found == wanted for found in theirs(shipped, row, response, verifier)), line[:80]
                cases += 1
    assert cases > 1700


words = st.sampled_from(["the red oak", "red oak", "oaks", "1,850", "1850", "x > 3", "not oak", "", "<answer>"])


@given(
    words,
    words,
    st.lists(st.integers(0, 6), max_size=6),
    st.lists(st.integers(0, 6), min_size=1, max_size=4, unique=True),
    st.sampled_from(sorted(verify.VERIFIERS)),
)
def test_every_hook_says_of_made_outputs_what_the_package_says(shipped, truth, answer, cited, refs, verifier):
    response = tags.render_response(cited, answer, "<think>so</think>")
    row = {"reward_model": {"ground_truth": truth}, "extra_info": {"ref_chunks": refs, "question": "?"}}
    wanted = ours(row, response, verifier)
    assert theirs(shipped, row, response, verifier) == [wanted, wanted]
    if verifier == "exact":  # what the others take is written into the file
        prompt = "Answer like this: <answer>…</answer>"
        label = row["extra_info"] | {"answer": truth}
        one = shipped.reward_func([prompt + response + "<|im_end|>"], [prompt], [label])
        assert (one["rewards"], one["scores"]) == (wanted["score"], wanted["score"] / 2)
        completion = [[{"role": "assistant", "content": response}]]
        many = shipped.trl_reward(["?"], completion, [row["reward_model"]], [row["extra_info"]], other=[1])
        assert many == [wanted["score"]]
        sample = SimpleNamespace(response=response, label=row["reward_model"], metadata=row["extra_info"])
        assert asyncio.run(shipped.custom_rm(None, sample)) == wanted


def test_the_trainer_says_the_same(shipped: ModuleType):
    from datagen.config.llm import EngineConfig
    from datagen.config.train import RewardConfig
    from datagen.train.scoring import Scorer

    cases = shipped.check_cases(ROW)
    for case in cases:
        response, refs, truth = case["response"], case["ref_chunks"], case["ground_truth"]
        example, scorer = (
            Example("q1", "What tree?", truth, tuple(refs), 0, 0),
            Scorer(RewardConfig(), EngineConfig(), 20),
        )
        [one] = scorer([(example, Response([5], [0.0], True), response)])
        assert one.total == pytest.approx(case["score"])
        assert shipped.reward(response, refs, truth)["score"] == pytest.approx(case["score"])
    shipped.check("test", cases, [case["score"] for case in cases])
    with pytest.raises(SystemExit, match=f"test: 1 of {len(cases)} rewards are not as they should be"):
        shipped.check("test", cases, [case["score"] + (case is cases[0]) for case in cases])


def test_it_needs_the_standard_library_alone(tmp_path: Path):
    """Isolated: neither this package nor any other is in reach."""
    (tmp_path / "longrlvr_reward.py").write_text(reward_file.source("contains"), encoding="utf-8")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import longrlvr_reward as r;"
        "print(r.reward('<useful_chunks><CHUNK_2></useful_chunks><answer>It is oak</answer>', [2], 'oak')['score'])"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "2.0\n"


def test_its_head_says_what_it_is(tmp_path: Path):
    text = reward_file.source("exact")
    assert datagen.__version__ in text[:400]
    assert text == reward_file.source("exact")
    stated = re.search(r"sha256 of what follows this text: (\w{64})", text)
    assert stated
    body = text.split('"""\n', 1)[1].removeprefix("\n")
    assert hashlib.sha256(body.encode()).hexdigest() == stated[1]
    assert "from __future__" not in text  # annotations as strings fail where the module is not known
    assert "datagen" not in re.sub(r"longrlvr-data", "", text)


def test_bad_arguments_are_named(shipped: ModuleType):
    with pytest.raises(ValueError, match="verifier must be one of exact, contains, f1, llm"):
        shipped.reward("…", [1], "oak", verifier="guess")
    for response, truth in (("…", None), (None, "oak")):
        with pytest.raises(TypeError, match="must be a string"):
            shipped.reward(response, [1], truth)
    with pytest.raises(TypeError, match="verifer"):
        shipped.compute_score("longrlvr", "…", "oak", {"ref_chunks": [1]}, verifer="f1")
    with pytest.raises(ValueError, match="at least one reference chunk"):
        shipped.reward("…", [], "oak")


def test_the_prompt_is_cut_off_where_a_tokenizer_changed_it(shipped: ModuleType):
    prompt = "  Cite like <useful_chunks><CHUNK_1></useful_chunks> and <answer>…</answer>. " + "word " * 60
    assert shipped.response_of(prompt.strip() + " the rest", prompt.strip()) == " the rest"
    assert shipped.response_of(prompt.replace("  Cite", "Cite") + "the rest", prompt) == "the rest"
    quoting = prompt + "So: " + prompt[-220:] + "<answer>oak</answer>"
    assert shipped.response_of(quoting.replace("  Cite", "Cite"), prompt).startswith("So: ")
    with pytest.raises(ValueError, match="does not hold the end of its prompt"):
        shipped.response_of("something else", prompt)


def test_thinking_that_was_split_off_is_joined_again(shipped: ModuleType):
    message = {"role": "assistant", "reasoning_content": "so", "content": "<answer>oak</answer>"}
    assert shipped.text_of([message]) == "<think>\nso\n</think>\n<answer>oak</answer>"
    assert shipped.text_of("as it is") == "as it is"
    parts = [{"type": "text", "text": "<answer>"}, {"type": "text", "text": "oak</answer>"}]
    assert shipped.text_of([{"role": "assistant", "content": parts}]) == "<answer>oak</answer>"


@pytest.mark.parametrize("verifier", ["exact", "contains", "f1"])
@pytest.mark.parametrize("truth", ["No", "this", "such a thing", "the <answer> tag </answer>", "1,850"])
def test_the_cases_of_a_check_are_right_for_any_answer(tmp_path, truth, verifier):
    shipped = load(tmp_path / "longrlvr_reward.py", verifier)
    cases = shipped.check_cases(ROW | {"reward_model": {"ground_truth": truth}})
    found = [shipped.reward(case["response"], case["ref_chunks"], truth)["score"] for case in cases]
    shipped.check("test", cases, found)
    assert len(cases) == 6


def graded(same: bool) -> str:
    return json.dumps({"reference": "a", "other": "b", "difference": "none", "same": same})


@contextmanager
def judging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[tuple[ModuleType, Server]]:
    """The file with a model for a verifier, at a server with these settings; it waits for nothing."""
    with serve(settings) as server:
        monkeypatch.setenv("LONGRLVR_JUDGE_MODEL", "judge")
        monkeypatch.setenv("LONGRLVR_JUDGE_URL", server.url)
        shipped = load(tmp_path / "longrlvr_reward.py", "llm")
        shipped.JUDGE_LONGEST_WAIT = 0.0  # pyright: ignore[reportAttributeAccessIssue]
        yield shipped, server


def said(answer: str) -> str:
    return tags.render_response([1, 3], answer)


def test_a_model_judges_what_strings_cannot_tell(tmp_path, monkeypatch):
    seen: list[dict] = []

    def reply(body: dict) -> str:
        seen.append(body)
        return graded("crimson" in body["messages"][0]["content"].rpartition("<other_answer>")[2])

    with judging(tmp_path, monkeypatch, Settings(reply=reply)) as (shipped, server):
        refs, truth = [1, 3], "the red oak"
        assert shipped.reward(said("crimson oak"), refs, truth, question="What tree?")["score"] == 2
        assert shipped.reward(said("green [[elm]]"), refs, truth, question="What tree?")["score"] == 0.1
        asked = server.stats.requests
        assert shipped.reward(said("The red oak."), refs, truth)["score"] == 2
        assert shipped.reward(said("crimson oak"), refs, truth, question="What tree?")["score"] == 2
        assert server.stats.requests == asked == 2
    grader = Grader(prompts.load(grading.GRADER_PROMPT), "judge", {}, 0)
    wanted = [grader.request("What tree?", truth, answer).messages for answer in ("crimson oak", "green [[elm]]")]
    assert [body["messages"] for body in seen] == wanted


@pytest.mark.parametrize(
    "fault",
    [
        *("500", "429", "reset", "cut", "garbage", "empty choices", "null content"),
        *("schema unsupported", "max_tokens unsupported"),
    ],
)
def test_what_passes_is_tried_again(tmp_path, monkeypatch, fault):
    asked = count()  # in all: what is asked again may be asked otherwise
    settings = Settings(reply=graded(True), faults=lambda body, nth: fault if next(asked) < 2 else None)
    with judging(tmp_path, monkeypatch, settings) as (shipped, _):
        assert shipped.reward(said("elm"), [1, 3], "oak")["score"] == 2


def test_a_failed_judgement_is_never_a_reward_of_zero(tmp_path, monkeypatch):
    with judging(tmp_path, monkeypatch, Settings(reply="I cannot tell")) as (shipped, server):
        info = ROW["extra_info"] | {"answer": "the red oak"}
        with pytest.raises(shipped.JudgeFailed, match=r"judge at .* gave no verdict"):
            shipped.compute_score("longrlvr", said("elm"), "the red oak", info)
        assert server.stats.requests == shipped.JUDGE_ATTEMPTS
        completions = [[{"role": "assistant", "content": said(answer)}] for answer in ("elm", "the red oak")]
        columns = {"reward_model": [ROW["reward_model"]] * 2, "extra_info": [info] * 2}
        assert shipped.trl_reward(["?"] * 2, completions, **columns) == [None, 2.0]
        one = shipped.reward_func(["?" + said("elm")], ["?"], [info])
        assert math.isnan(one["rewards"])
        assert math.isnan(one["scores"])
        sample = SimpleNamespace(response=said("elm"), label=ROW["reward_model"], metadata=info)
        sample.reward = asyncio.run(shipped.custom_rm(None, sample))
        good = SimpleNamespace(reward={"score": 2.0})
        assert math.isnan(sample.reward["score"])
        assert not shipped.keep_group(None, [sample, good])
        assert not shipped.keep_group(None, [good, good])
        assert shipped.keep_group(None, [SimpleNamespace(reward={"score": 0.0}), good])


def test_a_judge_that_is_not_named_is_missed_at_once(tmp_path, monkeypatch):
    monkeypatch.setenv("LONGRLVR_JUDGE_URL", "localhost:8000/v1")
    monkeypatch.setenv("LONGRLVR_JUDGE_MODEL", "m")
    with pytest.raises(ValueError, match="export LONGRLVR_JUDGE_URL="):
        load(tmp_path / "longrlvr_reward.py", "llm")
    monkeypatch.delenv("LONGRLVR_JUDGE_URL")
    with pytest.raises(ValueError, match="export LONGRLVR_JUDGE_URL="):
        load(tmp_path / "longrlvr_reward.py", "llm")


def test_the_key_goes_to_the_server_that_was_named_and_nowhere_else(tmp_path, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-secret\n")  # as a file has it
    monkeypatch.setenv("LONGRLVR_JUDGE_KEY_NAME", "MY_KEY")
    with serve(Settings(reply=graded(True))) as elsewhere:
        moved = Settings(faults=lambda body, nth: "redirect", elsewhere=elsewhere.url)
        with judging(tmp_path, monkeypatch, moved) as (shipped, server):
            with pytest.raises(shipped.JudgeFailed) as failed:
                shipped.reward(said("elm"), [1, 3], "oak")
            assert list(server.stats.authorizations) == ["Bearer sk-secret"]
        assert elsewhere.stats.requests == 0
    assert "secret" not in str(failed.value)


def test_a_judge_that_can_never_answer_ends_the_training(tmp_path, monkeypatch):
    with judging(tmp_path, monkeypatch, Settings(api_key="right")) as (shipped, server):
        with pytest.raises(shipped.JudgeRefused, match="401"):
            shipped.trl_reward(["?"], [said("elm")], [ROW["reward_model"]], [ROW["extra_info"]])
        assert server.stats.requests <= 1


@pytest.mark.parametrize("given", [None, " ", "sk-ü"])
def test_a_key_that_is_none_is_missed_at_once(tmp_path, monkeypatch, given):
    monkeypatch.setenv("LONGRLVR_JUDGE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("LONGRLVR_JUDGE_MODEL", "m")
    monkeypatch.setenv("LONGRLVR_JUDGE_KEY_NAME", "MY_KEY")
    monkeypatch.delenv("MY_KEY", raising=False)
    if given is not None:
        monkeypatch.setenv("MY_KEY", given)
    with pytest.raises(ValueError, match="the variable MY_KEY holds no key"):
        load(tmp_path / "longrlvr_reward.py", "llm")


def test_a_password_in_the_address_is_refused_and_not_shown(tmp_path, monkeypatch):
    monkeypatch.setenv("LONGRLVR_JUDGE_URL", "http://me:secret@127.0.0.1:9/v1")
    monkeypatch.setenv("LONGRLVR_JUDGE_MODEL", "m")
    with pytest.raises(ValueError, match="holds a password") as refused:
        load(tmp_path / "longrlvr_reward.py", "llm")
    assert "secret" not in str(refused.value)
