"""`datagen.ask`: a question about a document, its answer, and the passages that the answer rests on."""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

from datagen import extras, grounded
from datagen.answering import chosen, loops, server
from datagen.config import model as configs
from datagen.config.llm import SamplingConfig
from datagen.config.model import Config
from datagen.errors import ConfigError, InputError
from datagen.grounded import Answer, Format
from datagen.llm.base import Completion, Request, Stream
from datagen.llm.http_errors import clipped

MAX_RESPONSE_TOKENS = 4096


@dataclass(frozen=True, kw_only=True)
class Respondent:
    """Which model is asked, and how.

    name: on a server, by its name there (None: the only one that it has); without `base_url`, a folder or a name on the
    hub, and the model runs in this process. max_response_tokens: the most tokens of a response, its reasoning included.
    """

    name: str | None
    base_url: str | None = None
    api_key_env: str | None = None
    format: Format = "ours"
    max_response_tokens: int = MAX_RESPONSE_TOKENS


@dataclass(frozen=True)
class Asked:
    """An answer, the model that gave it, and what it took in tokens; None where a server does not say."""

    answer: Answer
    model: str
    prompt_tokens: int | None
    completion_tokens: int | None


def ask(
    document: str | Path | None = None,
    question: str = "",
    *,
    text: str | None = None,
    doc_id: str | None = None,
    model: str | None = None,
    base_url: str | None = None,
    api_key_env: str | None = None,
    format: Format = "ours",
    config: Config | str | Path | None = None,
    max_response_tokens: int = MAX_RESPONSE_TOKENS,
    stream: Stream | None = None,
) -> Answer:
    """Ask a model that was trained to cite about one document. Works in a notebook, whose event loop is running.

    Args:
        document: where the document is: a path, or any address that `chunk` reads.
        question: in words.
        text: the document itself, instead of `document`.
        doc_id: which document it is, where there are several.
        model: its name on the server (None: the only one there); without `base_url`, a folder that holds the model or
            its name on the hub: then it is loaded into this process, onto the GPU if there is one, for this question.
        base_url: of a server with an OpenAI-compatible API, such as http://localhost:8000/v1.
        api_key_env: the environment variable that holds the server's key.
        format: "ours", or "published" for the models published with LongRLVR.
        config: the configuration of the run that the model was trained on, or a file of it, or the name of a bundled
            one: it says how documents are cut into chunks, and what the prompt is. None: the defaults.
        max_response_tokens: the most tokens of the response, its reasoning included.
        stream: is given the response piece by piece, as the model writes it; from another thread in a notebook.

    Returns the answer with its citations, each quoted from the document, and with its problems; a response that cannot
    be read is an answer of None, with the problem. Sampling is greedy.

    Raises InputError for a document that cannot be read, ConfigError for an argument that is wrong, EngineError where
    no response can be had or the document does not fit, MissingExtra where the package that runs the model is absent.
    """
    settings = config if isinstance(config, Config) else grounded.settings(config)
    if (document is None) == (text is None):
        raise ConfigError("give the document: either where it is (`document`) or what it says (`text`)")
    if text is None:
        found, said = chosen.one(str(document), settings.input, doc_id)
        text = found.text
        for sentence in said:
            warnings.warn(sentence, stacklevel=2)
    asked = Respondent(
        name=model, base_url=base_url, api_key_env=api_key_env, format=format, max_response_tokens=max_response_tokens
    )
    return answered(text, question, asked, settings, stream).answer


def answered(text: str, question: str, model: Respondent, config: Config, stream: Stream | None = None) -> Asked:
    """The answer to a question about a text. Raises as `ask` does."""
    _check(text, question, model)
    form = grounded.form(config, model.format)
    spans = form.split(text)
    messages = form.messages(text, spans, question)
    ask_model = _in_process if model.base_url is None else _of_server
    name, completion = ask_model(messages, model, config, stream)
    answer = grounded.read(completion.text or completion.refusal, text, spans, completion.reasoning)
    problems = (*_of_reply(completion), *answer.problems)
    counted = (None, None) if completion.estimated else (completion.prompt_tokens, completion.completion_tokens)
    return Asked(replace(answer, problems=problems), name, *counted)


def _check(text: str, question: str, model: Respondent) -> None:
    """Raise what can be said before anything is loaded or sent."""
    if not text.strip():
        raise InputError("the document is empty: there is nothing to ask about")
    if not question.strip():
        raise ConfigError("the question is empty")
    for what, given in (("document", text), ("question", question)):
        if (at := next((i for i, c in enumerate(given) if "\ud800" <= c <= "\udfff"), None)) is not None:
            raise InputError(f"character {at:,} of the {what} is half a surrogate pair, which UTF-8 cannot hold")
    if model.base_url is None and model.name is None:
        raise ConfigError("no model is named: a folder or a name on the hub, or else a server", ("--model", "NAME"))
    if model.base_url is None and model.api_key_env is not None:
        raise ConfigError("a key is for a server: give its address, too", ("--base-url", "URL"))
    if model.max_response_tokens < 1:
        raise ConfigError("a response has one token at least: raise --max-response-tokens")


def _of_server(
    messages: list[dict[str, str]], model: Respondent, config: Config, stream: Stream | None
) -> tuple[str, Completion]:
    endpoint = {"base_url": model.base_url, "api_key_env": model.api_key_env}
    asked = {"engine.kind": "openai", "engine.endpoints": [endpoint]}
    engine = configs.merge(config, asked).engine.model_copy(update={"model": model.name})
    variable = engine.endpoints[0].api_key_env
    if variable and not os.environ.get(variable, "").strip():
        raise ConfigError(f"--api-key-env {variable}: this environment variable is not set: export {variable}=…")
    sampling = SamplingConfig(max_tokens=model.max_response_tokens).sent()

    def request(name: str) -> Request:
        return Request(name, messages, sampling, whole=True)

    return loops.run(lambda: server.complete(engine, request, stream))


def _in_process(
    messages: list[dict[str, str]], model: Respondent, config: Config, stream: Stream | None
) -> tuple[str, Completion]:
    extras.require("a model without --base-url", "train", "torch", "transformers")
    from datagen.train import respond

    name = str(model.name)
    return name, respond.respond(name, messages, model.max_response_tokens, stream)


def _of_reply(completion: Completion) -> list[str]:
    """What is wrong with a reply, whatever it says."""
    problems: list[str] = []
    if completion.finish == "length":
        problems.append("The response was cut off at the most tokens it may have: raise --max-response-tokens")
    if completion.refusal:
        problems.append(f"The model refuses to answer: {clipped(completion.refusal)}")
    return problems
