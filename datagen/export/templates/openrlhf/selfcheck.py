"""The rows and the reward of this folder through OpenRLHF's own dataset, executor and parser. No GPU is needed.

Runs without flash-attn, vLLM and DeepSpeed, too, which OpenRLHF imports only where it trains.
"""

import asyncio
import math
import pathlib
from types import SimpleNamespace

from openrlhf.datasets.prompts_dataset import PromptDataset
from openrlhf.datasets.utils import blending_datasets
from openrlhf.utils.agent import SingleTurnAgentExecutor
from transformers import AutoTokenizer

HERE = pathlib.Path(__file__).parent


def main() -> None:
    tokenizer = AutoTokenizer.from_pretrained({{model}})
    args = SimpleNamespace(
        data=SimpleNamespace(input_key="prompt", label_key="extra_info", apply_chat_template=True, image_key="images")
    )
    strategy = SimpleNamespace(args=args, is_rank_0=lambda: True, print=print)
    rows = blending_datasets(str(HERE / "train.parquet"), None, strategy, dataset_split="train")
    assert len(rows) == {{rows_train}}, f"{len(rows)} of {{rows_train}} rows"
    _, prompt, label, *_ = PromptDataset(rows, tokenizer, strategy)[0]
    assert "<CHUNK_0>" in prompt
    executor = SingleTurnAgentExecutor(str(HERE / "longrlvr_reward.py"))
    cases = executor.reward_func.__globals__["check_cases"](label["ref_chunks"], label["answer"])
    wrong = 0
    for response, expected in cases:
        query = prompt + response + (tokenizer.eos_token or "")
        (found,) = asyncio.run(executor._fetch_rewards_via_func([query], [prompt], [label]))
        wrong += not math.isclose(found["rewards"], expected) or not math.isclose(found["scores"], expected / 2)
        print(f"{found['rewards']:.4f} for {expected:.4f}: {response!r:.100}")
    if wrong:
        raise SystemExit(f"{wrong} of {len(cases)} rewards are not as they should be")
    print(f"OpenRLHF takes {len(rows)} rows, and all {len(cases)} rewards are right")


if __name__ == "__main__":
    main()
