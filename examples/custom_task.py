"""A kind of question of one's own: in which passages does a name stand? Counted, so that it needs no model.

In a configuration: `generate: {method: "custom_task:TASK"}`, with this folder on PYTHONPATH. Where `judge.method` is
`rules`, each one is counted again.
"""

import re
from collections.abc import Sequence

from datagen.config.model import Config
from datagen.llm.base import LLM, Conversation
from datagen.records import Candidate, Cluster, Dropped
from datagen.tasks.task import Made, Prover, Task, Verdict


def holders(name: str, texts: Sequence[str]) -> list[int]:
    """The chunks in which a name stands, ascending."""
    return [i for i, text in enumerate(texts) if re.search(rf"\b{name}\b", text)]


def make(texts: Sequence[str], clusters: Sequence[Cluster], config: Config, llm: LLM) -> list[Conversation[Made]]:
    """A conversation for each cluster, which asks `llm` nothing."""
    return [candidates(texts, cluster, config) for cluster in clusters]


async def candidates(texts: Sequence[str], cluster: Cluster, config: Config) -> Made:
    """Questions about names that all stand in chunks of the cluster, or why there are none."""
    wanted, made = config.generate, []
    for name in sorted({word for i in cluster.chunk_indices for word in re.findall(r"\b[A-Z][a-z]{4,}\b", texts[i])}):
        chunks = holders(name, texts)
        if wanted.min_evidence <= len(chunks) <= wanted.max_evidence and {*chunks} <= {*cluster.chunk_indices}:
            made.append(
                Candidate(
                    qa_id=f"{cluster.cluster_id}/q{len(made)}",
                    cluster_id=cluster.cluster_id,
                    doc_id=cluster.doc_id,
                    sample=len(made),
                    generator="custom_task",
                    question_type="counting",
                    question=f"How many of the passages name “{name}”?",
                    answer=str(len(chunks)),
                    ref_chunks=chunks,
                    terms=[name],
                    quotes=[],
                    quote_chunks=[],
                )
            )
    none = Dropped("cluster", cluster.cluster_id, cluster.doc_id, "rejected", "no name in a few passages", "")
    return [*made[: wanted.candidates]] or [none]


def prove(texts: Sequence[str], config: Config) -> Prover:
    """Count again, in the document that the candidate is about."""

    def proven(candidate: Candidate) -> Verdict:
        chunks = holders(candidate.terms[0], texts)
        if chunks != candidate.ref_chunks or candidate.answer != str(len(chunks)):
            return Verdict(0.0, (), "counted wrong", f"it stands in chunks {chunks}")
        return Verdict(10.0, ("counted",))

    return proven


TASK = Task("names", make, prove)
