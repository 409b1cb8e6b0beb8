"""All judged candidates of a run, a column each, and how many tokens the chunks of its documents have."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from datagen import records, shards
from datagen.executors import local as executors
from datagen.records import Candidate, Chunk, Judgement
from datagen.run.paths import RunPaths

VECTOR = "question_vector"
NOT_NEEDED = ("rating_reason", "checks", "redundant", "alt_chunks")
JUDGED = pa.schema([f for f in records.schema(Judgement) if f.name not in NOT_NEEDED])
MADE = pa.schema([f for f in records.schema(Candidate) if f.name in ("qa_id", "question")])
COUNTED = pa.schema([f for f in records.schema(Chunk) if f.name in ("doc_id", "chunk_index", "n_tokens")])
Tables = Iterable[tuple[str, pa.Table, pa.Table]]  # of each shard: its name, the columns JUDGED and the columns MADE


@dataclass(frozen=True)
class Documents:
    """The chunks of the document number d are those from starts[d] to starts[d + 1] in `n_tokens`."""

    numbers: dict[str, int]  # by id
    starts: np.ndarray  # (n_documents + 1,) int64
    n_tokens: np.ndarray  # (n_chunks,) int32

    def chunks(self, number: int) -> np.ndarray:
        """(n,) the tokens of each chunk of document number `number`."""
        return self.n_tokens[self.starts[number] : self.starts[number + 1]]


@dataclass(frozen=True)
class Rows:
    """n judged candidates in the order of their ids: in whichever order they are read, they come out the same."""

    shards: list[str]  # the shard each is in
    qa_ids: list[str]
    doc_ids: list[str]
    clusters: np.ndarray  # (n,) int64: a number for each cluster
    documents: np.ndarray  # (n,) int64: the document's number in Documents
    figures: dict[str, np.ndarray]  # (n,) float32 by column; NaN where the judge did not look
    first: np.ndarray  # (n,) int64: the first chunk of the evidence
    last: np.ndarray
    questions: pa.Array  # (n,) strings
    vectors: np.ndarray  # (n, dim) float16

    def __len__(self) -> int:
        return len(self.qa_ids)

    @property
    def ratings(self) -> np.ndarray:
        """(n,) float32, 0 to 10."""
        return self.figures["rating"]


def read(run: RunPaths) -> tuple[Rows, Documents]:
    """What is needed of a run. Raises UserError if a shard cannot be read."""

    def table(stage: str, columns: list[str], name: str) -> pa.Table:
        return shards.read_table(run.shard(stage, name), columns)

    names = run.names("judge")
    documents = number(executors.threaded(partial(table, "chunk", COUNTED.names), names))
    judged = executors.threaded(partial(table, "judge", JUDGED.names), names)
    made = executors.threaded(partial(table, "generate", MADE.names), names)
    return gather(zip(names, judged, made, strict=True), documents), documents


def number(tables: Iterable[pa.Table]) -> Documents:
    """The documents of some shards, from the columns COUNTED of their chunks. No table is kept, nor what is in one: the
    column that names each chunk's document is the widest that is read of a run.
    """
    doc_ids: list[str] = []
    starts, n_tokens, n = [np.zeros(0, np.int64)], [np.zeros(0, np.int32)], 0
    for table in tables:
        first = np.flatnonzero(table["chunk_index"].to_numpy() == 0)
        doc_ids += table["doc_id"].take(first).to_pylist()
        starts.append(first + n)
        n_tokens.append(table["n_tokens"].to_numpy().copy())
        n += len(table)
    numbers = {doc_id: i for i, doc_id in enumerate(doc_ids)}
    return Documents(numbers, np.append(np.concatenate(starts), n), np.concatenate(n_tokens))


def gather(tables: Tables, documents: Documents) -> Rows:
    """The rows of some shards. Raises ValueError for a candidate without a question or evidence: `judge` keeps none."""
    judged, made = [JUDGED.empty_table().drop_columns(VECTOR)], [MADE.empty_table()]
    vectors, places = [], []
    for name, narrow, candidates in tables:
        if len(narrow):
            flat = narrow[VECTOR].combine_chunks().flatten().to_numpy(zero_copy_only=False)
            vectors.append(flat.reshape(len(narrow), -1))
            places += [name] * len(narrow)
            judged.append(narrow.drop_columns(VECTOR))
            made.append(candidates)
    table, candidates = pa.concat_tables(judged), pa.concat_tables(made)
    unordered = table["qa_id"].to_pylist()
    order = np.array(sorted(range(len(unordered)), key=unordered.__getitem__), np.int64)
    table = table.take(order)
    asked = pc.SetLookupOptions(candidates["qa_id"].combine_chunks())
    at = pc.call_function("index_in", [table["qa_id"].combine_chunks()], asked)
    evidence = table["ref_chunks"].combine_chunks()
    chunks, offsets = evidence.values.to_numpy().astype(np.int64), evidence.offsets.to_numpy()
    if at.null_count or (np.diff(offsets) == 0).any():
        raise ValueError("a judged candidate has no question, or no evidence")
    doc_ids = table["doc_id"].combine_chunks().dictionary_encode()
    known = doc_ids.dictionary.to_pylist()  # one string a document, not one a row
    return Rows(
        shards=[places[i] for i in order.tolist()],
        qa_ids=[unordered[i] for i in order.tolist()],
        doc_ids=[known[i] for i in doc_ids.indices.to_pylist()],
        clusters=codes(table["cluster_id"].combine_chunks()),
        documents=np.array([documents.numbers[doc_id] for doc_id in known], np.int64)[doc_ids.indices.to_numpy()],
        figures={name: table[name].to_numpy() for name in ("rating", *records.FIGURES)},
        first=chunks[offsets[:-1]],
        last=chunks[offsets[1:] - 1],
        questions=candidates["question"].take(at).combine_chunks(),
        vectors=_ordered(vectors, order),
    )


def _ordered(parts: list[np.ndarray], order: np.ndarray) -> np.ndarray:
    """The rows of all parts, the one number order[i] in place i. The parts are given up on the way: they are what takes
    most memory.
    """
    if not parts:
        return np.zeros((0, 1), np.float16)
    found, places, at = np.empty((len(order), parts[0].shape[1]), np.float16), np.argsort(order), 0
    parts.reverse()
    while parts:
        part = parts.pop()
        found[places[at : at + len(part)]] = part
        at += len(part)
    return found


def codes(strings: pa.Array) -> np.ndarray:
    """(n,) int64: equal numbers where the strings are equal."""
    return strings.dictionary_encode().indices.to_numpy().astype(np.int64)
