from dataclasses import astuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.grounding import rewards, tags
from datagen.grounding.rewards import Reward

ids = st.lists(st.integers(0, 12), max_size=8)
references = st.sets(st.integers(0, 12), min_size=1, max_size=6)


def scored(cited, ref_chunks, correct, **settings) -> Reward:
    reward = rewards.score(tags.render_response(cited, "x"), ref_chunks, correct, **settings)
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
    assert rewards.score(response, [3], True) == Reward(0.0, 0.0, 0.0, 0.0, 0.0)


def test_a_failed_verifier_yields_no_reward():
    assert rewards.score(tags.render_response([3], "x"), [3], None) is None
    assert rewards.score("does not parse", [3], None) is None


@pytest.mark.parametrize(
    ("ref_chunks", "correct", "settings", "says"),
    [
        ([], True, {}, "reference chunk"),
        ([], None, {}, "reference chunk"),
        ([3], 0.5, {}, "answer_correct"),
        ([3], float("nan"), {}, "answer_correct"),
        ([3], "yes", {}, "answer_correct"),
        ([3], True, {"eta": 1.1}, "eta"),
        ([3], True, {"eta": float("nan")}, "eta"),
        ([3], True, {"beta": 0}, "beta"),
        ([3], True, {"beta": float("inf")}, "beta"),
    ],
)
def test_bad_arguments_raise(ref_chunks, correct, settings, says):
    with pytest.raises(ValueError, match=says):
        rewards.score(tags.render_response([3], "x"), ref_chunks, correct, **settings)


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
