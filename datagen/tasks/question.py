"""generate by a language model: each candidate is a conversation of its own.

Source: LongRLVR (arXiv 2603.02146), data synthesis: one question over several chunks of a cluster, a short verifiable
answer, the evidence named, leave to skip. Departures: kinds of questions are drawn, so that candidates of a cluster
differ; the facts are written down with their passages before the question, so that it is made of several; the reply is
checked strictly, wording and all, and asked for again with the fault named.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Sequence
from typing import Any, get_args

from datagen import prompts
from datagen.config.llm import EngineConfig
from datagen.config.model import Config, engine_of
from datagen.config.questions import QuestionType
from datagen.grounding import fences, tags, verify
from datagen.llm import objects, parsing
from datagen.llm.base import LLM, Conversation, Request
from datagen.llm.objects import ParseError
from datagen.llm.parsing import Unfit
from datagen.prompts import Prompt
from datagen.records import Candidate, Cluster, Dropped
from datagen.tasks.task import Made, Task
from datagen.text import wording

KEYS = {"question", "answer", "evidence"}
QUESTION_TYPES: dict[str, str] = {
    "multi-hop": "multi-hop. One passage leads to something (a person, a thing, a term) that another one tells more "
    "about; the answer is found at the end of that chain.",
    "comparison": "comparison. Two or more things that different passages describe are compared in one respect that "
    "the passages settle.",
    "aggregation": "aggregation. Facts scattered over the passages are put together into one short result, such as a "
    "list of a few names or a sum.",
    "temporal": "order in time. When something happens, or what comes before or after what, follows only from several "
    "passages together.",
    "cause": "cause. Something in one passage is the reason for something in another; the question asks for the one or "
    "the other.",
    "counting": "counting. How many things of one kind the passages mention or imply, which are spread over them.",
}
SKIPPED = "skipped by the model"
FEW = 4  # words: a shorter question may stand in a prompt by chance
_NUMBERED = re.compile(r"\b(?:chunk|passage)s?[\s_#]*\d", re.IGNORECASE)
assert QUESTION_TYPES.keys() == set(get_args(QuestionType))


def make(texts: Sequence[str], clusters: Sequence[Cluster], config: Config, llm: LLM) -> list[Conversation[Made]]:
    """One conversation for each sample of each cluster."""
    prompt = prompts.load(config.generate.prompt)
    return [
        _write(llm, prompt, cluster, sample, texts, config)
        for cluster in clusters
        for sample in range(per_cluster(config))
    ]


def request(prompt: Prompt, cluster: Cluster, sample: int, texts: Sequence[str], config: Config) -> tuple[Request, str]:
    """The request for a candidate, and the kind of question it asks for."""
    settings, n = config.generate, len(cluster.chunk_indices)
    most = min(settings.max_evidence, n)
    kind = question_type(cluster.cluster_id, sample, config)
    content = prompts.render(
        prompt,
        passages=tags.render_context([texts[i] for i in cluster.chunk_indices]),
        question_type=QUESTION_TYPES[kind],
        min_evidence=settings.min_evidence,
        max_evidence=most,
        last=n - 1,
    )
    messages = [{"role": "user", "content": content}]
    model = engine_of(config, "generate").model or ""
    return Request(model, messages, settings.sampling.sent(), schema(n, most), sample, cluster.cluster_id), kind


def question_type(cluster_id: str, sample: int, config: Config) -> str:
    """A seeded draw without repeats, as long as there are kinds left: the candidates of a cluster differ."""
    kinds = list(config.generate.question_types)
    random.Random(hashlib.sha256(f"{config.seed}:{cluster_id}:kinds".encode()).digest()).shuffle(kinds)
    return kinds[sample % len(kinds)]


def schema(n: int, max_evidence: int) -> dict[str, Any]:
    """Of the reply about `n` passages. A skip has no evidence, so the fewest can't be asked for here."""
    text = {"type": "string"}
    fact = {
        "type": "object",
        "properties": {"passage": {"type": "integer", "enum": list(range(n))}, "says": text},
        "required": ["passage", "says"],
        "additionalProperties": False,
    }
    evidence = {"type": "array", "items": fact, "maxItems": max_evidence}
    properties = {"skip": {"type": "boolean"}, "evidence": evidence, "question": text, "answer": text}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


