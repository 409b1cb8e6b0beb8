"""GRPO with TRL {{version}} on this folder's rows, by the published settings of LongRLVR as far as TRL has them.

accelerate launch train_trl.py [--any.setting of GRPOConfig …], such as: accelerate launch train_trl.py --max_steps 2
"""

import pathlib

from datasets import load_dataset
from longrlvr_reward import trl_reward
from transformers import HfArgumentParser
from trl import GRPOConfig, GRPOTrainer

HERE = pathlib.Path(__file__).parent
MODEL = {{model}}
FILES = {path.stem: str(path) for path in HERE.glob("*.parquet")}  # train, and validation if there is any
PUBLISHED = {
    "output_dir": str(HERE / "checkpoints"),
    "num_generations": 8,
    "generation_batch_size": 256,  # 32 prompts
    "per_device_train_batch_size": 1,
    "gradient_accumulation_steps": 64,  # 8 prompts an optimizer step, on one device
    "max_completion_length": {{response_tokens}},
    "temperature": 1.0,
    "learning_rate": 1e-6,
    "lr_scheduler_type": "constant_with_warmup",
    "warmup_steps": 20,  # optimizer steps: 5 batches
    "weight_decay": 0.1,
    "num_train_epochs": 5,
    "beta": 0.0,
    "loss_type": "dapo",
    "epsilon": 0.2,
    "epsilon_high": 0.28,
    "delta": 10.0,
    "scale_rewards": "group",
    "gradient_checkpointing": True,
    "vllm_max_model_length": {{total_tokens}},
    "save_steps": 40,  # optimizer steps: 10 batches
    "max_grad_norm": 1.0,
    "logging_steps": 1,
}
if "validation" in FILES:
    PUBLISHED |= {"eval_strategy": "steps", "eval_steps": 40, "eval_on_start": True}


def main() -> None:
    """Train."""
    parser = HfArgumentParser(GRPOConfig)
    parser.set_defaults(**PUBLISHED)
    (settings,) = parser.parse_args_into_dataclasses()
    rows = load_dataset("parquet", data_files=FILES)
    trainer = GRPOTrainer(
        model=MODEL,
        reward_funcs=trl_reward,
        args=settings,
        train_dataset=rows["train"],
        eval_dataset=rows.get("validation"),
    )
    trainer.train()
    trainer.save_model()


if __name__ == "__main__":
    main()
