import shutil
import subprocess
import sys
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import datagen
from datagen.grounding import rewards, tags
from datagen.grounding.rewards import Reward

ids = st.lists(st.integers(0, 12), max_size=8)
references = st.sets(st.integers(0, 12), min_size=1, max_size=6)


def scored(cited, ref_chunks, correct, **settings) -> Reward:
    reward = rewards.context_reward(tags.render_response(cited, "x"), ref_chunks, correct, **settings)
    assert reward is not None
    return reward


@pytest.mark.parametrize(
    ("cited", "correct", "settings", "precision", "recall", "fbeta", "total"),
    [
        ([3, 17], True, {}, 1, 1, 1, 2),
        ([3, 17], False, {}, 1, 1, 1, 0.1),
        # P = 1, R = 1/2: F2 = 5·0.5 / (4 + 0.5) = 5/9
        ([3], True, {}, 1, 0.5, 5 / 9, 1 + 5 / 9),
        ([3], False, {}, 1, 0.5, 5 / 9, 0.5 / 9),
        # P = 1/2, R = 1: F2 = 5·0.5 / (2 + 1) = 5/6
        ([3, 17, 1, 2], True, {}, 0.5, 1, 5 / 6, 1 + 5 / 6),
        # a repeat counts in the precision (2/3: F2 = (10/3) / (11/3)), unless ids are taken as a set
        ([3, 17, 3], True, {}, 2 / 3, 1, 10 / 11, 1 + 10 / 11),
        ([3, 17, 3], True, {"unique_ids": True}, 1, 1, 1, 2),
        ([3, 3], False, {"beta": 1, "eta": 0.5}, 0.5, 0.5, 0.5, 0.25),
        ([3], True, {"eta": 1}, 1, 0.5, 5 / 9, 1 + 5 / 9),
        ([1, 2], True, {}, 0, 0, 0, 1),
        ([1, 2], False, {}, 0, 0, 0, 0),
        ([], True, {}, 0, 0, 0, 1),
        ([], 0, {}, 0, 0, 0, 0),
    ],
)
def test_hand_computed(cited, correct, settings, precision, recall, fbeta, total):
    reward = scored(cited, [3, 17], correct, **settings)
    assert astuple(reward) == pytest.approx((total, float(correct), precision, recall, fbeta))


def test_perfect_is_exactly_two():
    assert scored([17, 3], (3, 17), 1).total == 2.0


@pytest.mark.parametrize(
    "response",
    [
        "",
        "<answer>x</answer>",
        "<useful_chunks><CHUNK_3></useful_chunks>",
        "<useful_chunks><CHUNK_3></useful_chunks><answer>x</answer><answer>y</answer>",
        "<useful_chunks><CHUNK_3></useful_chunks><useful_chunks></useful_chunks><answer>x</answer>",
    ],
)
def test_a_response_that_does_not_parse_scores_0_even_when_right(response):
    assert rewards.context_reward(response, [3], True) == Reward(0.0, 0.0, 0.0, 0.0, 0.0)


def test_a_failed_verifier_yields_no_reward():
    assert rewards.context_reward(tags.render_response([3], "x"), [3], None) is None
    assert rewards.context_reward("does not parse", [3], None) is None


@pytest.mark.parametrize(
    ("ref_chunks", "correct", "settings", "says"),
    [
        ([], True, {}, "reference chunk"),
        ([], None, {}, "reference chunk"),
        ([3], 1.5, {}, "answer_score"),
        ([3], float("nan"), {}, "answer_score"),
        ([3], "yes", {}, "answer_score"),
        ([3], True, {"eta": 1.1}, "eta"),
        ([3], True, {"eta": float("nan")}, "eta"),
        ([3], True, {"beta": 0}, "beta"),
        ([3], True, {"beta": float("inf")}, "beta"),
    ],
)
def test_bad_arguments_raise(ref_chunks, correct, settings, says):
    with pytest.raises(ValueError, match=says):
        rewards.context_reward(tags.render_response([3], "x"), ref_chunks, correct, **settings)


@given(ids, references, st.booleans(), st.floats(0, 1), st.floats(0.01, 100), st.booleans())
def test_bounds_and_monotone_in_correctness(cited, ref, correct, eta, beta, unique):
    settings = {"eta": eta, "beta": beta, "unique_ids": unique}
    reward = scored(cited, ref, correct, **settings)
    assert 0 <= reward.total <= 2 + 1e-9
    assert all(0 <= part <= 1 + 1e-9 for part in (reward.answer, reward.precision, reward.recall, reward.fbeta))
    assert scored(cited, ref, True, **settings).total >= scored(cited, ref, False, **settings).total + 1


