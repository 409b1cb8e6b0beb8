"""`--explain ID`: all that a run knows of a candidate, from its cluster to the dataset, of a cluster or a document."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import pyarrow.compute as pc

from datagen import records, shards
from datagen.inspect import document, ids
from datagen.inspect.document import DocumentStory
from datagen.records import Chunk, Dropped
from datagen.run.paths import RunPaths
from datagen.run.tables import TABLES

STAGES = ("cluster", "generate", "judge", "select")
VECTOR = "question_vector"

Row = dict[str, Any]


@dataclass(frozen=True)
class Step:
    """What a stage did with it: "kept", "rejected" or "failed", or None where it has not come to it."""

    stage: str
    outcome: str | None
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True)
class Passage:
    """A chunk, and what it is to the question."""

    chunk: int
    role: str  # in the evidence, as far as it was judged
    text: str


@dataclass(frozen=True)
class Line:
    """Another candidate, in short."""

    qa_id: str
    question: str
    rating: float | None
    decision: str  # what became of it


@dataclass(frozen=True)
class Story:
    """What became of a candidate or a cluster, stage by stage."""

    id: str
    unit: str  # "candidate" or "cluster"
    doc_id: str
    cluster: Row | None
    candidate: Row | None
    evidence: list[Passage]  # of a cluster: its chunks
    judgement: Row | None
    selection: Row | None
    steps: list[Step]
    other: Line | None  # the one that was taken before it, or that it repeats
    others: list[Line]  # the other candidates of its document; for a cluster, its own


@dataclass(frozen=True)
class Known:
    """The rows about one document: by stage and id, kept and left, and the texts of its chunks."""

    kept: dict[str, dict[str, Row]]
    left: dict[str, dict[str, Row]]
    texts: list[str]

    def step(self, stage: str, name: str) -> Step:
        """What a stage did with the row of that id."""
        if left := self.left[stage].get(name):
            return Step(stage, left["status"], left["reason"], left["detail"])
        return Step(stage, "kept" if name in self.kept[stage] else None)

    def line(self, qa_id: str) -> Line:
        """A candidate in short, with what became of it."""
        *_, last = [s for stage in ("generate", "judge", "select") if (s := self.step(stage, qa_id)).outcome]
        decision = f"{last.outcome} by {last.stage}{last.reason and f': {last.reason}'}"
        if selected := self.kept["select"].get(qa_id):
            decision = f"in {selected['split']}"
        made, judged = self.kept["generate"].get(qa_id, {}), self.kept["judge"].get(qa_id, {})
        return Line(qa_id, made.get("question", ""), judged.get("rating"), decision)

    def candidates(self) -> list[str]:
        """The ids of the document's candidates: those that were kept, then those that left."""
        left = [name for name, row in self.left["generate"].items() if row["unit"] == "candidate"]
        return [*self.kept["generate"], *left]


def tell(run: str, wanted: str) -> Story | DocumentStory:
    """The story of a document, a cluster or a candidate, by its id or a part of it. Raises UserError if none has it."""
    places = ids.places(run)
    name = ids.named("--explain", wanted, run, places)
    place = places[name]
    if place.unit == "document":
        return document.tell(run, place)
    known = _known(run, place.shard, place.doc_id)
    if place.unit == "cluster":
        return _of_cluster(name, place.doc_id, known)
    other = known.left["select"].get(name, {}).get("other_id")
    there = places[other] if other else place
    named = _known(run, there.shard, there.doc_id).line(other) if other else None
    return _of_candidate(name, place.doc_id, known, named)


def _of_candidate(name: str, doc_id: str, known: Known, other: Line | None) -> Story:
    candidate, judgement = known.kept["generate"].get(name), known.kept["judge"].get(name)
    steps = [known.step(stage, name) for stage in ("generate", "judge", "select")]
    return Story(
        id=name,
        unit="candidate",
        doc_id=doc_id,
        cluster=known.kept["cluster"].get(candidate["cluster_id"]) if candidate else None,
        candidate=candidate,
        evidence=_evidence(candidate, judgement, known.texts) if candidate else [],
        judgement=judgement,
        selection=known.kept["select"].get(name),
        steps=steps,
        other=other,
        others=[known.line(qa_id) for qa_id in known.candidates() if qa_id != name],
    )


def _of_cluster(name: str, doc_id: str, known: Known) -> Story:
    cluster = known.kept["cluster"].get(name)
    chunks = cluster["chunk_indices"] if cluster else []
    of_it = [qa_id for qa_id in known.candidates() if qa_id.rpartition("/")[0] == name]
    made = any(qa_id in known.kept["generate"] for qa_id in of_it)
    generated = Step("generate", "kept") if made else known.step("generate", name)
    return Story(
        id=name,
        unit="cluster",
        doc_id=doc_id,
        cluster=cluster,
        candidate=None,
        evidence=[Passage(i, "", known.texts[i]) for i in chunks],
        judgement=None,
        selection=None,
        steps=[known.step("cluster", name), *([generated] if cluster else [])],
        other=None,
        others=[known.line(qa_id) for qa_id in of_it],
    )


def _evidence(candidate: Row, judgement: Row | None, texts: list[str]) -> list[Passage]:
    roles = dict.fromkeys(candidate["ref_chunks"], "cited")
    found = {"ref_chunks": "needed", "redundant": "not needed", "alt_chunks": "as good as a needed one"}
    if judgement is not None:
        for column, role in found.items():
            roles |= dict.fromkeys(judgement[column], role)
    return [Passage(i, roles[i], texts[i]) for i in sorted(roles)]


def _known(run: str, shard: str, doc_id: str) -> Known:
    def read(stage: str, record: type, table: str = "") -> list[Row]:
        path = RunPaths(run).shard(stage, shard, table)
        if not shards.exists(path):
            return []
        names = [name for name in records.schema(record).names if name != VECTOR]
        return shards.read_table(path, names).filter(pc.field("doc_id") == doc_id).to_pylist()

    def key(stage: str) -> str:
        (column,) = records.UNIT_COLUMNS[TABLES[stage].output_unit]
        return column

    return Known(
        kept={stage: {row[key(stage)]: row for row in read(stage, TABLES[stage].record)} for stage in STAGES},
        left={stage: {row["row_id"]: row for row in read(stage, Dropped, "dropped")} for stage in STAGES},
        texts=[row["text"] for row in read("chunk", Chunk)],
    )


def as_json(story: Story | DocumentStory) -> dict[str, Any]:
    """A story as `--json` prints it."""
    return asdict(story)
