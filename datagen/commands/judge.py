"""`judge`: check and rate the candidates."""

from __future__ import annotations

from datagen.commands.options import ExecutorOptions, ModelOptions, ShareOptions, StageOptions, with_options


@with_options
def judge(options: StageOptions, model: ModelOptions, share: ShareOptions, executor: ExecutorOptions) -> None:
    """Check the candidates' labels, and rate them.

    \b
    Examples:
      longrlvr-data judge -o runs/mine
      longrlvr-data judge -o runs/mine --base-url http://localhost:8000/v1 --model NAME --max-cost 5
    """
    from datagen.commands import guard, running

    raise guard.guarded(
        lambda said: running.run_stages("judge", said, options, model, share, executor), options.verbose
    )
