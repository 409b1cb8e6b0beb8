"""`select`: choose the best candidates, and write the dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Optional

import typer

from datagen.commands.options import SeedOptions, StageOptions, with_options

if TYPE_CHECKING:
    from datagen.console import Reporter

Explain = Annotated[
    Optional[str],
    typer.Option(
        "--explain",
        metavar="ID",
        help="Print everything the run knows about a candidate or a cluster, given by its id or a part of "
        "it: what each stage found, and why it was kept or left. Writes nothing.",
    ),
]


@with_options
def select(options: StageOptions, seed: SeedOptions, explain: Explain = None) -> None:
    """Choose the best candidates, and write RUN/dataset.

    \b
    Examples:
      longrlvr-data select -o runs/mine --set select.min_rating=6 --resume never
      longrlvr-data select -o runs/mine --explain chapter-3/c0
    """
    from datagen.commands import guard, running

    def work(said: Reporter) -> int:
        if explain is not None:
            return _explain(explain, options)
        return running.run_stages("select", said, options, seed)

    raise guard.guarded(work, options.verbose)


def _explain(wanted: str, options: StageOptions) -> int:
    import json

    from rich.console import Console

    from datagen.commands import guard
    from datagen.inspect import story, story_text

    told = story.tell(options.output_dir, wanted)
    if options.json:
        print(json.dumps(story.as_json(told), indent=1, ensure_ascii=False))
    else:
        story_text.show(told, Console(highlight=False))
    return guard.COMPLETE
