"""Requests to a backend, the way a stage makes them: a shard of conversations, with a journal in a folder that goes."""

import threading
from collections.abc import Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from datagen.config.llm import PriceConfig
from datagen.llm.base import LLM, Backend, Completion, Conversation, Request, Stream
from datagen.llm.cost import Budget
from datagen.llm.drive import ShardJob, drive
from datagen.llm.journal import Journal


def answers(backend: Backend, requests: Iterable[Request], kept: list[Completion] | None = None) -> list[Completion]:
    """The completions in the order of their requests: one for each, whatever happens. `kept` gets those that were
    journalled, though the run ends early.
    """
    requests = list(requests)

    def begin(llm: LLM) -> list[Conversation[Completion]]:
        return [llm.complete(request) for request in requests]

    with TemporaryDirectory() as folder:
        job = ShardJob("shard-00000", Path(folder) / "shard-00000.jsonl", begin)
        try:
            (done,) = drive(iter([job]), backend, Budget(PriceConfig()), len(requests))
        finally:
            journal = Journal(job.journal)
            if kept is not None:
                kept += [*journal.answers.values(), *journal.errors.values()]
            assert not threads()
    assert [completion.key for completion in done.results] == [request.key for request in requests]
    assert journal.answers.keys() | journal.errors.keys() == {request.key for request in requests}
    return done.results


def threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "conversations"]


class Scripted(LLM):
    """Gives these completions, one after another."""

    def __init__(self, *completions: Completion) -> None:
        self.completions = list(completions)
        self.asked: list[Request] = []
        self.problems: list[str] = []  # that were reported, "" for none
        self.disowned: list[str] = []

    async def complete(self, request: Request, stream: Stream | None = None) -> Completion:
        self.asked.append(request)
        return self.completions.pop(0)

    def report(self, completion: Completion, problem: str = "") -> None:
        self.problems.append(problem)

    async def disown(self, completions: Sequence[Completion], problem: str) -> None:
        self.disowned.append(problem)
