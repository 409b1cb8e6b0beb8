"""vLLM in this process: no server, and as many GPUs as the settings name.

Requests are read by the classes of vLLM's own server, so that it makes no difference to a reply which of the two runs
the model. Only the seed differs: here each request has its own, made from its key, and a run can be repeated.
"""

from __future__ import annotations

import asyncio
import difflib
import gc
import importlib.util
import os
import time
import warnings
from collections import deque
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from itertools import count
from typing import Any

from pydantic import ValidationError

from datagen.config.llm import EngineConfig
from datagen.errors import ConfigError, EngineError, MissingExtra
from datagen.llm import http_errors
from datagen.llm.base import Account, Backend, Completion, Request, Stream
from datagen.llm.endpoint import payload

AHEAD = 2  # times as many requests are taken as the model works on at once: the next ones wait inside, tokenized
REFUSED, GIVEN_UP = "request refused by vLLM", "given up by vLLM"
# What a run prints stays readable; and a fork of a process that has threads may hang.
_ENVIRONMENT = {
    "VLLM_LOGGING_LEVEL": "ERROR",
    "VLLM_LOGGING_STREAM": "ext://sys.stderr",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
}


class VLLMBackend(Backend):
    """Raises MissingExtra or ConfigError at once. The model is loaded when there is something to ask, by the thread
    that runs it: threads and devices are bound to the one that loads.
    """

    def __init__(self, settings: EngineConfig, folder: str = "", others: Sequence[EngineConfig] = ()) -> None:
        _installed("engine.kind vllm")
        if (n := settings.vllm.get("data_parallel_size", 1)) != 1:
            raise ConfigError(
                f"engine.vllm: data_parallel_size is {n}, but vLLM runs several copies of a model only as a server: "
                f"start `vllm serve {settings.model} --data-parallel-size {n}` and give its address as --base-url"
            )
        if taken := settings.vllm.keys() & {"model", "revision"}:
            raise ConfigError(f"engine.vllm: {min(taken)} is a setting of the engine itself: engine.{min(taken)}")
        self.settings = settings
        self.room = 1  # the first one loads it
        self.model: _Model | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._worker: asyncio.Task[None] | None = None
        self._waiting: deque[_Waiting] = deque()
        self._running: dict[str, tuple[_Task, _Waiting]] = {}
        self._names = count()

    async def complete(
        self, request: Request, stream: Stream | None = None, account: Account | None = None
    ) -> Completion:
        """The model's reply. Raises ConfigError for sampling that vLLM does not know and for a `stream`, EngineError
        when the model cannot be loaded or fails.
        """
        if stream:
            raise ConfigError("engine.kind vllm writes no reply piece by piece: start a server, and give --base-url")
        waiting = _Waiting(request, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        return await waiting.completion

    async def close(self) -> None:
        """Stop, and free the model."""
        if self._worker:
            self._worker.cancel()
            await asyncio.wait([self._worker])
        if self._thread:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._free)
            self._thread.shutdown()
            self._thread = None

    async def _work(self) -> None:
        """Step the model, in its thread, as long as there is anything to do."""
        self._thread = self._thread or ThreadPoolExecutor(1, "vllm")
        try:
            while self._waiting or self._running:
                for waiting, completion in await asyncio.get_running_loop().run_in_executor(self._thread, self._step):
                    if not waiting.completion.done():
                        waiting.completion.set_result(completion)
        except Exception as e:
            for waiting in (*self._waiting, *(waiting for _, waiting in self._running.values())):
                if not waiting.completion.done():
                    waiting.completion.set_exception(e)
            self._waiting.clear()
            self._running.clear()
        finally:
            self._worker = None

    def _step(self) -> list[tuple[_Waiting, Completion]]:
        """Take what there is room for, and work until something is finished, or more can be taken."""
        done: list[tuple[_Waiting, Completion]] = []
        self.model = self.model or _Model(self.settings)
        self.room = AHEAD * self.model.at_once
        while self._waiting and len(self._running) < self.room:
            waiting, name = self._waiting[0], str(next(self._names))
            taken = self.model.take(name, waiting.request)
            self._waiting.popleft()
            if isinstance(taken, Completion):
                done.append((waiting, taken))
            else:
                self._running[name] = taken, waiting
        if self._running and not done:
            for output in self.model.step():
                task, waiting = self._running.pop(output.request_id)
                done.append((waiting, self.model.completion(output, task)))
        return done

    def _free(self) -> None:
        self._running.clear()
        if self.model:
            self.model.free()
            self.model = None
        self.room = 1


