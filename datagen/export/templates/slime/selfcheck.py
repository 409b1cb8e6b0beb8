"""The rows and the reward of this folder through slime's own dataset and call of a reward. Needs slime on PYTHONPATH.

python selfcheck.py [CASES.jsonl]
"""

import asyncio
import pathlib
import sys
from types import SimpleNamespace

import longrlvr_reward
from slime.rollout.rm_hub import async_rm
from slime.utils.data import Dataset
from transformers import AutoTokenizer

HERE = pathlib.Path(__file__).parent


def main() -> None:
    """Check rows and rewards; raises SystemExit where one is wrong."""
    tokenizer = AutoTokenizer.from_pretrained({{model}}, trust_remote_code=False)
    keys = {"prompt_key": "prompt", "label_key": "reward_model", "metadata_key": "extra_info"}
    rows = Dataset(str(HERE / "train.parquet"), tokenizer, None, {{prompt_tokens}}, apply_chat_template=True, **keys)
    assert len(rows) == {{n_rows}}, f"slime keeps {len(rows)} of {{n_rows}} rows"
    sample = rows[0]
    assert "<CHUNK_0>" in sample.prompt

    args = SimpleNamespace(custom_rm_path="longrlvr_reward.custom_rm", reward_key="score")
    row = {"reward_model": sample.label, "extra_info": sample.metadata}
    cases = longrlvr_reward.check_cases(row, *sys.argv[1:])
    found = []
    for case in cases:
        sample.response, sample.label = case["response"], {"ground_truth": case["ground_truth"]}
        sample.metadata = sample.metadata | {"ref_chunks": case["ref_chunks"]}
        sample.reward = asyncio.run(async_rm(args, sample))
        found.append(sample.get_reward_value(args))
    longrlvr_reward.check("slime", cases, found)


if __name__ == "__main__":
    main()
