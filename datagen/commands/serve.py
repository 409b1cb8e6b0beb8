"""`serve`: a model that cites, behind an OpenAI-compatible endpoint that gives answers and citations apart."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional

import typer

from datagen.commands.options import Settings, Verbose

if TYPE_CHECKING:
    from datagen.console import Reporter


def serve(
    base_url: Annotated[
        str,
        typer.Option(
            "--base-url", metavar="URL", help="The server that has the model, such as http://localhost:8000/v1."
        ),
    ],
    model: Annotated[str, typer.Option("--model", metavar="NAME", help="The model, by its name on that server.")],
    host: Annotated[
        str,
        typer.Option(metavar="HOST", help="Where to listen. Anything but this machine itself needs --api-key-env."),
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, metavar="N", help="The port to listen on. 0: any that is free.")
    ] = 8001,
    format: Annotated[
        Literal["ours", "published"],
        typer.Option(
            "--format",
            metavar="NAME",
            help="How the model was trained to be asked. ours: as this configuration says. published: as the models "
            "published with LongRLVR.",
        ),
    ] = "ours",
    config: Annotated[
        Optional[str],
        typer.Option(
            "-c",
            "--config",
            metavar="FILE",
            help="The configuration of the run that the model was trained on, such as RUN/config.yaml, or the name of "
            "a bundled one: how documents are cut into chunks, and the prompt.",
        ),
    ] = None,
    set: Settings = None,
    max_response_tokens: Annotated[
        int,
        typer.Option(
            "--max-response-tokens",
            min=1,
            metavar="N",
            help="Most tokens of a response, reasoning included. A client's max_tokens is meant for the answer alone, "
            "and counts only where it is larger.",
        ),
    ] = 4096,
    question_marker: Annotated[
        Optional[str],
        typer.Option(
            "--question-marker",
            metavar="TEXT",
            help="What the line begins with from which on a message is the question. Default: Question:, Query:, and "
            "what LongBench v2 says.",
        ),
    ] = None,
    api_key_env: Annotated[
        Optional[str],
        typer.Option("--api-key-env", metavar="NAME", help="The environment variable with the key clients must show."),
    ] = None,
    upstream_api_key_env: Annotated[
        Optional[str],
        typer.Option(
            "--upstream-api-key-env", metavar="NAME", help="The environment variable with that server's own key."
        ),
    ] = None,
    timeout: Annotated[
        float, typer.Option(min=1, metavar="SECONDS", help="How long that server may take for a reply.")
    ] = 600,
    verbose: Verbose = False,
) -> None:
    """Serve a trained model to any chat client or harness: answers as content, citations as annotations.

    \b
    Examples:
      longrlvr-data serve --base-url http://localhost:8000/v1 --model my-model
      longrlvr-data serve --base-url http://localhost:8000/v1 --model my-model -c runs/mine/config.yaml --port 9000
    """
    given: dict[str, Any] = dict(locals())
    from datagen.commands import guard

    raise guard.guarded(lambda said: _serve(given, said), verbose)


def _serve(given: dict[str, Any], reporter: Reporter) -> int:
    from datagen import grounded, resources
    from datagen.commands import guard
    from datagen.config import layers
    from datagen.config import model as configs
    from datagen.config.model import Config
    from datagen.errors import ConfigError
    from datagen.serve import app, run
    from datagen.serve.upstream import Upstream

    host = given["host"]
    key = _key("--api-key-env", given["api_key_env"])
    names = app.hosts(host)
    if names is None and key is None:
        raise ConfigError(
            f"--host {host}: whoever reaches it could ask the model: `export SERVE_KEY=…` a key that clients must "
            "show, and add --api-key-env SERVE_KEY"
        )
    if not given["base_url"].startswith(("http://", "https://")):
        raise ConfigError(f"--base-url {given['base_url']}: an address begins with http:// or https://")
    files = [configs.layer(resources.path("configs", given["config"]))] if given["config"] else []
    config = layers.combined(Config, files, layers.given({}, given["set"] or (), Config))
    upstream_key = _key("--upstream-api-key-env", given["upstream_api_key_env"])
    service = app.Service(
        app.Settings(given["question_marker"], given["max_response_tokens"], key, names),
        grounded.form(config, given["format"]),
        Upstream(given["base_url"], given["model"], upstream_key, given["timeout"]),
        reporter.say,
    )

    def started(address: str) -> None:
        reporter.say(f"{given['model']} answers at {address}, with its citations. Ask it:")
        show_key = ' -H "Authorization: Bearer $' + given["api_key_env"] + '"' if key else ""
        body = '{"messages": [{"role": "user", "content": "It rained on Monday.\\n\\nWhen did it rain?"}]}'
        print(f"curl {address}/chat/completions{show_key} -d '{body}'", flush=True)

    run.listen(service, host, given["port"], started)
    return guard.COMPLETE


def _key(option: str, variable: str | None) -> str | None:
    import os

    from datagen.errors import ConfigError

    if variable is None:
        return None
    if not (key := os.environ.get(variable, "").strip()):
        raise ConfigError(f"{option} {variable}: this environment variable is not set: export {variable}=…")
    return key
