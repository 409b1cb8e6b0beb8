"""The rows and the reward of this folder as TRL takes them: its chat template, its trainer's call of a reward. No GPU.

python selfcheck.py [CASES.jsonl]
"""

import pathlib
import sys
from types import SimpleNamespace

from datasets import load_dataset
from longrlvr_reward import check, check_cases, trl_reward
from transformers import AutoTokenizer
from trl import GRPOTrainer
from trl.data_utils import maybe_apply_chat_template

HERE = pathlib.Path(__file__).parent


def main() -> None:
    """Check rows and rewards; raises SystemExit where one is wrong."""
    rows = load_dataset("parquet", data_files={"train": str(HERE / "train.parquet")})["train"]
    assert len(rows) == {{n_rows}}, f"{len(rows)} of {{n_rows}} rows"
    tokenizer = AutoTokenizer.from_pretrained({{model}}, trust_remote_code=False)
    row = rows[0]
    text = maybe_apply_chat_template({"prompt": row["prompt"]}, tokenizer)["prompt"]
    assert "<CHUNK_0>" in text
    assert len(tokenizer(text, add_special_tokens=False)["input_ids"]) == row["extra_info"]["n_tokens"]

    cases = check_cases(row, *sys.argv[1:])
    inputs = [like(row, case) for case in cases]
    completions = [[{"role": "assistant", "content": case["response"]}] for case in cases]
    check("TRL", cases, rewards_of(inputs, completions))


def like(row, case):
    """The row with a case's labels."""
    info = row["extra_info"] | {"ref_chunks": case["ref_chunks"]}
    return row | {"extra_info": info, "reward_model": {"ground_truth": case["ground_truth"], "style": "rule"}}


def rewards_of(inputs, completions):
    """What GRPOTrainer makes of the reward function, without a model to train."""
    trainer = SimpleNamespace(
        accelerator=SimpleNamespace(device="cpu", is_main_process=True),
        args=SimpleNamespace(report_to=[]),
        state=SimpleNamespace(global_step=0),
        environments=None,
        reward_funcs=[trl_reward],
        reward_processing_classes=[None],
        reward_func_names=["trl_reward"],
        _log_completion_extra=None,
        _log_metric=None,
    )
    prompts, ids = [row["prompt"] for row in inputs], [[0]] * len(inputs)
    return GRPOTrainer._calculate_rewards(trainer, inputs, prompts, completions, ids)[:, 0].tolist()


if __name__ == "__main__":
    main()
