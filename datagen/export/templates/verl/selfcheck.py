"""The rows and the reward of this folder through verl's own dataset, loader and reward manager. No GPU is needed."""

import asyncio
import pathlib

import torch
from omegaconf import OmegaConf
from tensordict import TensorDict
from transformers import AutoTokenizer
from verl import DataProto
from verl.experimental.reward_loop.reward_manager.naive import NaiveRewardManager
from verl.trainer.ppo.reward import get_custom_reward_fn
from verl.utils.dataset.rl_dataset import RLHFDataset

HERE = pathlib.Path(__file__).parent
MODEL, PROMPT_TOKENS, RESPONSE_TOKENS, VERIFIER = {{model}}, {{prompt_tokens}}, {{response_tokens}}, {{verifier}}


def main() -> None:
    tokenizer = AutoTokenizer.from_pretrained(MODEL)
    data = {"prompt_key": "prompt", "max_prompt_length": PROMPT_TOKENS, "truncation": "error"}
    data |= {"filter_overlong_prompts": True, "filter_overlong_prompts_workers": 1, "return_raw_chat": True}
    dataset = RLHFDataset([str(HERE / "train.parquet")], tokenizer, OmegaConf.create(data))
    assert len(dataset) == {{rows_train}}, f"verl keeps {len(dataset)} of {{rows_train}} rows"
    row = dataset[0]

    settings = {"verifier": VERIFIER, "eta": 0.1, "beta": 2.0}
    function = {"path": str(HERE / "longrlvr_reward.py"), "name": "compute_score", "reward_kwargs": settings}
    config = OmegaConf.create({"reward": {"custom_reward_function": function, "num_workers": 1}})
    compute_score = get_custom_reward_fn(config)
    manager = NaiveRewardManager(config, tokenizer, compute_score)
    cases = compute_score.keywords if hasattr(compute_score, "keywords") else {}
    assert cases.get("eta", 0.1) == 0.1

    import importlib.util

    spec = importlib.util.spec_from_file_location("longrlvr_reward", HERE / "longrlvr_reward.py")
    shipped = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(shipped)
    truth, info = row["reward_model"]["ground_truth"], row["extra_info"]
    wrong = 0
    checked = shipped.check_cases(info["ref_chunks"], truth)
    for response, expected in checked:
        found = asyncio.run(manager.run_single(item(tokenizer, row, response)))
        wrong += abs(found["reward_score"] - expected) > 1e-6
        print(f"{found['reward_score']:.4f} for {expected:.4f}: {response!r:.100}")
    if wrong:
        raise SystemExit(f"{wrong} of {len(checked)} rewards are not as they should be")
    print(f"verl takes {len(dataset)} rows, and all {len(checked)} rewards are right")


def item(tokenizer, row, response):
    """One response as verl hands it to a reward manager."""
    tokens = tokenizer(response, add_special_tokens=False, return_tensors="pt")["input_ids"]
    prompt = torch.ones((1, 1), dtype=torch.long)
    mask = torch.ones((1, 1 + tokens.shape[1]), dtype=torch.long)
    tensors = TensorDict({"prompts": prompt, "responses": tokens, "attention_mask": mask}, batch_size=1)
    import numpy as np

    others = {name: np.array([row[name]], dtype=object) for name in ("data_source", "reward_model", "extra_info")}
    return DataProto(batch=tensors, non_tensor_batch=others)


if __name__ == "__main__":
    main()
