"""The rows and the reward of this folder as TRL takes them: its chat template, its call of a reward. No GPU is needed."""

import math
import pathlib

from datasets import load_dataset
from longrlvr_reward import check_cases, trl_reward
from transformers import AutoTokenizer
from trl.data_utils import maybe_apply_chat_template

HERE = pathlib.Path(__file__).parent


def main() -> None:
    rows = load_dataset("parquet", data_files={"train": str(HERE / "train.parquet")})["train"]
    assert len(rows) == {{rows_train}}, f"{len(rows)} of {{rows_train}} rows"
    tokenizer = AutoTokenizer.from_pretrained({{model}})
    row = rows[0]
    text = maybe_apply_chat_template({"prompt": row["prompt"]}, tokenizer)["prompt"]
    assert "<CHUNK_0>" in text
    assert len(tokenizer(text, add_special_tokens=False)["input_ids"]) == row["extra_info"]["n_tokens"]

    cases = check_cases(row["extra_info"]["ref_chunks"], row["reward_model"]["ground_truth"])
    completions = [[{"role": "assistant", "content": response}] for response, _ in cases]
    columns = {name: [row[name]] * len(cases) for name in row if name != "prompt"}
    found = trl_reward(prompts=[row["prompt"]] * len(cases), completions=completions, completion_ids=[], **columns)
    for (response, expected), score in zip(cases, found, strict=True):
        print(f"{score:.4f} for {expected:.4f}: {response!r:.100}")
    if not all(math.isclose(score, expected) for (_, expected), score in zip(cases, found, strict=True)):
        raise SystemExit("the rewards are not as they should be")
    print(f"TRL takes {len(rows)} rows, and all {len(cases)} rewards are right")


if __name__ == "__main__":
    main()
