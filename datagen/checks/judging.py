"""judge by a language model: a candidate goes through checks, the cheap ones first; what fails one goes no further.

Source of `quality`: LongRLVR (arXiv 2603.02146), a rating by five weighted criteria; the published procedure trusts it
and the generator's own list of evidence. The other checks are ours. They do not ask a model for an opinion of a label:
they have the question answered, with some chunks in view and others not, and compare the answers.

- closed_book    answered without the document: too easy
- sufficiency    the cited chunks alone give the answer
- necessity      without one of them they do not; a chunk that is not missed is no evidence
- completeness   with other chunks in place of one of them they do not, either; beside them these change nothing
- policy         how often the model to be trained is right, with the whole document in view

A candidate is one conversation: it ends with Findings, or with a Dropped that says why.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from typing import Any, get_args

from datagen import prompts
from datagen.checks import lint as judge_lint
from datagen.checks.neighbours import Neighbours
from datagen.config.llm import SamplingConfig
from datagen.config.model import Config, engine_of
from datagen.config.questions import Check
from datagen.errors import ConfigError
from datagen.grounding import tags, verify
from datagen.llm import parsing as readers
from datagen.llm.base import Completion, Conversation, Request
from datagen.prompts import Prompt
from datagen.records import Candidate, Cluster, Dropped
from datagen.run.shard import Shard

GRADE = "grade"
PROMPTS = (*(check for check in get_args(Check) if check not in ("lint", "policy")), GRADE)
SAMPLED = 1.0  # the temperature where several answers to the same are wanted, as in rollouts
RATING: dict[str, Any] = {
    "type": "object",
    "properties": {"reason": {"type": "string"}, "rating": {"type": "number", "minimum": 0, "maximum": 10}},
    "required": ["reason", "rating"],
    "additionalProperties": False,
}
GUESS: dict[str, Any] = {
    "type": "object",
    "properties": {"answerable": {"type": "boolean"}, "answer": {"type": "string"}},
    "required": ["answerable", "answer"],
    "additionalProperties": False,
}
ANSWER: dict[str, Any] = {
    "type": "object",
    "properties": {"reason": {"type": "string"}, **GUESS["properties"]},
    "required": ["reason", "answerable", "answer"],
    "additionalProperties": False,
}


@dataclass
class Findings:
    """What the checks found so far."""

    candidate: Candidate
    ref_chunks: list[int]
    rating: float = 0.0
    rating_reason: str = ""
    checks: list[str] = field(default_factory=list)
    redundant: list[int] = field(default_factory=list)
    alt_chunks: list[int] = field(default_factory=list)
    closed_book: float | None = None
    sufficiency: float | None = None
    pass_rate: float | None = None


@dataclass(frozen=True)
class Case:
    """A candidate and what it is judged by. `texts` are all chunks of its document."""

    candidate: Candidate
    cluster: Cluster
    texts: list[str]
    neighbours: Neighbours
    config: Config
    prompts: dict[str, Prompt]


class Rejected(Exception):
    """A check that the candidate did not pass: (reason, detail)."""


Judging = Generator[Request, Completion, None]


def talk(shard: Shard) -> list[Conversation]:
    """One conversation for each candidate."""
    texts = shard.texts()
    clusters = {c.cluster_id: c for c in shard.rows("cluster", Cluster)}
    candidates: list[Candidate] = shard.rows("generate", Candidate)
    neighbours, loaded = Neighbours(shard, candidates, texts), load_prompts(shard.config)
    return [
        _judge(Case(c, clusters[c.cluster_id], texts[c.doc_id], neighbours, shard.config, loaded)) for c in candidates
    ]


def load_prompts(config: Config) -> dict[str, Prompt]:
    """By check, and for grading. Raises ConfigError for a name that is no check."""
    if unknown := config.judge.prompts.keys() - set(PROMPTS):
        raise ConfigError(f"judge.prompts: {sorted(unknown)[0]!r} has no prompt; those that do: {', '.join(PROMPTS)}")
    return {name: prompts.load(config.judge.prompts.get(name, f"judge-{name}")) for name in PROMPTS}


def _judge(case: Case) -> Conversation[Findings | Dropped]:
    candidate = case.candidate
    found = Findings(candidate, list(candidate.ref_chunks))
    try:
        for check, run in CHECKS.items():
            if check in case.config.judge.checks:
                yield from run(case, found)
                found.checks.append(check)
    except Rejected as e:
        return Dropped("candidate", candidate.qa_id, candidate.doc_id, "rejected", *e.args)
    except readers.Gone as e:
        return Dropped("candidate", candidate.qa_id, candidate.doc_id, "failed", e.reason, e.detail)
    return found


def _lint(case: Case, found: Findings) -> Judging:
    if problem := judge_lint.problem(case.candidate, case.cluster.chunk_indices, case.texts, case.config):
        raise Rejected(*problem)
    yield from ()


def _quality(case: Case, found: Findings) -> Judging:
    local = {chunk: i for i, chunk in enumerate(case.cluster.chunk_indices)}
    request = _request(
        case,
        "quality",
        RATING,
        passages=_passages(case, case.cluster.chunk_indices),
        question=_plain(case.candidate.question),
        answer=_plain(case.candidate.answer),
        evidence=", ".join(str(local[i]) for i in case.candidate.ref_chunks),
    )
    settings = case.config.judge
    found.rating, found.rating_reason = yield from readers.ask(request, readers.read_rating, settings.max_parse_retries)
    if found.rating < settings.min_rating:
        detail = f"rated {found.rating:g}, judge.min_rating is {settings.min_rating:g}"
        raise Rejected("rated too low", f"{detail}. {found.rating_reason}".strip())


def _closed_book(case: Case, found: Findings) -> Judging:
    n, right = case.config.judge.closed_book_samples, 0
    for sample in range(n):
        request = _request(case, "closed_book", GUESS, sample, n, question=_plain(case.candidate.question))
        right += yield from _is_right(case, request)
    found.closed_book = right / n
    if right == n:
        raise Rejected("answered without the document", f"{right} of {n} times")


def _sufficiency(case: Case, found: Findings) -> Judging:
    answer = yield from _answer(case, _from_chunks(case, "sufficiency", found.ref_chunks))
    if answer is None:
        raise Rejected("evidence does not suffice", f"chunks {_list(found.ref_chunks)} do not give an answer")
    if not (yield from _grade(case, answer)):
        raise Rejected("another answer follows", f"chunks {_list(found.ref_chunks)} give {answer!r}")
    found.sufficiency = 1.0


def _necessity(case: Case, found: Findings) -> Judging:
    """Leave one out, and go on without it if the answer stays the same: what is left in the end is all needed."""
    for chunk in case.candidate.ref_chunks:
        rest = [i for i in found.ref_chunks if i != chunk]
        if rest and (yield from _is_right(case, _from_chunks(case, "necessity", rest))):
            found.ref_chunks = rest
            found.redundant.append(chunk)
    least = case.config.generate.min_evidence
    if len(found.ref_chunks) < least:
        detail = f"chunks {_list(found.ref_chunks)} give the answer, generate.min_evidence is {least}"
        raise Rejected("fewer chunks are enough", detail)
    if found.redundant and "sufficiency" in case.config.judge.checks:
        yield from _sufficiency(case, found)


def _completeness(case: Case, found: Findings) -> Judging:
    """Bring the nearest other chunks into view. Beside the evidence they must not change the answer, or the question
    fits two things; in place of one of its chunks they must not give it, or the label is one of several.
    """
    settings = case.config.judge
    near = {
        chunk: case.neighbours.of(case.candidate, chunk, found.ref_chunks, settings.neighbours)
        for chunk in found.ref_chunks
    }
    around = sorted({other for others in near.values() for other in others})
    if around and not (yield from _is_right(case, _from_chunks(case, "completeness", [*found.ref_chunks, *around]))):
        raise Rejected("another answer among other chunks", f"with {_list(around)} in view")
    for chunk, others in near.items():
        rest = [i for i in found.ref_chunks if i != chunk]
        if not others or not (yield from _is_right(case, _from_chunks(case, "completeness", [*rest, *others]))):
            continue
        if settings.alternatives == "reject":
            raise Rejected("other chunks are as good", f"one of {_list(others)} in place of {chunk}")
        alone = []
        for other in others:
            if (yield from _is_right(case, _from_chunks(case, "completeness", [*rest, other]))):
                alone.append(other)
        found.alt_chunks = sorted({*found.alt_chunks, *(alone or others)})


def _policy(case: Case, found: Findings) -> Judging:
    settings, right = case.config.judge, 0
    engine = settings.policy_engine or engine_of(case.config, "judge")
    content = prompts.render(
        prompts.load_task(case.config.dataset.prompt),
        context=tags.render_context(case.texts),
        question=tags.neutralise(case.candidate.question),
    )
    messages = [{"role": "user", "content": content}]
    sampling = _sampled(settings.sampling, settings.policy_samples)
    for sample in range(settings.policy_samples):
        request = Request(
            engine.model or "", messages, sampling, sample=sample, group=case.candidate.doc_id, check="policy"
        )
        completion = yield request
        if completion.error:
            raise readers.Gone(completion.error, completion.detail)
        answer = tags.read_response(completion.text or "").answer  # none in the form asked for: not right
        right += bool(answer) and (yield from _grade(case, answer or ""))
    found.pass_rate = right / settings.policy_samples


CHECKS: dict[str, Callable[[Case, Findings], Judging]] = {
    "lint": _lint,
    "quality": _quality,
    "closed_book": _closed_book,
    "sufficiency": _sufficiency,
    "necessity": _necessity,
    "completeness": _completeness,
    "policy": _policy,
}


def _is_right(case: Case, request: Request) -> Generator[Request, Completion, bool]:
    answer = yield from _answer(case, request)
    return answer is not None and (yield from _grade(case, answer))


def _answer(case: Case, request: Request) -> Generator[Request, Completion, str | None]:
    """The answer to the question, or None: it can't be answered from what the request shows."""
    return (yield from readers.ask(request, readers.read_answer, case.config.judge.max_parse_retries))


