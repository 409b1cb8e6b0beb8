"""The rows and the reward of this folder through verl's own dataset, loader and reward manager. No GPU is needed.

python selfcheck.py [CASES.jsonl]
"""

import pathlib
import sys

import numpy as np
import torch
from longrlvr_reward import check, check_cases
from omegaconf import OmegaConf
from tensordict import TensorDict
from transformers import AutoTokenizer
from verl import DataProto
from verl.experimental.reward_loop.reward_manager.naive import NaiveRewardManager
from verl.trainer.ppo.reward import get_custom_reward_fn
from verl.utils.dataset.rl_dataset import RLHFDataset

HERE = pathlib.Path(__file__).parent


def main() -> None:
    """Check rows and rewards; raises SystemExit where one is wrong."""
    tokenizer = AutoTokenizer.from_pretrained({{model}}, trust_remote_code=False)
    data = {"prompt_key": "prompt", "max_prompt_length": {{prompt_tokens}}, "truncation": "error"}
    data |= {"filter_overlong_prompts": True, "filter_overlong_prompts_workers": 1, "return_raw_chat": True}
    rows = RLHFDataset([str(HERE / "train.parquet")], tokenizer, OmegaConf.create(data))
    assert len(rows) == {{n_rows}}, f"verl keeps {len(rows)} of {{n_rows}} rows"
    row = rows[0]

    settings = {"verifier": {{verifier}}, "eta": 0.1, "beta": 2.0}
    function = {"path": str(HERE / "longrlvr_reward.py"), "name": "compute_score", "reward_kwargs": settings}
    config = OmegaConf.create({"reward": {"custom_reward_function": function, "num_workers": 1}})
    manager = NaiveRewardManager(config, tokenizer, get_custom_reward_fn(config))
    cases = check_cases(row, *sys.argv[1:])
    check("verl", cases, manager.loop.run_until_complete(rewards_of(manager, tokenizer, row, cases)))


async def rewards_of(manager, tokenizer, row, cases):
    """What verl's manager makes of the cases."""
    return [(await manager.run_single(item(tokenizer, row, case)))["reward_score"] for case in cases]


def item(tokenizer, row, case):
    """One response as verl hands it to a reward manager."""
    tokens = tokenizer(case["response"], add_special_tokens=False, return_tensors="pt")["input_ids"]
    mask = torch.ones((1, 1 + tokens.shape[1]), dtype=torch.long)
    tensors = {"prompts": torch.ones((1, 1), dtype=torch.long), "responses": tokens, "attention_mask": mask}
    others = {
        "data_source": row["data_source"],
        "reward_model": {"style": "rule", "ground_truth": case["ground_truth"]},
        "extra_info": row["extra_info"] | {"ref_chunks": case["ref_chunks"]},
    }
    arrays = {name: np.array([value], dtype=object) for name, value in others.items()}
    return DataProto(batch=TensorDict(tensors, batch_size=1), non_tensor_batch=arrays)


if __name__ == "__main__":
    main()
