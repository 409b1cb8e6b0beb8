"""`chunk`: the first stage, which reads the documents."""

from __future__ import annotations

from datagen.commands.options import ExecutorOptions, InputOptions, ShareOptions, StageOptions, with_options


@with_options
def chunk(options: StageOptions, source: InputOptions, share: ShareOptions, executor: ExecutorOptions) -> None:
    """Cut the documents into chunks with exact offsets.

    \b
    Example:
      longrlvr-data chunk --input my-documents/ -o runs/mine --set chunk.max_tokens=256
    """
    from datagen.commands import guard, running

    raise guard.guarded(
        lambda said: running.run_stages("chunk", said, options, source, share, executor), options.verbose
    )
