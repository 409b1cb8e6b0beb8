"""The reward as each trainer calls it. A failed judgement does what keeps its sample out of the update there."""

import asyncio
import json
import math
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from datagen.export.shipped.baked import VERIFIER
from datagen.export.shipped.judging import JudgeFailed, judge_settings, judged
from datagen.grounding.fences import neutralise
from datagen.grounding.rewards import context_reward
from datagen.grounding.tags import read_response
from datagen.grounding.verify import VERIFIERS, verdict

Verify = Callable[[str, str], "float | bool | None"]
AT_ONCE = 32  # judgements asked for at the same time

if VERIFIER == "llm":
    judge_settings()  # raises now where they are missing, and not once the model was loaded and has answered


def exact_metric(verify: Verify, expected: str, given: str) -> "float | bool | None":
    """The share of an answer that is right: all of it, or what the verifier makes of it."""
    return verify(expected, given)


METRICS = {"exact": exact_metric}


def reward(
    response: str,
    ref_chunks: Iterable[int],
    ground_truth: str,
    *,
    verifier: str = VERIFIER,
    metric: str = "exact",
    eta: float = 0.1,
    beta: float = 2.0,
    question: str = "",
) -> dict[str, float]:
    """The reward of a response: `score` from 0 to 2, and what it is made of, `answer`, `precision`, `recall`, `fbeta`.

    Args:
        response: the model's whole text, its thinking included.
        ref_chunks: the ids of the evidence, as the prompt numbers them.
        ground_truth: the reference answer.
        verifier: exact, contains, f1, or llm, which asks a model where strings cannot tell.
        metric: how an answer is scored by the verifier; a name in METRICS.
        eta: the weight of evidence without a right answer, 0 to 1.
        beta: of F-beta; above 1, recall counts more than precision.
        question: what was asked; a model that judges is shown it.

    Raises JudgeFailed where the model gave no verdict, ValueError and TypeError for arguments that are none of these.
    """
    known = [*VERIFIERS, "llm"]
    if verifier not in known or metric not in METRICS:
        raise ValueError(f"verifier must be one of {', '.join(known)}, and metric of {', '.join(METRICS)}")
    for name, text in (("response", response), ("reference answer", ground_truth)):
        if not isinstance(text, str):
            raise TypeError(f"the {name} must be a string, got {text!r}")

    def by_model(expected: str, given: str) -> bool:
        found = verdict(expected, given)
        return judged(question, expected, given) if found is None else found

    reading = read_response(response)
    verify = by_model if verifier == "llm" else VERIFIERS[verifier]
    answer: float | bool | None = 0  # of a response that cannot be read
    if reading.parsed and reading.answer is not None:
        answer = METRICS[metric](verify, ground_truth, reading.answer)
    found = context_reward(response, ref_chunks, answer, eta=eta, beta=beta)
    if found is None:
        raise JudgeFailed(f"the verifier {verifier!r} cannot tell whether {reading.answer!r} is {ground_truth!r}")
    return {
        "score": found.total,
        "answer": found.answer,
        "precision": found.precision,
        "recall": found.recall,
        "fbeta": found.fbeta,
    }


def compute_score(data_source: str, solution_str: str, ground_truth: str, extra_info: Any, **settings: Any):
    """verl: a dict with `score`. Raises where the judge failed, which leaves that sample out."""
    for name in ("reward_router_address", "reward_model_tokenizer"):  # of a reward model that verl itself would serve
        settings.pop(name, None)
    question = extra_info.get("question") or ""
    return reward(solution_str, extra_info["ref_chunks"], ground_truth, question=question, **settings)


def trl_reward(
    prompts: list, completions: list, reward_model: list, extra_info: list, **columns: Any
) -> "list[float | None]":
    """TRL: a number a completion, None where the judge failed, which leaves that sample out."""

    def one(case: tuple) -> "float | None":
        completion, truth, info = case
        try:
            found = reward(
                text_of(completion), info["ref_chunks"], truth["ground_truth"], question=info.get("question") or ""
            )
        except JudgeFailed as e:
            print(f"no reward: {e}", flush=True)
            return None
        return found["score"]

    cases = list(zip(completions, reward_model, extra_info, strict=True))
    with ThreadPoolExecutor(AT_ONCE if VERIFIER == "llm" else 1) as pool:
        return list(pool.map(one, cases))


def text_of(completion: Any) -> str:
    """The whole text of a completion, a string or messages, with the thinking that a server has split off."""
    if isinstance(completion, str):
        return completion
    parts = []
    for message in completion:
        thought = message.get("reasoning_content") or message.get("reasoning") or ""
        parts += [f"<think>\n{thought}\n</think>\n"] if thought else []
        said = message.get("content") or ""
        parts += [said] if isinstance(said, str) else [part.get("text") or "" for part in said]
    return "".join(parts)