@dataclass(frozen=True)
class _Waiting:
    request: Request
    completion: asyncio.Future[Completion]


@dataclass(frozen=True)
class _Task:
    """A request on its way, with the forms that vLLM's server gives it."""

    request: Request
    chat: Any  # ChatCompletionRequest
    template: Any  # ChatParams
    since: float


class _Model:
    """A model in memory. Raises ConfigError for arguments that vLLM does not know, EngineError when it cannot load."""

    def __init__(self, settings: EngineConfig) -> None:
        check("engine.vllm", settings.vllm)
        from vllm.reasoning import ReasoningParserManager  # pyright: ignore[reportMissingImports]

        parser, self.parser = settings.vllm.get("reasoning_parser"), None
        if parser:
            try:
                self.parser = ReasoningParserManager.get_reasoning_parser(parser)
            except Exception as e:
                raise EngineError(f"vLLM cannot run {settings.model}: {_reason(e)}") from e
        self.llm = load(settings.model or "", settings.revision, settings.vllm)
        self.engine, self.config = self.llm.llm_engine, self.llm.model_config
        self.at_once = self.engine.vllm_config.scheduler_config.max_num_seqs
        self.defaults = self.config.get_diff_sampling_param()  # the model's own

    def take(self, name: str, request: Request) -> _Task | Completion:
        """Queue a request under a name; or its completion, if it is refused. Raises ConfigError for its sampling."""
        from vllm.entrypoints.openai.chat_completion.protocol import (  # pyright: ignore[reportMissingImports]
            ChatCompletionRequest,
        )
        from vllm.exceptions import VLLMError  # pyright: ignore[reportMissingImports]
        from vllm.renderers import TokenizeParams  # pyright: ignore[reportMissingImports]
        from vllm.utils.mistral import is_mistral_tokenizer  # pyright: ignore[reportMissingImports]

        _check("sampling", request.sampling, ChatCompletionRequest.model_fields)
        own = {"n": 1, "stream": False, "seed": int(request.key[:15], 16)}
        window, tokenizer = self.config.max_model_len, self.llm.get_tokenizer()
        try:
            chat = ChatCompletionRequest(**payload(request) | own)
            template = chat.build_chat_params(self.llm.chat_template, "auto")
            template = template.with_defaults({"tokenize": is_mistral_tokenizer(tokenizer)})
            if self.parser:
                chat = self._parser(template).adjust_request(chat)
            limits = self.defaults | request.sampling
            most = limits.get("max_completion_tokens") or limits.get("max_tokens") or window
            sampling = chat.to_sampling_params(most, self.defaults)
        except (VLLMError, ValueError) as e:
            raise ConfigError(f"sampling: vLLM does not take it: {_reason(e)}") from e
        try:
            whole = TokenizeParams(max_total_tokens=None, add_special_tokens=chat.add_special_tokens)
            _, (prompt,) = self.llm.renderer.render_chat([request.messages], template, whole)
            if (n := len(prompt["prompt_token_ids"])) >= window:
                detail = f"{n:,} tokens; the window (max_model_len) is {window:,}, and the reply needs one at least"
                return Completion(request.key, error=http_errors.TOO_LONG, detail=detail, endpoint="vllm")
            sampling.max_tokens = min(sampling.max_tokens, window - n)
            self.engine.add_request(name, prompt, sampling)
        except (VLLMError, ValueError, TypeError) as e:  # messages that the template, a schema that no backend takes
            return Completion(request.key, error=REFUSED, detail=_reason(e), endpoint="vllm")
        return _Task(request, chat, template, time.monotonic())

    def step(self) -> list[Any]:
        """Work a little; what is finished by it. Raises EngineError when vLLM fails."""
        try:
            return [output for output in self.engine.step() if output.finished]
        except Exception as e:  # no memory left, a dead worker
            raise EngineError(
                f"vLLM stopped: {_reason(e)}\nWhat was answered is kept: put it right and run the same command again."
            ) from e

    def completion(self, output: Any, task: _Task) -> Completion:
        (reply,) = output.outputs
        known: dict[str, Any] = {
            "key": task.request.key,
            "finish": reply.finish_reason or "",
            "prompt_tokens": len(output.prompt_token_ids),
            "cached_tokens": output.num_cached_tokens or 0,
            "completion_tokens": len(reply.token_ids),
            "endpoint": "vllm",
            "seconds": round(time.monotonic() - task.since, 3),
        }
        if reply.finish_reason in ("abort", "error"):
            return Completion(**known, error=GIVEN_UP, detail="an error inside vLLM, which its log names")
        if task.request.whole:
            reasoning, text = "", reply.text
        elif self.parser:
            reasoning, text = self._parser(task.template).extract_reasoning(reply.text, task.chat)
        else:
            reasoning, text = http_errors.split_reasoning(reply.text)
        return Completion(**known, text=text or None, reasoning=reasoning or "")

    def free(self) -> None:
        import torch

        self.engine.engine_core.shutdown()
        del self.engine, self.llm
        gc.collect()
        torch.cuda.empty_cache()

    def _parser(self, template: Any) -> Any:
        """A reasoning parser for one reply: they have a state."""
        assert self.parser
        tokenizer, arguments = self.llm.get_tokenizer(), template.chat_template_kwargs
        return self.parser(tokenizer, chat_template_kwargs=arguments, model_config=self.config)


