"""`ask`: a question about a document, its answer, and the passages that it rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, Optional

import typer

from datagen.commands.options import Json, Settings, Verbose

if TYPE_CHECKING:
    from datagen.answering.ask import Asked
    from datagen.console import Reporter

MAX_RESPONSE_TOKENS = 4096


def ask(
    document: Annotated[
        str,
        typer.Argument(
            metavar="DOCUMENT",
            help="What is asked about: a file, a folder, '-' for standard input, or hf://owner/name.",
        ),
    ],
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="The question, in quotation marks.")],
    model: Annotated[
        Optional[str],
        typer.Option(
            "--model",
            metavar="NAME",
            help="The model, by its name on the server (default: the only one there). Without --base-url, a folder "
            "that holds it or its name on the hub: it runs in this process (extra: train).",
        ),
    ] = None,
    base_url: Annotated[
        Optional[str],
        typer.Option(
            "--base-url",
            metavar="URL",
            help="A server with an OpenAI-compatible API, such as http://localhost:8000/v1.",
        ),
    ] = None,
    api_key_env: Annotated[
        Optional[str],
        typer.Option("--api-key-env", metavar="NAME", help="The environment variable that holds the server's key."),
    ] = None,
    doc_id: Annotated[
        Optional[str],
        typer.Option("--doc-id", metavar="ID", help="Which document it is about, where there are several."),
    ] = None,
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
            "--max-response-tokens", min=1, metavar="N", help="Most tokens of the response, its reasoning included."
        ),
    ] = MAX_RESPONSE_TOKENS,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Ask a trained model about a document. It answers, and the passages that it cites are quoted from the document.

    The exit code is 3 where the response cannot be read, or cites no passage.

    \b
    Examples:
      longrlvr-data ask book.txt "Who built the bridge?" --base-url http://localhost:8000/v1
      longrlvr-data ask notes/ "When is it due?" --doc-id plan.md --model ./my-model -c runs/mine/config.yaml
    """
    given: dict[str, Any] = dict(locals())
    from datagen.commands import guard

    raise guard.guarded(lambda said: _ask(given, said), verbose)


def _ask(given: dict[str, Any], reporter: Reporter) -> int:
    from datagen.commands import guard
    from datagen.errors import ConfigError, UserError

    class Interrupted(UserError):
        exit_code = guard.INTERRUPTED

    try:
        return _answer(given, reporter)
    except ConfigError as e:
        if not e.add:
            raise
        raise ConfigError(f"{e}:\n  {_command_line(given, e.add)}") from e
    except KeyboardInterrupt as e:
        raise Interrupted("interrupted: there is no answer") from e


def _answer(given: dict[str, Any], reporter: Reporter) -> int:
    from datagen.answering import ask, chosen
    from datagen.answering.shown import Thinking
    from datagen.commands.guard import COMPLETE, FAILED_ROWS

    config = ask.settled(given["config"], given["set"])
    document, said = chosen.one(given["document"], config.input, given["doc_id"])
    for sentence in said:
        reporter.say(sentence)
    names = ("base_url", "api_key_env", "format", "max_response_tokens")
    model = ask.Respondent(name=given["model"], **{name: given[name] for name in names})
    thinking = Thinking(reporter.console) if reporter.console.is_terminal else None
    if model.base_url is None and not thinking:
        _quiet()
    try:
        asked = ask.answered(document.text, given["question"], model, config, thinking)
    except BaseException:
        if thinking:
            thinking.end()
        raise
    if thinking:
        thinking.end(asked.answer.reasoning)
    (_print_json if given["json"] else _print)(asked, given, document.text, document.doc_id, reporter)
    return COMPLETE if asked.answer.answer is not None and asked.answer.citations else FAILED_ROWS


def _quiet() -> None:
    """No bars of the transformers library, where it is installed."""
    from datagen import extras

    if extras.installed("transformers"):
        from transformers.utils import logging

        logging.disable_progress_bar()


def _print(asked: Asked, given: dict[str, Any], text: str, doc_id: str, reporter: Reporter) -> None:
    from datagen.answering import shown
    from datagen.console import put, screen

    answer, out = asked.answer, screen()
    for line in shown.told(answer, text, out.width if out.is_terminal else None):
        put(line)
    columns = reporter.console.width if reporter.console.is_terminal else None
    for problem in answer.problems:
        reporter.say(f"warning: {problem}")
    if answer.answer is None or not answer.citations:
        reporter.say("The response cannot be read as an answer with its citations. It says:")
        for line in shown.led_in(answer.response, columns, shown.RAW):
            reporter.say(line)


def _print_json(asked: Asked, given: dict[str, Any], text: str, doc_id: str, _: Reporter) -> None:
    from datagen.answering.shown import line_of
    from datagen.console import print_json

    answer = asked.answer
    print_json(
        {"document": given["document"], "doc_id": doc_id, "question": given["question"], "model": asked.model}
        | {"answer": answer.answer, "parsed": answer.parsed}
        | {"citations": [vars(cited) | {"line": line_of(cited, text)} for cited in answer.citations]}
        | {"reasoning": answer.reasoning, "problems": list(answer.problems), "response": answer.response}
        | {"prompt_tokens": asked.prompt_tokens, "completion_tokens": asked.completion_tokens}
    )


def _command_line(given: dict[str, Any], add: tuple[str, ...]) -> str:
    """The command again, with what puts it right in the place of what was given for it."""
    import shlex

    from datagen.commands.advice import NAME

    words = [NAME, "ask", given["document"], given["question"]]
    for name in ("model", "base_url", "api_key_env", "doc_id", "format", "config", "set", "max_response_tokens"):
        option = f"--{name.replace('_', '-')}"
        at_default = given[name] in (None, "ours", MAX_RESPONSE_TOKENS)
        if not at_default and option not in add:
            for value in given[name] if isinstance(given[name], list) else [given[name]]:
                words += [option, str(value)]
    return shlex.join([*words, *add, *(["--json"] if given["json"] else [])])
