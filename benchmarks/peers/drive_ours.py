"""Our engine answering the prompts of engine_peers.py, the way a stage asks: shards of conversations, journalled."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datagen.config.llm import EndpointConfig, EngineConfig, PriceConfig
from datagen.llm.base import Conversation, Request
from datagen.llm.converse import Driver, Talk, hold
from datagen.llm.cost import Budget
from datagen.llm.journal import Journal
from datagen.llm.openai import OpenAIEngine

SHARD = 64


def conversation(row: dict[str, Any]) -> Conversation[dict[str, Any]]:
    sampling = {"max_tokens": 256, "temperature": 0.0}
    completion = yield Request("model", [{"role": "user", "content": row["prompt"]}], sampling)
    return {"id": row["id"], "text": completion.text}


def shards(rows: list[dict[str, Any]], work: Path) -> Iterator[Talk]:
    for start in range(0, len(rows), SHARD):
        name = f"{start // SHARD:05d}"
        yield Talk(name, [conversation(row) for row in rows[start : start + SHARD]], Journal(work / f"{name}.jsonl"))


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("url", "prompts", "replies", "work"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--concurrency", type=int, default=256)
    args = parser.parse_args()
    rows = [json.loads(line) for line in Path(args.prompts).read_text().splitlines()]

    print("ready", flush=True)
    endpoint = EndpointConfig(base_url=args.url, max_concurrency=args.concurrency)
    driver = Driver(shards(rows, Path(args.work)), Budget(PriceConfig()), len(rows))
    with Path(args.replies).open("w") as f:
        for talk in hold(driver, OpenAIEngine(EngineConfig(model="model", endpoints=(endpoint,)))):
            f.writelines(json.dumps(result) + "\n" for result in talk.results)
    print("done", flush=True)


if __name__ == "__main__":
    main()
