"""The stages in running order. The `cluster` command runs `embed` and `cluster`: new thresholds need no new vectors."""

from datagen.stages import chunk, cluster, embed, generate, judge, select
from datagen.stages.stage import Stage

STAGES: tuple[Stage, ...] = (chunk.STAGE, embed.STAGE, cluster.STAGE, generate.STAGE, judge.STAGE, select.STAGE)
COMMANDS: dict[str, tuple[str, ...]] = {
    "chunk": ("chunk",),
    "cluster": ("embed", "cluster"),
    "generate": ("generate",),
    "judge": ("judge",),
    "select": ("select",),
}
