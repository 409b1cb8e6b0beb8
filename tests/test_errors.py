import pytest

from datagen.errors import masked


@pytest.mark.parametrize(
    "path",
    [
        "/scratch/hf_cache/models--Qwen--Qwen2.5-1.5B",
        "/data/hf_datasets/LongBench2/train.jsonl",
        "/x/sk-experiments/Run-2024-10-01",
        "my_package.task-2:TASK",
    ],
)
def test_a_path_is_no_key(path):
    assert masked(path) == path


@pytest.mark.parametrize("key", ["sk-Zx9Wq3_Lm-Vb7Nc5Td1Rf8Yh2Gj6", "hf_" + "aB3" * 11, "AKIA" + "Q2" * 8])
def test_a_key_is_masked_wherever_it_stands(key):
    assert masked(f"--model {key}: https://there/{key}/v1") == "--model …: https://there/…/v1"
