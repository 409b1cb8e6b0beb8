"""Our engine answering the prompts of engine_peers.py, the way a stage asks: shards of conversations, journalled."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from datagen.config.llm import EndpointConfig, EngineConfig, PriceConfig
from datagen.llm.base import LLM, Request
from datagen.llm.chat import ChatBackend
from datagen.llm.cost import Budget
from datagen.llm.drive import ShardJob, drive

SHARD = 64


async def conversation(llm: LLM, row: dict[str, Any]) -> dict[str, Any]:
    sampling = {"max_tokens": 256, "temperature": 0.0}
    completion = await llm.complete(Request("model", [{"role": "user", "content": row["prompt"]}], sampling))
    return {"id": row["id"], "text": completion.text}


def shards(rows: list[dict[str, Any]], work: Path) -> Iterator[ShardJob]:
    for start in range(0, len(rows), SHARD):
        name, part = f"{start // SHARD:05d}", rows[start : start + SHARD]
        yield ShardJob(name, work / f"{name}.jsonl", lambda llm, part=part: [conversation(llm, row) for row in part])


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("url", "prompts", "replies", "work"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--concurrency", type=int, default=256)
    args = parser.parse_args()
    rows = [json.loads(line) for line in Path(args.prompts).read_text().splitlines()]

    print("ready", flush=True)
    endpoint = EndpointConfig(base_url=args.url, max_concurrency=args.concurrency)
    backend = ChatBackend(EngineConfig(model="model", endpoints=(endpoint,)))
    with Path(args.replies).open("w") as f:
        for job in drive(shards(rows, Path(args.work)), backend, Budget(PriceConfig()), len(rows)):
            f.writelines(json.dumps(result) + "\n" for result in job.results)
    print("done", flush=True)


if __name__ == "__main__":
    main()
