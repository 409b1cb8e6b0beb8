"""`--explain ID` of `status` and `select`: what became of a document, a cluster or a candidate."""

from __future__ import annotations

from typing import Annotated, Optional

import typer

Explain = Annotated[
    Optional[str],
    typer.Option(
        "--explain",
        metavar="ID",
        help="Print everything the run knows about a document, a cluster or a candidate, given by its id or a part of "
        "it: what each stage made of it, and why it was kept or left. Writes nothing.",
    ),
]


def explain(run: str, wanted: str, as_json: bool) -> int:
    """Print the story, and return the exit code. Raises UserError where nothing of the run has that id."""
    from datagen.commands import guard
    from datagen.commands.advice import repairable
    from datagen.console import print_json, screen
    from datagen.inspect import story, story_text

    with repairable(run):
        told = story.tell(run, wanted)
    if as_json:
        print_json(story.as_json(told))
    else:
        story_text.show(told, screen())
    return guard.COMPLETE