def _grade(case: Case, answer: str) -> Generator[Request, Completion, bool]:
    """Whether an answer says the same as the candidate's: the strings decide, and a model where they can't."""
    said = verify.verdict(case.candidate.answer, answer)
    if said is not None:
        return said
    request = _request(
        case,
        GRADE,
        None,
        question=_plain(case.candidate.question),
        answer=_plain(case.candidate.answer),
        given=_plain(answer),
    )
    return (yield from readers.ask(request, readers.read_verdict, case.config.judge.max_parse_retries))


def _from_chunks(case: Case, check: str, chunks: Iterable[int]) -> Request:
    """A request to answer from these chunks, shown in the order of the document."""
    passages = _passages(case, sorted(chunks))
    return _request(case, check, ANSWER, passages=passages, question=_plain(case.candidate.question))


def _request(
    case: Case, check: str, schema: dict[str, Any] | None, sample: int = 0, samples: int = 1, **values: str
) -> Request:
    messages = [{"role": "user", "content": prompts.render(case.prompts[check], **values)}]
    sampling = _sampled(case.config.judge.sampling, samples)
    model = engine_of(case.config, "judge").model or ""
    return Request(model, messages, sampling, schema, sample, case.cluster.cluster_id, check)


def _sampled(sampling: SamplingConfig, n: int) -> dict[str, Any]:
    """Several answers are drawn at a temperature; where none is to be sent, none is."""
    sent = sampling.sent()
    return sent | {"temperature": SAMPLED} if n > 1 and sent.get("temperature") == 0 else sent


def _passages(case: Case, chunks: Iterable[int]) -> str:
    return tags.render_context([_plain(case.texts[i]) for i in chunks])


def _plain(text: str) -> str:
    """Text as it may stand in a prompt: what looks like a verdict, [[10]] or [[Yes]], is parted, so that a reply that
    holds one does not quote it.
    """
    return text.replace("[[", "[ [").replace("]]", "] ]")


def _list(chunks: Iterable[int]) -> str:
    return ", ".join(map(str, chunks))
