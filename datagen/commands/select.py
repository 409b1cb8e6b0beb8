"""`select`: choose the best candidates, and write the dataset."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datagen.commands.explain import Explain
from datagen.commands.options import ExecutorOptions, SeedOptions, StageOptions, with_options

if TYPE_CHECKING:
    from datagen.console import Reporter


@with_options
def select(options: StageOptions, seed: SeedOptions, executor: ExecutorOptions, explain: Explain = None) -> None:
    """Choose the best candidates, and write RUN/dataset.

    \b
    Examples:
      longrlvr-data select -o runs/mine --set select.min_rating=6 --resume never
      longrlvr-data select -o runs/mine --explain chapter-3/c0
    """
    from datagen.commands import guard, running
    from datagen.commands.explain import explain as explain_id

    def work(said: Reporter) -> int:
        if explain is not None:
            return explain_id(options.output_dir, explain, options.json)
        return running.run_stages("select", said, options, seed, executor)

    raise guard.guarded(work, options.verbose)
