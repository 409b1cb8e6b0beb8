"""`cluster`: embed the chunks, and cluster each document's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Optional

import typer

from datagen.commands.options import ExecutorOptions, SeedOptions, ShareOptions, StageOptions, with_options

if TYPE_CHECKING:
    from datagen.console import Reporter

Inspect = Annotated[
    Optional[str],
    typer.Option(
        "--inspect",
        metavar="DOC",
        help="Print the clusters of one document, given by its id, that of one of its clusters, or a part of it, and "
        "what other values of cluster.min_cohesion would give. Writes nothing.",
    ),
]


@with_options
def cluster(
    options: StageOptions, seed: SeedOptions, share: ShareOptions, executor: ExecutorOptions, inspect: Inspect = None
) -> None:
    """Embed the chunks, and cluster them by theme.

    \b
    Examples:
      longrlvr-data cluster -o runs/mine
      longrlvr-data cluster -o runs/mine --inspect chapter-3 --set cluster.max_clusters=8
    """
    from datagen.commands import guard, running

    def work(said: Reporter) -> int:
        if inspect is not None:
            return _inspect(inspect, options, seed, said)
        return running.run_stages("cluster", said, options, seed, share, executor)

    raise guard.guarded(work, options.verbose)


def _inspect(wanted: str, options: StageOptions, seed: SeedOptions, reporter: Reporter) -> int:
    from datagen.commands import configuration, guard
    from datagen.commands.advice import Given, advised
    from datagen.console import print_json, screen
    from datagen.errors import StaleStage
    from datagen.inspect import clusters
    from datagen.stages import STAGES, runner

    run, given = options.output_dir, configuration.overrides(options, seed)
    with advised(Given("cluster", run, options.config, given, ("--inspect", wanted))):
        config = configuration.settled(run, options.config, given)
        try:
            runner.check_upstream(STAGES[:1], run, config, options.resume)
        except StaleStage as e:
            what = "--inspect shows what other settings of `cluster` and `embed` give."
            raise StaleStage(f"{e}\n{what}", e.stage) from e
        found = clusters.inspect(run, wanted, config, reporter)
    reporter.close()
    if options.json:
        print_json(clusters.as_json(found))
    else:
        clusters.show(found, screen())
    return guard.COMPLETE
