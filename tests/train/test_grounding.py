"""The trainer learns: a small model that can do all but find its evidence is taught to find it."""

from dataclasses import replace

import pytest

from benchmarks import grounding


@pytest.mark.slow
def test_the_context_reward_teaches_citations(tmp_path):
    """Six topics of sixteen chunks, of which a third are cited by luck; an answer needs all six, in order."""
    base = grounding.Setting(k=6, seed=0, steps=120, warm_steps=1000)
    data, model = grounding.warm_start(base, tmp_path)
    learned = grounding.arm(replace(base, reward="longrlvr"), data, model, tmp_path)
    assert learned["start"]["recall"] < 0.5
    assert learned["start"]["answer"] == 0
    assert learned["end"]["recall"] > 0.8
    assert learned["end"]["answer"] > 0.5
    assert learned["end"]["format"] > 0.9
