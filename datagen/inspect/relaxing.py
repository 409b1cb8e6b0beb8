"""Which setting would let a row pass that left, and the value for it."""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from typing import Any

from datagen.config.model import Config
from datagen.records import BOILERPLATE, NO_VECTOR

NAMED = re.compile(r"\b((?:chunk|cluster|generate|judge|select)\.\w+) is [\d.]+")
GIVEN = re.compile(r"--set (input\.encoding)=([\w-]+)")
OF_ENCODING = frozenset({"undecodable", "garbled"})  # reasons of `text.decode`, whose details end in what to give
OF_LENGTH = frozenset({"too short", "too long"})  # of `stages.chunk`
UNHELPED = frozenset({BOILERPLATE, NO_VECTOR})  # reasons that no setting of a stage has to do with

# What lets more pass, by the setting that kept it out: from the value it has.
RELAXED: dict[str, Callable[[Any], Any]] = {
    "chunk.min_document_tokens": lambda value: 0,
    "chunk.max_document_tokens": lambda value: None,
    "cluster.min_similarity": lambda value: max(0.0, round(value - 0.1, 3)),
    "cluster.min_cohesion": lambda value: max(0.0, round(value - 0.2, 3)),
    "cluster.max_cluster_size": lambda value: 2 * value,
    "generate.min_evidence": lambda value: max(1, value - 1),
    "judge.min_rating": lambda value: max(0.0, value - 2),
    "judge.max_question_chars": lambda value: 2 * value,
    "judge.max_answer_chars": lambda value: 2 * value,
    "select.min_rating": lambda value: max(0.0, value - 2),
    "select.per_cluster": lambda value: value + 1,
    "select.per_document": lambda value: value + 1,
    "select.max_closed_book": lambda value: 1.0,
    "select.min_sufficiency": lambda value: max(0.0, round(value - 0.25, 3)),
    "select.min_pass_rate": lambda value: 0.0,
    "select.max_pass_rate": lambda value: 1.0,
    "select.max_similarity": lambda value: 1.0,
    "select.max_prompt_tokens": lambda value: 2 * value,
}


def relaxed(stage: str, reason: str, detail: str, config: Config) -> tuple[str, Any]:
    """The setting that would let more pass, and the value for it; "" and None where no setting would.

    stage, reason, detail: of a row that left. A detail that names a setting decides, else the stage does. A detail may
    quote a document or a model, so a setting is taken from it only where the reason is one that names it.
    """
    if reason in UNHELPED:
        return "", None
    if stage == "chunk" and reason in OF_ENCODING:
        given = GIVEN.findall(detail)
        return given[-1] if given and _is_codec(given[-1][1]) else ("", None)
    named = None if stage == "chunk" and reason not in OF_LENGTH else NAMED.search(detail)
    setting = named[1] if named and named[1] in RELAXED else ""
    if not setting and stage == "cluster":
        setting = "cluster.min_cohesion" if config.cluster.min_similarity is None else "cluster.min_similarity"
    if not setting and stage == "generate" and not config.generate.asks_model:
        return "generate.method", "llm"
    if not setting:
        return "", None
    section, _, key = setting.partition(".")
    now = getattr(getattr(config, section), key)
    value = RELAXED[setting](now)
    return (setting, value) if value != now else ("", None)


def _is_codec(name: str) -> bool:
    try:
        codecs.lookup(name)
    except LookupError:
        return False
    return True
