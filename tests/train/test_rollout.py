"""Sampled responses: their log-probs are the model's, and what a response says depends on its own seed alone."""

import pytest
import torch

from datagen.train import logprobs, rollout
from tests.train.train_worlds import ids, model_of

PROMPTS = [ids(9, 1), ids(5, 2), ids(14, 3)]


ENDS = {0, 1}


def sample(model, prompts, seeds, temperature=1.0, max_tokens=70):
    return rollout.sample(model, prompts, seeds, ENDS, temperature, max_tokens)


def seeds_of(p: int, n: int) -> list[tuple[int, ...]]:
    return [(7, p, i) for i in range(n)]


@pytest.mark.parametrize("kind", ["qwen2", "qwen3"])
def test_logprobs_are_those_of_the_model(kind):
    """Over 64 tokens, too, where the buffers for keys and values have to grow."""
    model = model_of(kind)
    groups = sample(model, PROMPTS, [seeds_of(p, 6) for p in range(3)], temperature=0.8)
    lengths = [len(response.tokens) for group in groups for response in group]
    assert max(lengths) > 64 > min(lengths)
    for prompt, group in zip(PROMPTS, groups, strict=True):
        wanted = logprobs.naive(model, prompt, [torch.tensor(r.tokens) for r in group], 0.8).tolist()
        assert [x for r in group for x in r.logprobs] == pytest.approx(wanted, abs=1e-9)


def test_a_response_does_not_depend_on_its_company():
    model = model_of()
    together = sample(model, PROMPTS, [seeds_of(p, 4) for p in range(3)])
    alone = [[sample(model, [prompt], [[seed]])[0][0] for seed in seeds_of(p, 4)] for p, prompt in enumerate(PROMPTS)]
    assert [[r.tokens for r in group] for group in together] == [[r.tokens for r in group] for group in alone]


def test_samples_of_one_prompt_differ():
    [group] = sample(model_of(), PROMPTS[:1], [seeds_of(0, 8)])
    assert len({tuple(r.tokens) for r in group}) > 1


def test_responses_end_where_they_should():
    groups = sample(model_of(), PROMPTS, [seeds_of(p, 8) for p in range(3)], max_tokens=12)
    for response in (r for group in groups for r in group):
        assert response.finished == (response.tokens[-1] < 2)
        assert all(token >= 2 for token in response.tokens[:-1])
        assert len(response.tokens) == len(response.logprobs) <= 12
        assert response.finished or len(response.tokens) == 12


def test_temperature_zero_takes_the_likeliest_token():
    model = model_of()
    [[response]] = sample(model, PROMPTS[:1], [seeds_of(0, 1)], temperature=0, max_tokens=10)
    text = PROMPTS[0].tolist()
    for token in response.tokens:
        assert model(torch.tensor([text])).logits[0, -1].argmax().item() == token
        text.append(token)


def test_draws_follow_the_distribution():
    logits = torch.tensor([[0.0, 1.0, 2.0, -1e9]]).repeat(4000, 1)
    import numpy as np

    draws = [np.random.Generator(np.random.Philox(i)) for i in range(4000)]
    tokens, logp = rollout._drawn(logits, draws, 1.0)
    share = torch.bincount(tokens, minlength=4) / 4000
    torch.testing.assert_close(share, logits[0].softmax(-1), atol=0.03, rtol=0)
    torch.testing.assert_close(logp, logits.log_softmax(-1).gather(1, tokens[:, None])[:, 0])