@given(st.data(), ids, references, st.booleans())
def test_the_order_of_citations_does_not_matter(data, cited, ref, correct):
    shuffled = data.draw(st.permutations(cited))
    assert scored(shuffled, ref, correct) == scored(cited, sorted(ref, reverse=True), correct)


@given(ids, references, st.booleans())
def test_one_more_right_chunk_never_hurts_and_a_wrong_one_never_helps(cited, ref, correct):
    before = scored(cited, ref, correct).total
    for missing in ref - set(cited):
        assert scored([*cited, missing], ref, correct).total > before
    assert scored([*cited, 99], ref, correct).total <= before


@given(ids, references)
def test_the_default_never_exceeds_sets(cited, ref):
    assert scored(cited, ref, True).total <= scored(cited, ref, True, unique_ids=True).total


def row(ref_chunks: Any, answer: Any = "the red oak") -> dict[str, Any]:
    return {"reward_model": {"ground_truth": answer}, "extra_info": {"ref_chunks": ref_chunks}}


def test_a_row_and_a_response_give_a_reward():
    response = tags.render_response([3, 17], "Red oak.")
    assert datagen.score(row([3, 17]), response) == rewards.context_reward(response, [3, 17], True)
    longer = tags.render_response([3], "it is the red oak")
    assert datagen.score(row([3, 17]), longer) == rewards.context_reward(longer, [3, 17], False)
    assert datagen.score(row([3, 17]), longer, verifier="contains") == rewards.context_reward(longer, [3, 17], True)


def test_a_verifier_of_one_s_own():
    response = tags.render_response([3], "x")
    half = datagen.score(row([3]), response, verifier=lambda expected, given: 0.5)
    assert half
    assert (half.answer, half.total) == (0.5, pytest.approx(0.5 + 0.1 + 0.9 * 0.5))
    assert datagen.score(row([3]), response, verifier=lambda expected, given: None) is None
    with pytest.raises(ZeroDivisionError):
        datagen.score(row([3]), response, verifier=lambda expected, given: 1 / 0)


def test_a_verifier_is_not_asked_about_what_cannot_be_read():
    assert datagen.score(row([3]), "x", verifier=lambda expected, given: 1 / 0) == Reward(0, 0, 0, 0, 0)


@pytest.mark.parametrize("ids", [np.array([0]), np.array([0, 2], np.int32), [np.int64(0)], (0,), {0: "a"}.keys()])
def test_ids_may_come_in_anything_that_holds_integers(ids):
    reward = datagen.score(row(ids), tags.render_response([int(i) for i in ids], "red oak"))
    assert reward
    assert reward.total == 2


@pytest.mark.parametrize(
    ("ids", "named"),
    [
        (["0"], "'0'"),
        ("0", "'0'"),
        ([True], "True"),
        (np.array([True]), "True"),
        ([0.0], "0.0"),
        (np.array([0.5]), "0.5"),
        (None, "None"),
        ([None], "None"),
        (3, "3"),
    ],
)
def test_what_is_no_id_is_refused_by_name(ids, named):
    with pytest.raises(TypeError, match=named):
        datagen.score(row(ids), tags.render_response([0], "red oak"))


def test_no_evidence_in_an_array_is_refused_too():
    with pytest.raises(ValueError, match="reference chunk"):
        datagen.score(row(np.array([], np.int64)), "x")


def test_a_reference_answer_must_be_a_string():
    with pytest.raises(TypeError, match="ground_truth"):
        datagen.score(row([0], answer=None), tags.render_response([0], "None"))


def test_the_folder_alone_is_enough(tmp_path):
    """Copied to a worker without any other package, under another name, it gives the same reward."""
    shutil.copytree(Path(rewards.__file__).parent, tmp_path / "shipped")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from shipped import render_response, score; "
        "row = {'reward_model': {'ground_truth': 'oak'}, 'extra_info': {'ref_chunks': [1]}}; "
        "print(score(row, render_response([1], 'the oak')).total); "
        "assert not any(name.startswith('datagen') for name in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("2.0\n", "")
