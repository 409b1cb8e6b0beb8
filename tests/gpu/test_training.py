"""A training step on GPUs: the kernels that only they have, several ranks, and what it takes of their memory."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from datagen.config.train import TrainConfig
from datagen.train import models
from datagen.train.parallel import World
from tests.train import devices, ranks

pytestmark = pytest.mark.gpu
AGAIN = "0.05"  # of a step from a checkpoint: the kernels add up in another order each time


@pytest.fixture
def source(tmp_path: Path) -> str:
    return devices.source(tmp_path / "model")


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_step_is_that_of_the_cpu_but_for_rounding(dtype, source):
    wanted = devices.step(source, "cpu", torch.float32)
    devices.assert_close(devices.step(source, "cuda", dtype), wanted, dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_attention_to_a_shared_prompt_is_right_but_for_rounding(dtype):
    assert devices.attention_apart("cuda", dtype) < devices.ROUNDING[dtype] / 5


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_responses_are_trained_with_the_logprobs_that_they_were_sampled_with(dtype, source):
    assert devices.rollout_apart(source, "cuda", dtype) < devices.NATS[dtype]


def test_a_step_of_all_gpus_is_that_of_the_cpu_and_goes_on_from_a_checkpoint(source, tmp_path):
    """With NCCL, on as many as there are; one has its own shard, too, in bfloat16."""
    n = torch.cuda.device_count()
    for dtype in ("bfloat16", *(["float32"] if n > 1 else [])):
        (tmp_path / dtype).mkdir()
        print(ranks.run("tests.train.devices:among_ranks", n, "cuda", source, str(tmp_path / dtype), dtype, AGAIN))


@pytest.mark.parametrize("activations", ["keep", "recompute", "offload"])
def test_the_memory_of_a_step_is_what_was_estimated(activations, tmp_path, monkeypatch):
    """83 million parameters in bfloat16, prompts of 512 tokens. Beside the estimate there are the kernels' buffers."""
    shape = {"hidden_size": 768, "intermediate_size": 2304, "num_hidden_layers": 12, "num_attention_heads": 12}
    source = devices.source(tmp_path / "model", **shape, num_key_value_heads=4, initializer_range=0.02)
    monkeypatch.setattr(devices, "SETTINGS", devices.SETTINGS.model_copy(update={"activations": activations}))
    draw = torch.Generator().manual_seed(0)
    long = [torch.randint(3, 290, (512,), generator=draw).cuda() for _ in devices.LENGTHS]
    monkeypatch.setattr(devices, "prompts", lambda device: long)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    devices.step(source, "cuda", torch.bfloat16)
    peak = torch.cuda.max_memory_allocated()
    shape = models.shape_of(models.config_of(devices.SETTINGS, source), devices.SETTINGS)
    parts = models.estimate(shape, devices.SETTINGS, 512, 1, torch.bfloat16)
    told = ", ".join(f"{name} {size / 1e9:.2f}" for name, size in parts.items())
    print(f"{activations}: {peak / 1e9:.2f} GB at most; estimated {sum(parts.values()) / 1e9:.2f} GB ({told})")
    assert peak < sum(parts.values()) + 1e9


ASKS = """
import torch
from datagen.config.train import TrainConfig
from datagen.train import models
from datagen.train.parallel import World

assert models._memory(World(0, 2, torch.device("cuda")), TrainConfig()) > 1e9
assert not torch.cuda.is_initialized()
"""


def test_the_process_that_starts_the_ranks_takes_no_part_of_a_gpu():
    subprocess.run([sys.executable, "-c", ASKS], check=True)


def test_a_rank_sees_the_memory_of_its_own_gpu():
    free, total = torch.cuda.mem_get_info(0)
    there = models._memory(World(0, 1, torch.device("cuda:0")), TrainConfig())
    assert abs(there - free) < 0.05 * total
