"""distilabel answering the prompts of engine_peers.py: a pipeline of its loader and its text generation.

A task sends a whole batch at once and waits for its slowest reply before it takes the next. Its concurrency is
therefore the size of a batch times the number of replicas, each a process of its own.
"""

# pyright: reportMissingImports=false

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from distilabel.models import OpenAILLM
from distilabel.pipeline import Pipeline
from distilabel.steps import LoadDataFromDicts, StepResources
from distilabel.steps.tasks import TextGeneration


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("url", "prompts", "replies", "work"):
        parser.add_argument(f"--{name}")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--replicas", type=int, default=1)
    args = parser.parse_args()
    rows = [json.loads(line) for line in Path(args.prompts).read_text().splitlines()]

    print("ready", flush=True)
    with Pipeline(name="peers", cache_dir=args.work) as pipeline:
        load = LoadDataFromDicts(
            data=[{"id": row["id"], "instruction": row["prompt"]} for row in rows], batch_size=args.batch
        )
        generate = TextGeneration(
            llm=OpenAILLM(
                model="model",
                base_url=args.url,
                api_key="none",
                max_retries=10,
                timeout=600,
                generation_kwargs={"max_new_tokens": 256, "temperature": 0.0},
            ),
            input_batch_size=args.batch,
            resources=StepResources(replicas=args.replicas),
            add_raw_output=False,
            add_raw_input=False,
        )
        load.connect(generate)
    found: Any = pipeline.run(use_cache=True)
    with Path(args.replies).open("w") as f:
        for row in found["default"]["train"]:
            f.write(json.dumps({"id": row["id"], "text": row["generation"]}) + "\n")
    print("done", flush=True)


if __name__ == "__main__":
    main()
