"""`ask`: a question about a document, its answer, and the passages that it rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from datagen.commands.options import (
    MAX_RESPONSE_TOKENS,
    ApiKeyEnv,
    FormOptions,
    Json,
    MaxResponseTokens,
    Verbose,
    with_options,
)

if TYPE_CHECKING:
    from datagen.answering.ask import Asked
    from datagen.console import Reporter
    from datagen.records import Document


@with_options
def ask(
    context: typer.Context,
    document: Annotated[
        str,
        typer.Argument(
            metavar="DOCUMENT",
            help="What is asked about: a file (text, PDF, DOCX, EPUB, HTML, …), a folder, '-' for standard input, or "
            "hf://owner/name.",
        ),
    ],
    question: Annotated[str, typer.Argument(metavar="QUESTION", help="The question, in quotation marks.")],
    form: FormOptions,
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
    api_key_env: ApiKeyEnv = None,
    doc_id: Annotated[
        Optional[str],
        typer.Option("--doc-id", metavar="ID", help="Which document it is about, where there are several."),
    ] = None,
    max_response_tokens: MaxResponseTokens = MAX_RESPONSE_TOKENS,
    json: Json = False,
    verbose: Verbose = False,
) -> None:
    """Ask a trained model about a document. It answers, and the passages that it cites are quoted from the document.

    The exit code is 3 where the response cannot be read, or cites no passage.

    \b
    Examples:
      longrlvr-data ask book.txt "Who built the bridge?" --base-url http://localhost:8000/v1
      longrlvr-data ask report.pdf "What did it cost?" --base-url http://localhost:8000/v1
      longrlvr-data ask notes/ "When is it due?" --doc-id plan.md --model ./my-model -c runs/mine/config.yaml
    """
    given: dict[str, Any] = dict(locals())
    from datagen.commands import guard

    raise guard.guarded(lambda said: _ask(given, said), verbose)


def _ask(given: dict[str, Any], reporter: Reporter) -> int:
    from datagen.commands import guard
    from datagen.commands.advice import again
    from datagen.errors import ConfigError, UserError

    class Interrupted(UserError):
        exit_code = guard.INTERRUPTED

    try:
        return _answer(given, reporter)
    except ConfigError as e:
        if not e.add:
            raise
        raise ConfigError(f"{e}:\n  {again(given['context'], *e.add)}") from e
    except KeyboardInterrupt as e:
        raise Interrupted("interrupted: there is no answer") from e


def _answer(given: dict[str, Any], reporter: Reporter) -> int:
    from datagen import grounded
    from datagen.answering import ask, chosen
    from datagen.answering.shown import Thinking
    from datagen.commands.guard import COMPLETE, FAILED_ROWS

    form: FormOptions = given["form"]
    config = grounded.settings(form.config, form.set or ())
    document, said = chosen.one(given["document"], config.input, given["doc_id"])
    for sentence in said:
        reporter.say(sentence)
    names = ("base_url", "api_key_env", "max_response_tokens")
    model = ask.Respondent(name=given["model"], format=form.format, **{name: given[name] for name in names})
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
    (_print_json if given["json"] else _print)(asked, given, document, reporter)
    return COMPLETE if asked.answer.answer is not None and asked.answer.citations else FAILED_ROWS


def _quiet() -> None:
    """No bars of the transformers library, where it is installed."""
    from datagen import extras

    if extras.installed("transformers"):
        from transformers.utils import logging

        logging.disable_progress_bar()


def _print(asked: Asked, given: dict[str, Any], document: Document, reporter: Reporter) -> None:
    from datagen.answering import shown
    from datagen.console import put, screen

    answer, out = asked.answer, screen()
    for line in shown.told(answer, document.text, out.width if out.is_terminal else None, document.metadata):
        put(line)
    columns = reporter.console.width if reporter.console.is_terminal else None
    for problem in answer.problems:
        reporter.say(f"warning: {problem}")
    if answer.answer is None or not answer.citations:
        reporter.say("The response cannot be read as an answer with its citations. It says:")
        for line in shown.led_in(answer.response, columns, shown.RAW):
            reporter.say(line)


def _print_json(asked: Asked, given: dict[str, Any], document: Document, _: Reporter) -> None:
    from datagen.answering.shown import line_of
    from datagen.console import print_json
    from datagen.text import places

    answer = asked.answer
    citations = [
        vars(cited)
        | {"line": line_of(cited, document.text)}
        | {"pages": places.pages_of(document.metadata, cited.start, cited.end)}
        for cited in answer.citations
    ]
    print_json(
        {"document": given["document"], "doc_id": document.doc_id, "question": given["question"], "model": asked.model}
        | {"answer": answer.answer, "parsed": answer.parsed}
        | {"citations": citations}
        | {"reasoning": answer.reasoning, "problems": list(answer.problems), "response": answer.response}
        | {"prompt_tokens": asked.prompt_tokens, "completion_tokens": asked.completion_tokens}
    )
