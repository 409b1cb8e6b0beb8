"""`select --explain ID`: all that a run knows of one candidate, from its cluster to the dataset, or of one cluster."""

from __future__ import annotations

import bisect
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow.compute as pc

from datagen import records, shards
from datagen.errors import UserError
from datagen.records import Candidate, Chunk, Cluster, Dropped, Judgement, Selection
from datagen.run.paths import RunPaths

RECORDS = {"cluster": Cluster, "generate": Candidate, "judge": Judgement, "select": Selection}
KEYS = {"cluster": "cluster_id", "generate": "qa_id", "judge": "qa_id", "select": "qa_id"}
VECTOR = "question_vector"
NEAR = 5  # ids that are named where there is none of the name given

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
    chunk: int
    role: str  # in the evidence, as far as it was judged
    text: str


@dataclass(frozen=True)
class Line:
    """Another candidate, in short."""

    qa_id: str
    question: str
    rating: float | None
    fate: str


@dataclass(frozen=True)
class Story:
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
        if left := self.left[stage].get(name):
            return Step(stage, left["status"], left["reason"], left["detail"])
        return Step(stage, "kept" if name in self.kept[stage] else None)

    def line(self, qa_id: str) -> Line:
        *_, last = [s for stage in ("generate", "judge", "select") if (s := self.step(stage, qa_id)).outcome]
        fate = f"{last.outcome} by {last.stage}{last.reason and f': {last.reason}'}"
        if selected := self.kept["select"].get(qa_id):
            fate = f"in {selected['split']}"
        made, judged = self.kept["generate"].get(qa_id, {}), self.kept["judge"].get(qa_id, {})
        return Line(qa_id, made.get("question", ""), judged.get("rating"), fate)

    def candidates(self) -> list[str]:
        left = [name for name, row in self.left["generate"].items() if row["unit"] == "candidate"]
        return [*self.kept["generate"], *left]


def tell(run: str, wanted: str) -> Story:
    """The story of a candidate or a cluster, by its id or a part that only one has. Raises UserError if none has."""
    places = _places(run)
    name = _named(run, wanted, places)
    shard, doc_id, unit = places[name]
    known = _known(run, shard, doc_id)
    if unit == "cluster":
        return _of_cluster(name, doc_id, known)
    candidate, judgement = known.kept["generate"].get(name), known.kept["judge"].get(name)
    steps = [known.step(stage, name) for stage in ("generate", "judge", "select")]
    other = known.left["select"].get(name, {}).get("other_id")
    return Story(
        id=name,
        unit=unit,
        doc_id=doc_id,
        cluster=known.kept["cluster"].get(candidate["cluster_id"]) if candidate else None,
        candidate=candidate,
        evidence=_evidence(candidate, judgement, known.texts) if candidate else [],
        judgement=judgement,
        selection=known.kept["select"].get(name),
        steps=steps,
        other=_known(run, *places[other][:2]).line(other) if other else None,
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

    return Known(
        kept={stage: {row[KEYS[stage]]: row for row in read(stage, record)} for stage, record in RECORDS.items()},
        left={stage: {row["row_id"]: row for row in read(stage, Dropped, "dropped")} for stage in RECORDS},
        texts=[row["text"] for row in read("chunk", Chunk)],
    )


def _places(run: str) -> dict[str, tuple[str, str, str]]:
    """Every cluster and candidate there was: its shard, its document, and which of the two it is."""
    found: dict[str, tuple[str, str, str]] = {}
    for shard in RunPaths(run).names("cluster"):
        for stage, unit in (("cluster", "cluster"), ("generate", "candidate")):
            for table, key in (("", KEYS[stage]), ("dropped", "row_id")):
                path = RunPaths(run).shard(stage, shard, table)
                columns = [key, "doc_id", *(["unit"] if key == "row_id" else [])]
                for row in shards.read_table(path, columns).to_pylist() if shards.exists(path) else []:
                    found[row[key]] = shard, row["doc_id"], row.get("unit", unit)
    return {name: place for name, place in found.items() if place[2] in ("cluster", "candidate")}


def _named(run: str, wanted: str, places: dict[str, Any]) -> str:
    if not places:
        raise UserError(f"--explain {wanted}: {run} has no clusters and no candidates yet")
    if wanted in places:
        return wanted
    ids = sorted(places)
    matches = [name for name in ids if wanted in name]
    if len(matches) == 1:
        return matches[0]
    start = max(min(bisect.bisect(ids, wanted) - NEAR // 2, len(ids) - NEAR), 0)
    what = f"{len(matches):,} ids have it in them" if matches else "no candidate or cluster of the run has that id"
    raise UserError(f"--explain {wanted}: {what}. Such as: {', '.join((matches or ids[start:])[:NEAR])}")


def as_json(story: Story) -> dict[str, Any]:
    return asdict(story)