def reward_func(queries: list, prompts: list, labels: list) -> dict[str, Any]:
    """OpenRLHF, which asks for one response at a time: `scores` is the share of the highest reward, by which groups
    without a signal are left out. NaN where the judge failed, which leaves its group out.
    """
    if len(queries) != 1:
        raise ValueError(f"OpenRLHF asks for one reward at a time, not {len(queries)}")
    info = labels[0]
    try:
        response = response_of(queries[0], prompts[0])
        found = reward(response, info["ref_chunks"], info["answer"], question=info.get("question") or "")
    except JudgeFailed as e:
        print(f"no reward: {e}", flush=True)
        return {"rewards": math.nan, "scores": math.nan, "extra_logs": {}}
    logs = {name: found[name] for name in ("answer", "precision", "recall", "fbeta")}
    return {"rewards": found["score"], "scores": found["score"] / 2, "extra_logs": logs}


def response_of(query: str, prompt: str) -> str:
    """What follows the prompt in a query: the prompt quotes the tags of a response. Raises ValueError where the prompt
    is not in it, since it was cut.
    """
    if query.startswith(prompt):
        return query[len(prompt) :]
    end = prompt[-200:]  # a tokenizer may change white space on the way
    ends, at = [], query.find(end)
    while at >= 0:  # a document or a response may quote it
        ends.append(at + len(end))
        at = query.find(end, at + 1)
    if not ends:
        raise ValueError("the query does not hold the end of its prompt: nothing tells where the response begins")
    return query[min(ends, key=lambda at: abs(at - len(prompt))) :]


async def custom_rm(args: Any, sample: Any, **_: Any) -> dict[str, float]:
    """slime: a dict, of which `--reward-key score` is the reward; NaN where the judge failed, and `keep_group` leaves
    its group out.
    """
    info = sample.metadata
    truth = sample.label["ground_truth"] if isinstance(sample.label, Mapping) else sample.label
    try:
        question = info.get("question") or ""
        return await asyncio.to_thread(reward, sample.response, info["ref_chunks"], truth, question=question)
    except JudgeFailed as e:
        print(f"no reward: {e}", flush=True)
        return dict.fromkeys(("score", "answer", "precision", "recall", "fbeta"), math.nan)


def keep_group(args: Any, samples: list, **_: Any) -> bool:
    """slime's dynamic sampling: whether a group's rewards are all known, and not all the same."""
    scores = [sample.reward["score"] for sample in samples]
    return not any(map(math.isnan, scores)) and max(scores) - min(scores) > 1e-6


def check_cases(row: Mapping[str, Any], file: str = "") -> list[dict[str, Any]]:
    """Cases for a check that a trainer calls this file as it should: `response`, `ref_chunks`, `ground_truth`, and the
    `score` that is right. Those of a file of JSON lines, else responses to a row of the dataset.
    """
    if file:
        with open(file, encoding="utf-8") as lines:
            return [json.loads(line) for line in lines]
    truth, refs = row["reward_model"]["ground_truth"], sorted({int(i) for i in row["extra_info"]["ref_chunks"]})
    p, r = 1 / 2, 1 / len(refs)

    def said(ids: list[int], answer: str) -> str:
        cited = " ".join(f"<CHUNK_{i}>" for i in ids)
        tags = f"<useful_chunks>{cited}</useful_chunks>\n<answer>{neutralise(answer)}</answer>"
        return f"<think>\nBoth say so.\n</think>\n{tags}"

    cases = [
        (said(refs, truth), 2.0),
        (said([], truth), 1.0),
        (said([refs[0], max(refs) + 1], truth), 1 + 5 * p * r / (4 * p + r)),
        (f"The answer is {neutralise(truth)}.", 0.0),
        (said(refs, truth) + "<answer>another</answer>", 0.0),
    ]
    if VERIFIER != "llm":  # a model would be asked
        cases.append((said(refs, "qzx qzy"), 0.1))
    return [{"response": text, "ref_chunks": refs, "ground_truth": truth, "score": score} for text, score in cases]


def check(trainer: str, cases: list[dict[str, Any]], found: Iterable[float]) -> None:
    """Say whether a trainer's rewards of some cases are right. Raises SystemExit where one is not."""
    wrong = 0
    for i, (case, score) in enumerate(zip(cases, found, strict=True)):
        is_wrong = not math.isclose(score, case["score"], abs_tol=1e-6)
        wrong += is_wrong
        if is_wrong or i < 6:
            print(f"{score:.4f} for {case['score']:.4f}: {case['response']!r:.100}")
    if wrong:
        raise SystemExit(f"{trainer}: {wrong} of {len(cases)} rewards are not as they should be")
    print(f"{trainer}: all {len(cases)} rewards are right")