def check(where: str, arguments: dict[str, Any]) -> None:
    """Raise MissingExtra without vLLM, EngineError if it does not load, ConfigError for arguments it does not know."""
    if arguments.get("trust_remote_code"):
        raise ConfigError(f"{where}: trust_remote_code would run code that comes with a model: that is never done here")
    _installed(where)
    for name, value in _ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    try:
        from vllm import EngineArgs  # pyright: ignore[reportAttributeAccessIssue]  # it finds this file
    except Exception as e:  # a build for another torch or another driver
        raise EngineError(f"vLLM is installed and does not load: {_reason(e)}") from e
    _check(where, arguments, {"chat_template", *(field.name for field in fields(EngineArgs))})


def load(model: str, revision: str | None, arguments: dict[str, Any]) -> Any:
    """`vllm.LLM` with arguments that were checked. Raises EngineError when it can't run the model."""
    warnings.filterwarnings("ignore", category=FutureWarning, module="vllm")  # of its own use of torch
    try:
        from vllm import LLM  # pyright: ignore[reportAttributeAccessIssue]
        from vllm.platforms import current_platform  # pyright: ignore[reportMissingImports]

        own: dict[str, Any] = {"revision": revision, "tokenizer_revision": revision, "use_tqdm_on_load": False}
        own["trust_remote_code"] = False
        if current_platform.is_cpu():  # there, a prompt with a seed that is read in pieces ends vLLM 0.32
            own["enable_chunked_prefill"] = False
        return LLM(model, **own | arguments)
    except Exception as e:  # of as many kinds as there are models, drivers and devices
        raise EngineError(f"vLLM cannot run {model}: {_reason(e)}") from e


def _installed(where: str) -> None:
    if importlib.util.find_spec("vllm") is None:
        raise MissingExtra(f"{where} needs its package: pip install 'longrlvr-data[vllm]'")


def _check(where: str, given: Collection[str], known: Collection[str]) -> None:
    if unknown := next((name for name in given if name not in known), None):
        near = difflib.get_close_matches(unknown, known, n=1)
        raise ConfigError(f"{where}: vLLM knows no {unknown}" + (f"; did you mean {near[0]}?" if near else ""))


def _reason(e: Exception) -> str:
    text = e.errors()[0]["msg"].removeprefix("Value error, ") if isinstance(e, ValidationError) else str(e)
    return http_errors.clipped((text.strip(' "\n') or type(e).__name__).splitlines()[0])
