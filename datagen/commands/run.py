"""`run`: all stages in order."""

from __future__ import annotations

from datagen.commands.options import (
    ExecutorOptions,
    InputOptions,
    ModelOptions,
    SeedOptions,
    ShareOptions,
    StageOptions,
    with_options,
)


@with_options
def run(
    options: StageOptions,
    source: InputOptions,
    seed: SeedOptions,
    model: ModelOptions,
    share: ShareOptions,
    executor: ExecutorOptions,
) -> None:
    """Run all stages in order, and write RUN/dataset.

    \b
    Examples:
      longrlvr-data run -c extractive --input my-documents/ -o runs/mine
      longrlvr-data run -c openai --input books.jsonl -o runs/books --model NAME --max-cost 5
      longrlvr-data run -o runs/mine --set select.min_rating=6
    """
    from datagen.commands import guard, running

    raise guard.guarded(
        lambda said: running.run_stages("run", said, options, source, seed, model, share, executor), options.verbose
    )
