"""Judged candidates, as a run holds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from datagen import records, shards
from datagen.config import model as configs
from datagen.config.model import Config
from datagen.records import Candidate, Chunk, Cluster, Document, Dropped, Embedding, Judgement
from datagen.run import identity, ledger
from datagen.run.paths import RunPaths
from datagen.selection.choice import Left
from datagen.selection.rows import COUNTED, JUDGED, MADE, Documents, Rows, gather, number
from datagen.stages import STAGES, select
from datagen.stages.select import Decisions

Tokens = dict[str, list[int]]  # by document, of each of its chunks
WORD = "word "  # of a chunk's text, a token each or so


@dataclass(frozen=True)
class Draft:
    doc: str
    cluster: int = 0
    sample: int = 0
    rating: float = 9.5
    question: str = ""
    refs: Sequence[int] = (1,)
    redundant: Sequence[int] = ()
    alternatives: Sequence[int] = ()
    vector: Any = None  # None: unlike any other
    shares: dict[str, float] = field(default_factory=dict)  # closed_book, sufficiency, pass_rate

    @property
    def cluster_id(self) -> str:
        return f"{self.doc}/c{self.cluster}"

    @property
    def qa_id(self) -> str:
        return f"{self.cluster_id}/q{self.sample}"

    def candidate(self) -> Candidate:
        return Candidate(
            qa_id=self.qa_id,
            cluster_id=self.cluster_id,
            doc_id=self.doc,
            sample=self.sample,
            generator="model",
            question_type="multi-hop",
            question=self.question or f"What of {self.qa_id}?",
            answer="this",
            ref_chunks=sorted([*self.refs, *self.redundant]),
            terms=[],
            quotes=[],
            quote_chunks=[],
        )

    def judgement(self, vector: np.ndarray) -> Judgement:
        return Judgement(
            qa_id=self.qa_id,
            cluster_id=self.cluster_id,
            doc_id=self.doc,
            rating=self.rating,
            rating_reason="It says so.",
            checks=["quality"],
            ref_chunks=sorted(self.refs),
            redundant=sorted(self.redundant),
            alt_chunks=sorted(self.alternatives),
            closed_book=self.shares.get("closed_book"),
            sufficiency=self.shares.get("sufficiency"),
            pass_rate=self.shares.get("pass_rate"),
            question_vector=vector.astype(np.float16),
        )


def chunks(doc: str, tokens: list[int]) -> list[Chunk]:
    return [Chunk(doc, i, 0, 0, n, WORD * n) for i, n in enumerate(tokens)]


def vectors(drafts: Sequence[Draft]) -> list[np.ndarray]:
    given = [d.vector for d in drafts if d.vector is not None]
    plain = np.eye(len(drafts), len(drafts) + (len(given[0]) if given else 0))
    free = plain[:, : len(drafts)]
    return [
        np.concatenate([np.zeros(len(drafts)), d.vector]) if d.vector is not None else np.append(own, rest)
        for d, own, rest in zip(drafts, free, plain[:, len(drafts) :], strict=True)
    ]


def gathered(drafts: Sequence[Draft], tokens: Tokens, layout: dict[str, str] | None = None) -> tuple[Rows, Documents]:
    """The rows in shards by document, in the order given."""
    of = {doc: (layout or {}).get(doc, "shard-00000") for doc in tokens}
    order = list(dict.fromkeys(of.values()))
    counted = [
        records.to_table(Chunk, [c for doc in tokens if of[doc] == name for c in chunks(doc, tokens[doc])])
        for name in order
    ]
    documents = number(table.select(COUNTED.names) for table in counted)
    found = list(zip(drafts, vectors(drafts), strict=True))
    tables = [
        (
            name,
            records.to_table(Judgement, [d.judgement(v) for d, v in found if of[d.doc] == name]).select(JUDGED.names),
            records.to_table(Candidate, [d.candidate() for d, _ in found if of[d.doc] == name]).select(MADE.names),
        )
        for name in order
    ]
    return gather(tables, documents), documents


def settings(**given: Any) -> Config:
    """Settings that leave nothing out unless they say so, written `per_document=1`."""
    open = {"per_document": 99, "per_cluster": 99, "min_rating": 0.0, "validation_fraction": 0.0}
    names = {name: name if "." in name or name == "seed" else f"select.{name}" for name in open | given}
    return configs.load(None, {names[name]: value for name, value in (open | given).items()})


def decide(
    drafts: Sequence[Draft],
    tokens: Tokens | None = None,
    texts: dict[str, str] | None = None,
    layout: dict[str, str] | None = None,
    **given: Any,
) -> Decisions:
    """What becomes of each, by its id."""
    tokens = tokens or {d.doc: [100] * 5 for d in drafts}
    rows, documents = gathered(drafts, tokens, layout)
    fates = select.decide(rows, documents, lambda _: (texts or {}).items(), settings(**given))
    assert sorted(fates) == sorted(d.qa_id for d in drafts)
    return fates


def kept(fates: Decisions) -> list[str]:
    return [qa_id for qa_id, fate in fates.items() if len(fate) == 4]


def why(fates: Decisions) -> dict[str, tuple[str, str]]:
    return {qa_id: (fate[0], fate[1]) for qa_id, fate in fates.items() if isinstance(fate, Left)}


def spread(drafts: Sequence[Draft]) -> list[Draft]:
    """Each once: later ones with the id of an earlier one get a free sample number."""
    seen: set[str] = set()
    found = []
    for draft in drafts:
        while draft.qa_id in seen:
            draft = replace(draft, sample=draft.sample + 1)
        seen.add(draft.qa_id)
        found.append(draft)
    return found


def write_run(
    run: Path, drafts: Sequence[Draft], tokens: Tokens, config: Config, left: dict[str, list[Dropped]] | None = None
) -> None:
    """A run directory up to judge, with a shard for each document; `left` are rows that a stage dropped.

    A draft rated below 0 was not kept by the judge.
    """
    names = {doc: f"shard-{i:05d}" for i, doc in enumerate(tokens)}
    for s in STAGES[:-1]:
        identity.save(str(run / s.name), s.identity(config))
    shards.write_json(RunPaths(str(run)).layout_file, list(names.values()))
    barren = [(d.row_id, d.doc_id) for d in (left or {}).get("generate", []) if d.unit == "cluster"]
    of = dict([*((d.cluster_id, d.doc) for d in drafts), *barren])
    clusters = {name: Cluster(name, doc, list(range(4)), 0.7, 0.3, 0.5) for name, doc in of.items()}
    found = list(zip(drafts, vectors(drafts), strict=True))
    for doc, name in names.items():
        text = "".join(chunk.text for chunk in chunks(doc, tokens[doc]))
        tables: dict[str, tuple[type, list[Any]]] = {
            "chunk/documents": (Document, [Document(doc, doc, "utf-8", "{}", text)]),
            "chunk": (Chunk, chunks(doc, tokens[doc])),
            "embed": (Embedding, []),
            "cluster": (Cluster, [c for c in clusters.values() if c.doc_id == doc]),
            "generate": (Candidate, [d.candidate() for d in drafts if d.doc == doc]),
            "judge": (Judgement, [d.judgement(v) for d, v in found if d.doc == doc and d.rating >= 0]),
        }
        for folder, (record, rows) in tables.items():
            dropped = [d for d in (left or {}).get(folder, []) if d.doc_id == doc]
            entry: ledger.Ledger = {"candidate": {"in": len(rows), "kept": len(rows), "rejected": {}, "failed": {}}}
            shards.write_rows(f"{run}/{folder}/dropped/{name}.parquet", Dropped, dropped)
            shards.write_rows(f"{run}/{folder}/{name}.parquet", record, rows, entry)
