"""vLLM as the sampler on a GPU: by the weights that it was handed, whatever its kernels made of the old ones."""

import pytest
import torch

from tests.train import devices

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("eager", [True, False])
def test_after_a_step_vllm_samples_by_the_new_weights(eager, tmp_path):
    """Also where it plays back recorded graphs, which go by the places of the weights in memory."""
    pytest.importorskip("vllm", reason="vLLM is not installed beside the GPU's PyTorch")
    source = devices.source(tmp_path / "model", **devices.WIDE)
    before, after = devices.handed_over(source, "cuda", torch.bfloat16, {"enforce_eager": eager})
    assert after < devices.HANDED < before
