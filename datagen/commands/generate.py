"""`generate`: question, answer and evidence candidates."""

from __future__ import annotations

from datagen.commands.options import (
    ExecutorOptions,
    ModelOptions,
    SeedOptions,
    ShareOptions,
    StageOptions,
    with_options,
)


@with_options
def generate(
    options: StageOptions, seed: SeedOptions, model: ModelOptions, share: ShareOptions, executor: ExecutorOptions
) -> None:
    """Make question candidates for every cluster.

    \b
    Examples:
      longrlvr-data generate -o runs/mine
      longrlvr-data generate -o runs/mine --set generate.method=llm --model NAME --dry-run
    """
    from datagen.commands import guard, running

    raise guard.guarded(
        lambda said: running.run_stages("generate", said, options, seed, model, share, executor), options.verbose
    )
