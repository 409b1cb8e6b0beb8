"""Runs of an earlier version, as they would be if it had cut, embedded and clustered documents as it is done now."""

from pathlib import Path

from datagen import shards
from datagen.config.model import Config
from datagen.run import identity
from datagen.stages import chunk, cluster, embed
from datagen.tasks import task

CHANGED = {"chunk": chunk.STAGE, "embed": embed.STAGE, "cluster": cluster.STAGE}  # otherwise than in names


def restamp(run: Path, config: Config, *stages: str) -> None:
    """Have the stages of a run say so, in their order, and that extractive questions are made by the task of now. Its
    encoder is all-MiniLM-L6-v2, which `config` names as it is named now.
    """
    digests: dict[str, str] = {}
    for stage in stages:
        place = str(run / stage / identity.FILE)
        parts = {name: value for name, value in (shards.read_object(place) or {}).items() if name != "identity"}
        parts["upstream"] = {name: digests[name] for name in parts["upstream"]}
        if "embed.model" in parts["settings"]:
            parts["settings"]["embed.model"] = config.embed.model
        if stage in CHANGED:
            now = CHANGED[stage].identity(config).parts
            parts |= {name: value for name, value in now.items() if name not in ("fingerprints", "upstream")}
        if stage == "generate" and config.generate.method == "extractive":
            parts["fingerprints"] = task.fingerprints(config)
        digests[stage] = identity.digest(parts)
        shards.write_json(place, {"identity": digests[stage], **parts})
