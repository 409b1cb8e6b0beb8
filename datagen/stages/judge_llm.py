"""judge by a language model: a rating from 0 to 10 for each candidate.

Source: LongRLVR (arXiv 2603.02146), the five weighted criteria. Departure: a reply without a rating is asked for again
and then fails the candidate; it is never read from the first number that stands there.
"""

from __future__ import annotations

from typing import Any

from datagen import prompts, tags
from datagen.config import Config, engine_of
from datagen.engines import readers
from datagen.engines.base import Conversation, Request
from datagen.records import Candidate, Cluster, Dropped
from datagen.stage import Shard

QUALITY = "quality"
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {"reason": {"type": "string"}, "rating": {"type": "number", "minimum": 0, "maximum": 10}},
    "required": ["reason", "rating"],
    "additionalProperties": False,
}


def talk(shard: Shard) -> list[Conversation]:
    """One conversation for each candidate; it ends with a rating, or a Dropped."""
    texts = shard.texts()
    clusters = {c.cluster_id: c for c in shard.rows("cluster", Cluster)}
    return [
        _rate(candidate, clusters[candidate.cluster_id], texts[candidate.doc_id], shard.config)
        for candidate in shard.rows("generate", Candidate)
    ]


def request(candidate: Candidate, cluster: Cluster, texts: list[str], config: Config) -> Request:
    local = {chunk: i for i, chunk in enumerate(cluster.chunk_indices)}
    content = prompts.render(
        prompts.load(config.judge.prompt),
        passages=tags.render_context([texts[i] for i in cluster.chunk_indices]),
        question=candidate.question,
        answer=candidate.answer,
        evidence=", ".join(str(local[i]) for i in candidate.ref_chunks),
    )
    messages = [{"role": "user", "content": content}]
    model = engine_of(config, "judge").model or ""
    return Request(model, messages, config.judge.sampling.sent(), SCHEMA, group=cluster.cluster_id)


def _rate(
    candidate: Candidate, cluster: Cluster, texts: list[str], config: Config
) -> Conversation[tuple[Candidate, float] | Dropped]:
    settings = config.judge
    limits = {"question": settings.max_question_chars, "answer": settings.max_answer_chars}
    for name, limit in limits.items():
        if (length := len(getattr(candidate, name))) > limit:
            detail = f"{name} of {length} characters, judge.max_{name}_chars is {limit}"
            return Dropped("candidate", candidate.qa_id, candidate.doc_id, "rejected", "too long or too short", detail)
    try:
        rating = yield from readers.ask(
            request(candidate, cluster, texts, config),
            lambda text: readers.read_rating(text, {"rating"}),
            settings.max_rereads,
        )
    except readers.Gone as e:
        return Dropped("candidate", candidate.qa_id, candidate.doc_id, "failed", e.reason, e.detail)
    return candidate, rating