async def _write(llm: LLM, prompt: Prompt, cluster: Cluster, sample: int, texts: Sequence[str], config: Config) -> Made:
    qa_id = f"{cluster.cluster_id}/q{sample}"
    asked, kind = request(prompt, cluster, sample, texts, config)
    passages = [texts[i] for i in cluster.chunk_indices]

    def usable(text: str) -> tuple[str, str, list[int]] | None:
        found = read(text, len(passages), config.generate.min_evidence, config.generate.max_evidence)
        if found and _stands_in(prompt, found[0]):
            raise Unfit("copied from the prompt", "the question is one of the examples, and not about these passages")
        if found and (wrong := wording.flaw(*found, range(len(passages)), passages, config)):
            raise Unfit(*wrong)
        return found

    try:
        made = await parsing.ask(llm, asked, usable, config.generate.max_parse_retries)
    except parsing.NoReply as e:
        return [Dropped("candidate", qa_id, cluster.doc_id, "failed", e.reason, e.detail)]
    except Unfit as e:
        return [Dropped("candidate", qa_id, cluster.doc_id, "rejected", e.reason, str(e))]
    if made is None:
        return [Dropped("candidate", qa_id, cluster.doc_id, "rejected", SKIPPED, f"asked for: {kind}")]
    question, answer, evidence = made
    candidate = Candidate(
        qa_id=qa_id,
        cluster_id=cluster.cluster_id,
        doc_id=cluster.doc_id,
        sample=sample,
        generator=asked.model,
        question_type=kind,
        question=question,
        answer=answer,
        ref_chunks=sorted(cluster.chunk_indices[i] for i in evidence),  # from the cluster's numbering to the document's
        terms=[],
        quotes=[],
        quote_chunks=[],
    )
    return [candidate]


def read(text: str, n: int, min_evidence: int, max_evidence: int) -> tuple[str, str, list[int]] | None:
    """(question, answer, evidence as numbers of the `n` passages shown); None: the model skips.

    Evidence is facts with their passages, or the numbers alone. Raises ParseError; Unfit where it is too little or too
    much, or a passage is called by its number.
    """
    reply = objects.read_object(text, KEYS if '"skip"' not in text else {"skip"})
    if reply.get("skip") is True:
        return None
    question, answer = _text(reply, "question"), _text(reply, "answer")
    evidence: Any = reply.get("evidence")
    if not isinstance(evidence, list):
        evidence = [None]
    cited: list[Any] = [fact.get("passage") if isinstance(fact, dict) else fact for fact in evidence]
    if not all(type(i) is int for i in cited):
        raise ParseError("unusable evidence", '"evidence" must be a list of facts, each with the number of its passage')
    if outside := [i for i in cited if not 0 <= i < n]:
        raise ParseError("unusable evidence", f"there is no passage {outside[0]}: they are numbered from 0 to {n - 1}")
    if len(set(cited)) < min_evidence:
        raise Unfit("too little evidence", f"a question must need at least {min_evidence} different passages")
    if len(set(cited)) > max_evidence:
        raise Unfit("too much evidence", f"a question must need at most {max_evidence} different passages")
    if _NUMBERED.search(question) or _NUMBERED.search(answer):
        raise Unfit("names a chunk", "neither question nor answer may name a passage by its number")
    return question, answer, sorted(set(cited))


def _stands_in(prompt: Prompt, question: str) -> bool:
    """Whether a question is an example of the prompt's own."""
    asked = verify.words(question)
    return len(asked) >= FEW and any(
        f" {' '.join(asked)} " in f" {' '.join(verify.words(text))} " for text in prompt.literals
    )


def _text(reply: dict[str, Any], key: str) -> str:
    value = reply.get(key)
    if not isinstance(value, str) or not value.strip():
        raise ParseError(f"no {key}", f'"{key}" must be a text that is not empty')
    return " ".join(fences.restore(value).split())  # as the document has it: a model quotes what it was shown


def per_cluster(config: Config) -> int:
    """The candidates that are asked for."""
    return config.generate.candidates


def models(config: Config) -> list[EngineConfig]:
    """The model that writes the questions."""
    return [engine_of(config, "generate")]


def load_prompts(config: Config) -> dict[str, Prompt]:
    """What the model is asked by, and asked again by."""
    return {"generate": prompts.load(config.generate.prompt), "again": prompts.load("again")}


TASK = Task(
    "question",
    make,
    prompts=load_prompts,
    models=models,
    per_cluster=per_cluster,
    shows=lambda config, sizes: sizes.cluster,
    version=3,
)
