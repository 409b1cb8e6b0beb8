"""A question asked of a server that speaks OpenAI's chat completions API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from datagen import llm
from datagen.config.llm import EngineConfig
from datagen.errors import ConfigError, EngineError
from datagen.llm import http_errors, window
from datagen.llm.base import Completion, Request, Stream
from datagen.llm.pool import Failed, Pool

FEW = 5  # names of models that a message lists
_AGAIN = "\nWhat was answered is kept"  # of the engines' errors: here, nothing is kept


async def complete(
    engine: EngineConfig, asked: Callable[[str], Request], stream: Stream | None = None
) -> tuple[str, Completion]:
    """The model that was asked, and its reply.

    engine: of the kind "openai", with one endpoint; without a model's name, the server's only one is asked. asked: the
    request, of the model's name. Raises ConfigError where the server has several models and none is named; EngineError
    where nobody is there, no reply can be had, or the prompt does not fit: it is never cut.
    """
    listed, unsaid = await _listed(engine)
    model = engine.model or _only(engine, listed, unsaid)
    engine = engine.model_copy(update={"model": model})
    request = asked(model)
    size = min((await asyncio.to_thread(window.stated, engine)).values(), default=None)
    if size and (fewest := window.least(request, 1)) > size:
        raise EngineError(_too_long(f"the prompt has {fewest:,} tokens at least, and the server's window {size:,}"))
    backend = llm.start(engine, "")
    try:
        completion = await backend.complete(request, stream=stream)
    except EngineError as e:
        raise EngineError(_advised(str(e), engine, listed)) from e
    finally:
        await backend.close()
    if completion.error:
        raise EngineError(_refused(engine, completion))
    if size and not completion.estimated and completion.prompt_tokens >= size:
        counted = f"the server read {completion.prompt_tokens:,} tokens of the prompt, as many as its whole window has"
        raise EngineError(_too_long(counted))
    return model, completion


async def _listed(engine: EngineConfig) -> tuple[list[str], str]:
    """The names of the models that a server says it has, and if it does not say, why. Raises EngineError, at once,
    where nobody is there.
    """
    pool = Pool([(endpoint, "") for endpoint in engine.servers()], window.LOOK, patience=None)
    (endpoint,) = pool.endpoints
    try:
        response = await pool.get(endpoint, "/models")
    except Failed as e:
        if e.nobody_there:
            raise EngineError(f"no server answers: {e.failure.detail}. Start it, or give its address") from e
        return [], e.failure.detail  # slow, or not willing to say: the question will tell
    finally:
        await pool.close()
    body = pool.body(response)
    if response.status_code >= 300:
        why = http_errors.failure(response.status_code, body).detail
        elsewhere = (
            "" if endpoint.name.endswith("/v1") else f". Most servers' addresses end in /v1: {endpoint.name}/v1?"
        )
        return [], f"{why}{elsewhere}"
    entries = body.get("data") if isinstance(body, dict) else None
    known = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return [str(entry["id"]) for entry in known if entry.get("id")], "" if known else "it lists none"


def _only(engine: EngineConfig, listed: list[str], unsaid: str) -> str:
    if len(listed) == 1:
        return listed[0]
    there = f"it has {_named(listed)}" if listed else f"which it has is not known ({unsaid})"
    address = engine.endpoints[0].base_url
    raise ConfigError(f"{address}: name the model to ask; {there}", ("--model", listed[0] if listed else "NAME"))


def _named(listed: list[str]) -> str:
    return ", ".join(http_errors.clipped(name, 100) for name in listed[:FEW]) + (", …" if len(listed) > FEW else "")


def _advised(said: str, engine: EngineConfig, listed: list[str]) -> str:
    """An engine's error with the way on that there is here."""
    said = said.partition(_AGAIN)[0].rstrip(". ")
    if http_errors.NO_KEY in said or "HTTP 401" in said:
        said = said.replace("api_key_env, beside base_url in `endpoints`,", "--api-key-env")
    elif listed and engine.model not in listed:
        said += f". The server lists {_named(listed)}"
    return said


def _refused(engine: EngineConfig, completion: Completion) -> str:
    """Why there is no reply, and what to do about it."""
    detail = completion.detail.replace("sampling.max_tokens of the stage", "--max-response-tokens")
    detail = detail.replace("sampling.max_tokens", "--max-response-tokens")
    said = f"{engine.endpoints[0].base_url}: {completion.error}: {detail}"
    if completion.error in (http_errors.TOO_LONG, http_errors.CUT):
        return _too_long(said)
    if completion.error == http_errors.NO_ROOM and "--max-response-tokens" not in said:
        return f"{said.rstrip('. ')}. Lower --max-response-tokens"
    return said


def _too_long(said: str) -> str:
    return (
        f"{said.rstrip('. ')}. A document is never cut: ask about a part of it, or raise the server's window "
        f"({window.RAISE})"
    )
