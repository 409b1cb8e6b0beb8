"""Bespoke Curator answering the prompts of engine_peers.py: its LLM with the OpenAI backend.

Its limits are set so high that only its own concurrency is one; a refusal of a row does not stop it.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import litellm.litellm_core_utils.default_encoding  # noqa: F401  # its tiktoken files serve where there is no network
from bespokelabs import curator
from datasets import Dataset

UNLIMITED = 1_000_000_000


class Replies(curator.LLM):
    def prompt(self, row: dict[str, Any]) -> str:
        return row["prompt"]

    def parse(self, row: dict[str, Any], reply: str) -> dict[str, Any]:
        return {"id": row["id"], "text": reply}


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("url", "prompts", "replies", "work"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--concurrency", type=int, default=0, help="0: no limit of its own")
    args = parser.parse_args()
    rows = [json.loads(line) for line in Path(args.prompts).read_text().splitlines()]

    print("ready", flush=True)
    llm = Replies(
        model_name="model",
        backend="openai",
        generation_params={"max_tokens": 256, "temperature": 0.0},
        backend_params={
            "base_url": args.url,
            "api_key": "none",
            "max_requests_per_minute": UNLIMITED,
            "max_tokens_per_minute": UNLIMITED,
            "max_retries": 10,
            "require_all_responses": False,
        }
        | ({"max_concurrent_requests": args.concurrency} if args.concurrency else {}),
    )
    found = llm(Dataset.from_list(rows), working_dir=args.work)
    with Path(args.replies).open("w") as f:
        for row in found.dataset:
            f.write(json.dumps({"id": row["id"], "text": row["text"]}) + "\n")
    print("done", flush=True)


if __name__ == "__main__":
    main()
