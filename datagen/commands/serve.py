"""`serve`: an OpenAI-compatible endpoint in front of a trained model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from datagen.commands.options import MAX_RESPONSE_TOKENS, ApiKeyEnv, FormOptions, Verbose, with_options

if TYPE_CHECKING:
    from datagen.console import Reporter
    from datagen.serve.app import Service

GRACE = 10.0  # seconds that requests have to be answered once the server is asked to end

QuestionMarker = Annotated[
    Optional[list[str]],
    typer.Option(
        "--question-marker",
        metavar="TEXT",
        help="What the line that opens the question begins with, in a message that holds the document as well. Can be "
        "given several times. Default: Question:, Query: and that of LongBench v2.",
    ),
]


@with_options
def serve(
    base_url: Annotated[
        str,
        typer.Option("--base-url", metavar="URL", help="The model's server, such as http://localhost:8000/v1."),
    ],
    model: Annotated[str, typer.Option("--model", metavar="NAME", help="The model, by its name on that server.")],
    form: FormOptions,
    host: Annotated[
        str,
        typer.Option(
            "--host", metavar="ADDRESS", help="Where to listen. Other machines reach no loopback address, the default."
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, metavar="N", help="The port. 0: any that is free. Default: 8001.")
    ] = 8001,
    api_key_env: ApiKeyEnv = None,
    client_key_env: Annotated[
        Optional[str],
        typer.Option(
            "--client-key-env",
            metavar="NAME",
            help="The environment variable that holds the key that clients have to send; needed where other machines "
            "can reach this server.",
        ),
    ] = None,
    max_response_tokens: Annotated[
        int,
        typer.Option(
            "--max-response-tokens",
            min=1,
            metavar="N",
            help="Tokens that the model has for reasoning and answer, where a client asks for fewer. Default: 4,096.",
        ),
    ] = MAX_RESPONSE_TOKENS,
    question_marker: QuestionMarker = None,
    timeout: Annotated[
        float,
        typer.Option("--timeout", min=0.1, metavar="SECONDS", help="How long the model's server may be silent."),
    ] = 600.0,
    verbose: Verbose = False,
) -> None:
    """Serve a trained model to any OpenAI client: answers as messages, citations as annotations.

    \b
    Examples:
      longrlvr-data serve --base-url http://localhost:8000/v1 --model my-model
      longrlvr-data serve --base-url http://localhost:8000/v1 --model my-model --host 0.0.0.0 --client-key-env SERVE_KEY
    """
    given: dict[str, Any] = dict(locals())
    from datagen.commands import guard

    raise guard.guarded(lambda reporter: _serve(given, reporter), verbose)


def _serve(given: dict[str, Any], reporter: Reporter) -> int:
    import asyncio

    return asyncio.run(_listen(_service(given, reporter), given["port"], reporter))


def _service(given: dict[str, Any], reporter: Reporter) -> Service:
    """What is to be served. Raises ConfigError for what cannot be."""
    from datagen import grounded
    from datagen.errors import ConfigError
    from datagen.serve.app import Service, is_loopback
    from datagen.serve.request import MARKERS
    from datagen.serve.upstream import Upstream

    host, key_env = given["host"], given["client_key_env"]
    if not is_loopback(host) and not key_env:
        raise ConfigError(
            f"--host {host}: other machines can reach this server, so it needs a key of its own, which clients send: "
            "put one into an environment variable and name that, as in\n  export SERVE_KEY=$(openssl rand -hex 24)\n"
            f"  longrlvr-data serve … --host {host} --client-key-env SERVE_KEY",
            ("--client-key-env", "NAME"),
        )
    form: FormOptions = given["form"]
    behind = _key(given["api_key_env"], "--api-key-env")
    return Service(
        form=grounded.form(grounded.settings(form.config, form.set or ()), form.format),
        upstream=Upstream(given["base_url"], given["model"], behind, given["timeout"]),
        host=host,
        key=_key(key_env, "--client-key-env"),
        max_response_tokens=given["max_response_tokens"],
        markers=tuple(filter(None, given["question_marker"] or ())) or MARKERS,
        log=reporter.say,
    )


def _key(name: str | None, option: str) -> str | None:
    import os

    from datagen.errors import ConfigError

    if name is None:
        return None
    key = os.environ.get(name, "").strip()
    if not key or not key.isascii() or not key.isprintable():
        raise ConfigError(f"{option} {name}: the environment variable {name} holds no key")
    return key


async def _listen(service: Service, port: int, reporter: Reporter) -> int:
    """Serve until a signal asks to end; another ends at once."""
    import asyncio
    import signal

    from aiohttp import web

    from datagen import signals
    from datagen.commands import guard
    from datagen.errors import UserError
    from datagen.serve.app import app

    runner = web.AppRunner(app(service), access_log=None, handler_cancellation=True, shutdown_timeout=GRACE)
    await runner.setup()
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    before = {number: signal.getsignal(number) for number in signals.polite()}

    def end() -> None:
        ended.set()
        _back(loop, before)

    try:
        try:
            site = web.TCPSite(runner, service.host, port)
            await site.start()
        except OSError as e:
            what = e.strerror or str(e)
            raise UserError(
                f"{service.host} port {port} cannot be listened at: {what}. --port 0 takes a free one"
            ) from e
        if problem := await service.upstream.look():
            reporter.say(problem)
        for number in before:
            loop.add_signal_handler(number, end)
        _announce(service, runner.addresses[0][1])
        await ended.wait()
        reporter.say("ending: requests in hand are answered first")
    finally:
        _back(loop, before)
        await runner.cleanup()
    return guard.INTERRUPTED


def _back(loop: Any, handlers: dict[int, Any]) -> None:
    """The signals' handlers as they were, if they are not."""
    import signal

    for number, handler in handlers.items():
        if loop.remove_signal_handler(number):
            signal.signal(number, handler)


def _announce(service: Service, port: int) -> None:
    import json
    import sys

    from datagen.console import put

    host = f"[{service.host}]" if ":" in service.host else service.host
    url = f"http://{host}:{port}/v1"
    question = {"role": "user", "content": "…the document…\n\nQuestion: Who wrote it?"}
    body = json.dumps({"model": service.upstream.model, "messages": [question]}, ensure_ascii=False)
    key = " -H 'Authorization: Bearer KEY'" if service.key else ""
    quoted = body.replace("'", "'\\''")
    put(f"{url} serves {service.upstream.model} of {service.upstream.url}\n")
    put(f"curl {url}/chat/completions -H 'Content-Type: application/json'{key} -d '{quoted}'")
    sys.stdout.flush()
