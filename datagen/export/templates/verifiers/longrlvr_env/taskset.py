"""The rows as tasks, and the reward of a trace, for verifiers {{version}} and prime-rl."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import pyarrow.parquet as pq
import verifiers.v1 as vf

from longrlvr_env.longrlvr_reward import reward, text_of

HERE = Path(__file__).parent


class LongRLVRData(vf.TaskData):
    """A row: its prompt, and what a response is held against."""

    question: str
    answer: str
    ref_chunks: list[int]


class LongRLVRTask(vf.Task[LongRLVRData]):
    """One turn: the document and the question, then citations and an answer."""

    @vf.reward
    async def longrlvr(self, trace: vf.Trace) -> float:
        """From 0 to 2. Raises where the judge failed, which leaves the trace out."""
        return (await self.scores(trace))["score"]

    @vf.metric
    async def grounding(self, trace: vf.Trace) -> dict[str, float]:
        """What the reward is made of."""
        found = await self.scores(trace)
        return {name: found[name] for name in ("answer", "precision", "recall", "fbeta")}

    async def scores(self, trace: vf.Trace) -> dict[str, float]:
        """The reward of the last thing the model wrote, its reasoning included."""
        message = trace.assistant_messages[-1].model_dump() if trace.assistant_messages else {}
        d = self.data
        return await asyncio.to_thread(reward, text_of([message]), d.ref_chunks, d.answer, question=d.question)


class LongRLVRConfig(vf.TasksetConfig):
    """Which rows."""

    split: Literal["train", "validation"] = "train"


class LongRLVRTaskset(vf.Taskset[LongRLVRTask, LongRLVRConfig]):
    """The rows of a split."""

    def load(self) -> Iterator[LongRLVRTask]:
        """A task a row, some of them in memory at a time."""
        for batch in pq.ParquetFile(HERE / f"{self.config.split}.parquet").iter_batches(batch_size=32):
            for row in batch.to_pylist():
                info = row["extra_info"]
                data = LongRLVRData(
                    id=info["qa_id"],
                    prompt=row["prompt"][0]["content"] if len(row["prompt"]) == 1 else row["prompt"],
                    question=info["question"],
                    answer=row["reward_model"]["ground_truth"],
                    ref_chunks=info["ref_chunks"],
                )
                yield LongRLVRTask(data, self.config.task)
