"""The rows and the reward of this folder through slime's own dataset and call of a reward. Needs slime on PYTHONPATH."""

import asyncio
import math
import pathlib
import sys
from types import SimpleNamespace

from slime.rollout.rm_hub import async_rm
from slime.utils.data import Dataset
from transformers import AutoTokenizer

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE))


def main() -> None:
    import longrlvr_reward

    tokenizer = AutoTokenizer.from_pretrained({{model}})
    keys = {"prompt_key": "prompt", "label_key": "reward_model", "metadata_key": "extra_info"}
    rows = Dataset(str(HERE / "train.parquet"), tokenizer, None, {{prompt_tokens}}, apply_chat_template=True, **keys)
    assert len(rows) == {{rows_train}}, f"slime keeps {len(rows)} of {{rows_train}} rows"
    args, wrong = SimpleNamespace(custom_rm_path="longrlvr_reward.custom_rm", reward_key="score"), 0
    sample = rows[0]
    assert "<CHUNK_0>" in sample.prompt
    cases = longrlvr_reward.check_cases(sample.metadata["ref_chunks"], sample.label["ground_truth"])
    for response, expected in cases:
        sample.response = response
        sample.reward = asyncio.run(async_rm(args, sample))
        found = sample.get_reward_value(args)
        wrong += not math.isclose(found, expected)
        print(f"{found:.4f} for {expected:.4f}: {response!r:.100}")
    if wrong:
        raise SystemExit(f"{wrong} of {len(cases)} rewards are not as they should be")
    print(f"slime takes {len(rows)} rows, and all {len(cases)} rewards are right")


if __name__ == "__main__":
    main()
