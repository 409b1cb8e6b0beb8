"""The task of fill-in questions: candidates without a model, and the rules that prove them."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Sequence
from functools import cache, partial

from datagen import prompts
from datagen.config.model import Config
from datagen.grounding.fences import Fenced
from datagen.llm.base import LLM, Conversation
from datagen.prompts import Prompt
from datagen.records import Candidate, Cluster, Dropped
from datagen.tasks.cloze import compose, rules
from datagen.tasks.cloze.document import DocumentIndex
from datagen.tasks.task import Made, Prover, Task


def make(texts: Sequence[str], clusters: Sequence[Cluster], config: Config, llm: LLM) -> list[Conversation[Made]]:
    """A conversation for each cluster, which asks nothing: the questions of a document are made with its first one."""
    plan = cache(partial(_questions, texts, clusters, config))  # kept while one of them still needs it
    return [_candidates(cluster, plan) for cluster in clusters]


def _questions(
    texts: Sequence[str], clusters: Sequence[Cluster], config: Config
) -> dict[str, list[compose.Cloze] | compose.Shortage]:
    settings = config.generate
    draws = {
        c.cluster_id: (
            c.chunk_indices,
            random.Random(hashlib.sha256(f"{config.seed}:{c.cluster_id}".encode()).digest()),
        )
        for c in clusters
    }
    wanted = compose.Wanted(settings.candidates, settings.min_evidence, settings.max_evidence)
    render = partial(render_question, load_prompts(config)["cloze"])
    return compose.questions(DocumentIndex.build(texts), draws, wanted, render)


async def _candidates(cluster: Cluster, plan: Callable[[], dict[str, list[compose.Cloze] | compose.Shortage]]) -> Made:
    made = plan()[cluster.cluster_id]
    if isinstance(made, compose.Shortage):
        return [Dropped("cluster", cluster.cluster_id, cluster.doc_id, "rejected", made.reason, made.detail)]
    return [
        Candidate(
            qa_id=f"{cluster.cluster_id}/q{i}",
            cluster_id=cluster.cluster_id,
            doc_id=cluster.doc_id,
            sample=i,
            generator="extractive",
            question_type="cloze",
            question=c.question,
            answer=c.answer,
            ref_chunks=c.ref_chunks,
            terms=c.terms,
            quotes=c.quotes,
            quote_chunks=c.quote_chunks,
        )
        for i, c in enumerate(made)
    ]


def prove(texts: Sequence[str], config: Config) -> Prover:
    """The rules, on one document."""
    index = cache(partial(DocumentIndex.build, texts))
    limits = rules.Limits(
        min_evidence=config.generate.min_evidence,
        max_question_chars=config.judge.max_question_chars,
        max_answer_chars=config.judge.max_answer_chars,
    )
    return lambda candidate: rules.check(candidate, index(), limits)


def render_question(prompt: Prompt, sentences: Sequence[str]) -> str:
    """The fill-in question around the numbered sentences, by a prompt such as prompts/cloze.md.

    It is no prompt yet: the sentences stand in it as they are in the document.
    """
    return prompts.render(prompt, n=len(sentences), sentences=Fenced(compose.numbered(sentences)))


def load_prompts(config: Config) -> dict[str, Prompt]:
    """What is around the sentences of a question."""
    return {"cloze": prompts.load(config.generate.cloze_prompt)}


TASK = Task("cloze", make, prove, prompts=load_prompts, version=4, libraries=("icu4py", "wordfreq"))
