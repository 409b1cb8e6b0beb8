"""policy: how often the model to be trained is right, with the whole document in view. Rejects nothing itself."""

from __future__ import annotations

from datagen import prompts
from datagen.checks.asking import grade, sampled
from datagen.checks.check import Case, Check, Figure, Findings
from datagen.config.llm import EngineConfig
from datagen.config.model import Config, engine_of
from datagen.grounding import tags
from datagen.llm import parsing
from datagen.llm.base import Request
from datagen.prompts import Prompt
from datagen.selection.limit import Limit


async def run(case: Case, found: Findings) -> None:
    """Sample `judge.policy_samples` responses, by the prompt of the dataset."""
    settings, right = case.config.judge, 0
    model = (policy_engine(case.config) or engine_of(case.config, "judge")).model or ""
    content = prompts.render(
        task_prompt(case.config),
        context=tags.render_context(case.texts),
        question=case.candidate.question,
    )
    messages = [{"role": "user", "content": content}]
    sampling = sampled(settings.sampling, settings.policy_samples)
    for sample in range(settings.policy_samples):
        asked = Request(model, messages, sampling, sample=sample, group=case.candidate.doc_id, check="policy")
        completion = await case.llm.complete(asked)
        if completion.error:
            raise parsing.NoReply(completion.error, completion.detail)
        answer = tags.read_response(completion.text or "").answer  # none in the form asked for: not right
        right += bool(answer) and (await grade(case, answer or ""))
    found.figures["pass_rate"] = right / settings.policy_samples


def task_prompt(config: Config) -> Prompt:
    """The prompt that the dataset's rows have."""
    return prompts.load_task(config.dataset.prompt)


def policy_engine(config: Config) -> EngineConfig | None:
    """The model to be trained, if it is not the judge's."""
    return config.judge.policy_engine


CHECK = Check(
    "policy",
    run,
    figure=Figure("pass_rate", "answered by the policy"),
    limits=(
        Limit("pass_rate", "min_pass_rate", "too hard", "pass rate"),
        Limit("pass_rate", "max_pass_rate", "too easy", "pass rate"),
    ),
    engine=policy_engine,
    more_prompts=lambda config: {"task": task_prompt(config)},
    compares=True,
    shows=lambda config, sizes: sizes.document,
)
