"""What is said of the context window that a stage's longest request needs, before anything is asked."""

from __future__ import annotations

from collections.abc import Iterator

from datagen.config.model import Config
from datagen.llm import need, window
from datagen.run.run import Run
from datagen.run.shard import Shard
from datagen.run.share import WHOLE, Share
from datagen.stages.stage import Conversations, Stage

LOWER = {  # settings that make a stage's prompts shorter
    "generate": "cluster.max_cluster_size, chunk.max_tokens",
    "judge": "judge.neighbours, cluster.max_cluster_size, chunk.max_tokens",
}


def said(stage: Stage, run: Run, config: Config, share: Share = WHOLE) -> Iterator[str]:
    """A sentence for each model that the stage asks, and one for each of its servers whose window is too small."""
    if not isinstance(stage.work, Conversations):
        return
    kinds, engines = stage.work.asks(config), stage.models(config)
    shards = (Shard(run.path, name, config) for name in share.of(run.layout or []))
    found = need.longest(kinds, (size for shard in shards for size in need.sizes(shard, stage.name)), config)
    unknown = [asks.what or config.generate.method for asks in kinds if not asks.shows]
    for name, most in found.items():
        whose = f"{stage.name}: the longest request to {engines[name].model}"
        of = f" ({most.what})" if most.what else ""
        yield (
            f"{whose} may need a context window of about {most.total:,} tokens: {most.prompt:,} for its prompt{of}, "
            f"{most.reply:,} for its reply"
        )
        for where, tokens in window.stated(engines[name]).items():
            if tokens < most.total:
                setting = f"{stage.name}.sampling.max_tokens"
                yield (
                    f"warning: {where} has a context window of {tokens:,} tokens: requests that need more will fail. "
                    f"Raise it ({window.RAISE}), or lower {setting}, {LOWER[stage.name]}"
                )
    if unknown:
        yield f"{stage.name}: what context {', '.join(unknown)} needs is not known"
