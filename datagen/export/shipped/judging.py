"""Whether two answers say the same, asked of a model where strings cannot tell.

The model is at a server with an OpenAI-compatible API, and the environment says where:

    LONGRLVR_JUDGE_URL       its base URL, such as http://localhost:8000/v1
    LONGRLVR_JUDGE_MODEL     the model's name there
    LONGRLVR_JUDGE_KEY_NAME  the name of the variable that holds the key; default: OPENAI_API_KEY
"""

import json
import os
import re
import time
import urllib.error
import urllib.request
from functools import lru_cache
from http.client import HTTPException

from datagen.export.shipped.baked import GRADER_PROMPT, GRADER_SCHEMA
from datagen.grounding.fences import neutralise
from datagen.llm.objects import ParseError, first_object, read_verdict

JUDGE_ATTEMPTS, JUDGE_TIMEOUT, JUDGE_LONGEST_WAIT = 5, 180.0, 30.0  # the last two in seconds
_PLACE = re.compile(r"\{\{([a-z]+)\}\}")


class JudgeFailed(RuntimeError):
    """The model gave no verdict: there is no reward for that response, and above all no reward of 0."""


class JudgeRefused(ValueError):
    """The server knows no such key or model, and never will: training is to stop."""


class _Straight(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the key is for the server that was named."""

    def redirect_request(self, *_):
        return None


def judge_settings() -> tuple[str, str, str]:
    """(base URL, model, key). Raises ValueError where the environment names no server, no model, or no key
    that there is.
    """
    url, model = os.environ.get("LONGRLVR_JUDGE_URL", ""), os.environ.get("LONGRLVR_JUDGE_MODEL", "")
    if not url.startswith(("http://", "https://")) or not model:
        raise ValueError(
            "answers are judged by a model: export LONGRLVR_JUDGE_URL=http://…/v1 LONGRLVR_JUDGE_MODEL=NAME, and the "
            "name of the variable with its key as LONGRLVR_JUDGE_KEY_NAME if that is not OPENAI_API_KEY"
        )
    if "@" in url:
        raise ValueError("LONGRLVR_JUDGE_URL holds a password: give it by LONGRLVR_JUDGE_KEY_NAME")
    named = os.environ.get("LONGRLVR_JUDGE_KEY_NAME", "")
    key = os.environ.get(named or "OPENAI_API_KEY", "").strip()
    if (named and not key) or not key.isascii() or not key.isprintable():
        raise ValueError(f"the variable {named or 'OPENAI_API_KEY'} holds no key: export it, or name another")
    return url.rstrip("/"), model, key


def judge_messages(question: str, expected: str, given: str) -> list[dict[str, str]]:
    """What the model is asked: the messages that `longrlvr-data judge` sends."""
    shown = {"question": question, "answer": expected, "given": given}
    plain = {name: neutralise(text.replace("[[", "[ [").replace("]]", "] ]")) for name, text in shown.items()}
    return [{"role": "user", "content": _PLACE.sub(lambda place: plain[place[1]], GRADER_PROMPT)}]


@lru_cache(maxsize=100_000)
def judged(question: str, expected: str, given: str) -> bool:
    """Whether the model takes both for the same answer to the question. Raises JudgeFailed after JUDGE_ATTEMPTS,
    and JudgeRefused where no attempt could do.
    """
    url, model, key = judge_settings()
    schema = {"type": "json_schema", "json_schema": {"name": "reply", "strict": True, "schema": GRADER_SCHEMA}}
    body = {"model": model, "messages": judge_messages(question, expected, given), "temperature": 0.0}
    body |= {"max_tokens": 1024, "response_format": schema}
    problem = ""
    for attempt in range(JUDGE_ATTEMPTS):
        try:
            return _verdict(_posted(f"{url}/chat/completions", body, key))
        except urllib.error.HTTPError as e:
            said = _body(e)
            problem = f"{e.code} {e.reason}: {said:.200}"
            if e.code in (400, 422) and _without_what_it_lacks(body, said):
                continue
            if e.code in (401, 403, 404):
                raise JudgeRefused(f"{model} at {url}: {problem}") from None
            if e.code < 500 and e.code not in (408, 409, 425, 429):
                break
            asked_for = e.headers.get("Retry-After", "")
            wait = float(asked_for) if asked_for.isdigit() else 2.0**attempt
        except ParseError as e:
            problem = str(e)
            if "temperature" in body:
                body["temperature"] = 0.5 + 0.25 * attempt  # the same again would be as unreadable
            wait = 0.0
        except (
            OSError,
            HTTPException,
            ValueError,
            RecursionError,
        ) as e:  # no connection, a time-out, no reply of a chat
            problem, wait = f"{type(e).__name__}: {e}", 2.0**attempt
        if attempt + 1 < JUDGE_ATTEMPTS:
            time.sleep(min(wait, JUDGE_LONGEST_WAIT))
    raise JudgeFailed(f"{model} at {url} gave no verdict: {problem}")


def _without_what_it_lacks(body: dict, said: str) -> bool:
    """Leave out of a request what its refusal names; whether there was anything."""
    if "max_completion_tokens" in said and "max_tokens" in body:
        body["max_completion_tokens"] = body.pop("max_tokens")
        return True
    for name in ("temperature", "response_format"):
        if name in body and (name in said or name == "response_format"):  # a server need not name the schema
            del body[name]
            return True
    return False


def _posted(url: str, body: dict, key: str) -> dict:
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.build_opener(_Straight).open(request, timeout=JUDGE_TIMEOUT) as reply:
        return json.loads(reply.read())


def _body(e: urllib.error.HTTPError) -> str:
    """What an error says, as far as it came."""
    try:
        return e.read().decode(errors="replace")
    except (OSError, HTTPException):
        return ""


def _verdict(reply: dict) -> bool:
    try:
        choice = reply["choices"][0]
        text = choice["message"].get("content") or ""
        if not isinstance(text, str):
            text = "".join(part.get("text") or "" for part in text)
    except (KeyError, IndexError, TypeError, AttributeError) as e:
        raise ValueError(f"no reply of a chat: {reply!s:.200}") from e
    if choice.get("finish_reason") == "content_filter":
        raise ParseError("stopped by a content filter", "the reply was stopped by a content filter")
    return read_verdict(first_object(text) if choice.get("finish_reason") == "length" else text)
