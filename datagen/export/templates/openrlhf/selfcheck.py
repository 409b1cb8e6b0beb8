"""The rows and the reward of this folder through OpenRLHF's own dataset and executor. No GPU, flash-attn or vLLM.

python selfcheck.py [CASES.jsonl]
"""

import asyncio
import math
import pathlib
import sys
from types import SimpleNamespace

from openrlhf.datasets.prompts_dataset import PromptDataset
from openrlhf.datasets.utils import blending_datasets
from openrlhf.utils.agent import SingleTurnAgentExecutor
from transformers import AutoTokenizer

HERE = pathlib.Path(__file__).parent


def main() -> None:
    """Check rows and rewards; raises SystemExit where one is wrong."""
    tokenizer = AutoTokenizer.from_pretrained({{model}}, trust_remote_code=False)
    args = SimpleNamespace(
        data=SimpleNamespace(input_key="prompt", label_key="extra_info", apply_chat_template=True, image_key="images")
    )
    strategy = SimpleNamespace(args=args, is_rank_0=lambda: True, print=print)
    rows = blending_datasets(str(HERE / "train.parquet"), None, strategy, dataset_split="train")
    assert len(rows) == {{n_rows}}, f"{len(rows)} of {{n_rows}} rows"
    _, prompt, label, *_ = PromptDataset(rows, tokenizer, strategy)[0]
    assert "<CHUNK_0>" in prompt

    executor = SingleTurnAgentExecutor(str(HERE / "longrlvr_reward.py"))
    shipped = executor.reward_func.__globals__
    cases = shipped["check_cases"](rows[0], *sys.argv[1:])
    end, found = tokenizer.eos_token or "", []
    for case in cases:
        labels = [label | {"ref_chunks": case["ref_chunks"], "answer": case["ground_truth"]}]
        query = prompt + case["response"] + end
        (one,) = asyncio.run(executor._fetch_rewards_via_func([query], [prompt], labels))
        assert math.isclose(one["scores"], one["rewards"] / 2)
        found.append(one["rewards"])
    shipped["check"]("OpenRLHF", cases, found)


if __name__ == "__main__":
    main()
