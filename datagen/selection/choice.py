"""Which rows are chosen, and why the others are not: the tests of `stages.select`, in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from datagen import prompts
from datagen.config.data import SelectConfig
from datagen.config.model import Config
from datagen.executors import local as executors
from datagen.selection import contamination, near_duplicates, ranking, window
from datagen.selection.limit import Limit
from datagen.selection.rows import Documents, Rows, codes
from datagen.text import tokenizers

Texts = Callable[[str], Iterable[tuple[str, str]]]  # by the name of a shard: its documents' ids and texts
Window = tuple[int, int, int]  # the first and the last chunk that a prompt shows, and the prompt's tokens


class Left(NamedTuple):
    """Why a candidate is not chosen, and the other one that was taken before it, or that it repeats."""

    reason: str
    detail: str
    other_id: str | None = None


@dataclass(frozen=True)
class Choice:
    """What is still in, and what is not; rows are known by their numbers."""

    rows: Rows
    open: np.ndarray  # (n,) bool
    left: dict[int, Left]

    def leave(
        self, rows: Iterable[int], reason: str, detail: Callable[[int], str], instead: Mapping[int, int] | None = None
    ) -> None:
        """Leave out those of some rows that are still in. `instead`: by row, another that it has to do with."""
        for i in rows:
            if self.open[i]:
                self.open[i] = False
                self.left[i] = Left(reason, detail(i), self.rows.qa_ids[instead[i]] if instead else None)


def choose(
    rows: Rows, documents: Documents, texts: Texts, limits: Iterable[Limit], config: Config
) -> tuple[dict[int, Window], dict[int, Left]]:
    """The windows of the rows that are chosen, and why each of the others is not."""
    choice = Choice(rows, np.ones(len(rows), bool), {})
    order = _in_turn(choice, documents, config)
    _within_limits(choice, limits, config.select)
    _once(choice, order, config.select)
    if config.select.decontaminate:
        _in_no_benchmark(choice, texts, config.select)
    return _shown(choice, documents, config), choice.left


def _in_turn(choice: Choice, documents: Documents, config: Config) -> np.ndarray:
    """Leave out what is not among the best of its cluster and document. Returns the order of what is, in clusters."""
    rows, settings = choice.rows, config.select
    places = ranking.places(rows, documents)
    order = ranking.order(rows, places, settings.per_cluster, config.seed)
    beyond = ranking.counted(rows.documents[order]) >= settings.per_document
    winners = order[~beyond]
    of_cluster = dict(zip(rows.clusters[order].tolist(), order.tolist(), strict=True))  # the last that was taken
    of_document = dict(zip(rows.documents[winners].tolist(), winners.tolist(), strict=True))
    others = np.ones(len(rows), bool)
    others[order] = False
    for reason, setting, left, labels, taken in (
        ("not the best of its cluster", "per_cluster", np.flatnonzero(others), rows.clusters, of_cluster),
        ("not the best of its document", "per_document", order[beyond], rows.documents, of_document),
    ):
        said = f"select.{setting} is {getattr(settings, setting)}, taken before it:"
        stands = [ranking.PLACES[place] for place in places[left].tolist()]
        found = list(zip(left.tolist(), rows.ratings[left].tolist(), stands, labels[left].tolist(), strict=True))
        instead = {i: taken[of] for i, _, _, of in found}
        details = {i: f"rated {r:.1f}, evidence {at}; {said} {rows.qa_ids[instead[i]]}" for i, r, at, _ in found}
        choice.leave(details, reason, details.__getitem__, instead)
    return order


def _within_limits(choice: Choice, limits: Iterable[Limit], settings: SelectConfig) -> None:
    """A figure is NaN where its check was not made: it is beyond no limit."""
    for limit in limits:
        values = choice.rows.figures[limit.column]
        bound = np.float32(getattr(settings, limit.setting))  # as the values are kept: 6.7 is not below 6.7
        beyond = np.flatnonzero(values > bound if limit.is_upper else values < bound).tolist()
        details = {i: f"{limit.label} {values[i]:.3g}, select.{limit.setting} is {bound:.3g}" for i in beyond}
        choice.leave(beyond, limit.reason, details.__getitem__)


def _once(choice: Choice, order: np.ndarray, settings: SelectConfig) -> None:
    """Leave out what asks the same as a row before it in the order, whatever became of that one."""
    rows = choice.rows
    asked = np.flatnonzero(choice.open[order])
    order = order[: asked[-1] + 1] if len(asked) else order[:0]
    first = near_duplicates.repeats(codes(rows.questions.take(order)))[asked]
    earlier, cosines = near_duplicates.first_near(rows.vectors[order], asked, settings.max_similarity)
    same = dict(zip(order[asked[first >= 0]].tolist(), order[first[first >= 0]].tolist(), strict=True))
    near = earlier >= 0
    nearly = dict(zip(order[asked[near]].tolist(), order[earlier[near]].tolist(), strict=True))
    cosine = dict(zip(nearly, cosines[near].tolist(), strict=True))
    choice.leave(same, "duplicate question", lambda i: f"the same as {rows.qa_ids[same[i]]}", same)
    choice.leave(
        nearly, "near-duplicate question", lambda i: f"cosine {cosine[i]:.3f} to {rows.qa_ids[nearly[i]]}", nearly
    )


def _in_no_benchmark(choice: Choice, texts: Texts, settings: SelectConfig) -> None:
    """Documents are read a shard at a time, and only those that a question is left of."""
    rows = choice.rows
    questions = {i: rows.questions[i].as_py() for i in np.flatnonzero(choice.open).tolist()}
    known = contamination.gather(settings.decontaminate, list(questions.values()))
    asked = {i: found for i, question in questions.items() if (found := known.question(question))}
    choice.leave(asked, "question in a benchmark", asked.__getitem__)
    left = np.flatnonzero(choice.open).tolist()
    doc_ids = {rows.doc_ids[i] for i in left}

    def compare(shard: str) -> dict[str, str]:
        return {d: found for d, text in texts(shard) if d in doc_ids and (found := known.document(text))}

    found = {d: f for of in executors.threaded(compare, sorted({rows.shards[i] for i in left})) for d, f in of.items()}
    shared = {i: found[rows.doc_ids[i]] for i in left if rows.doc_ids[i] in found}
    choice.leave(shared, "document in a benchmark", shared.__getitem__)


def _shown(choice: Choice, documents: Documents, config: Config) -> dict[int, Window]:
    """The windows of what is left; leave out what has none."""
    rows, limit = choice.rows, config.select.max_prompt_tokens
    left = np.flatnonzero(choice.open)
    tokenizer = tokenizers.load(config.chunk.tokenizer)
    task = prompts.load_task(config.dataset.prompt)
    besides = window.besides_chunks(tokenizer, task, rows.questions.take(left).to_pylist())
    chunks = {d: documents.chunks(d) for d in set(rows.documents[left].tolist())}
    tags = window.tag_costs(tokenizer, max(map(len, chunks.values()), default=0))
    costs = {d: n_tokens + tags[: len(n_tokens)] for d, n_tokens in chunks.items()}
    windows: dict[int, Window] = {}
    for i, more in zip(left.tolist(), besides, strict=True):
        evidence = int(rows.first[i]), int(rows.last[i])
        shown = window.fit(costs[int(rows.documents[i])], *evidence, limit - more, f"{config.seed}:{rows.qa_ids[i]}")
        if shown:
            windows[i] = (*shown[:2], shown[2] + more)
    over = [i for i in left.tolist() if i not in windows]
    choice.leave(over, "prompt too long", lambda i: f"select.max_prompt_tokens is {limit}")
    return windows
