"""The options, and the sets of them that commands take. A command has the options that it can use, and no others."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from inspect import Parameter, Signature
from typing import Annotated, Any, Literal, Optional, get_type_hints

import typer

from datagen.errors import ConfigError
from datagen.run.share import WHOLE, Share

RUN = "runs/default"
Resume = Literal["if-possible", "always", "never"]

ConfigFile = Annotated[
    Optional[str],
    typer.Option(
        "-c",
        "--config",
        metavar="FILE",
        help="A YAML file, or the name of a bundled configuration. On an existing run, its settings replace the run's; "
        "all others stay as they are.",
    ),
]
Settings = Annotated[
    Optional[list[str]],
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change one setting, such as cluster.min_cohesion=0.9. Can be given several times.",
    ),
]
OutputDir = Annotated[
    str,
    typer.Option("-o", "--output-dir", metavar="DIR", help="The run directory: a local path or any fsspec address."),
]
ResumeMode = Annotated[
    Resume,
    typer.Option(
        metavar="MODE",
        help="What to do with finished work. if-possible: keep it, and stop if settings have changed. always: keep it "
        "even if settings have changed. never: remove it and start over.",
    ),
]
PromptFormat = Annotated[
    Literal["ours", "published"],
    typer.Option(
        "--format",
        metavar="NAME",
        help="How documents are cut and shown. ours: as in datasets made with this configuration. published: as the "
        "models published with LongRLVR were trained.",
    ),
]
TrainedBy = Annotated[
    Optional[str],
    typer.Option(
        "-c",
        "--config",
        metavar="FILE",
        help="The configuration of the data that the model was trained on, such as RUN/config.yaml, or the name of a "
        "bundled one: how documents are cut into chunks, and the prompt.",
    ),
]
MAX_RESPONSE_TOKENS = 4096
MaxResponseTokens = Annotated[
    int,
    typer.Option(
        "--max-response-tokens", min=1, metavar="N", help="Most tokens of a response, its reasoning included."
    ),
]
ApiKeyEnv = Annotated[
    Optional[str],
    typer.Option("--api-key-env", metavar="NAME", help="The environment variable that holds the server's key."),
]
Workers = Annotated[
    Optional[int],
    typer.Option("--workers", min=1, metavar="N", help="Number of worker processes. Default: one per core."),
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON (see docs/json.md).")]
Verbose = Annotated[
    bool, typer.Option("-v", "--verbose", help="Name every row that is set aside, and print tracebacks for errors.")
]
Input = Annotated[
    Optional[str],
    typer.Option(
        "--input",
        metavar="PATH",
        help="The documents: a file, a folder, '-' for standard input, or hf://owner/name.",
    ),
]
Limit = Annotated[Optional[int], typer.Option("--limit", min=1, metavar="N", help="Read only the first N documents.")]
Strict = Annotated[bool, typer.Option("--strict", help="Stop at the first bad row instead of setting it aside.")]
Seed = Annotated[
    Optional[int],
    typer.Option("--seed", min=0, metavar="N", help="The seed of everything that is drawn at random. Default: 0."),
]
BaseUrl = Annotated[
    Optional[list[str]],
    typer.Option(
        "--base-url",
        metavar="URL",
        help="A server with an OpenAI-compatible API, such as http://localhost:8000/v1. Can be given several times, to "
        "share the requests among several servers.",
    ),
]
Model = Annotated[
    Optional[str], typer.Option("--model", metavar="NAME", help="The language model, by its name on the server.")
]
Concurrency = Annotated[
    Optional[int],
    typer.Option(
        "--concurrency",
        min=1,
        metavar="N",
        help="Most requests in flight at once at each of the model's servers. Default: as many as make replies come "
        "faster.",
    ),
]
MaxCost = Annotated[
    Optional[float], typer.Option("--max-cost", min=0, metavar="USD", help="Most US dollars that the run may spend.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Print the first requests as they would be sent to the model, and stop.")
]
Offline = Annotated[bool, typer.Option("--offline", help="Ask no model: take all replies from the run's journal.")]


ExecutorName = Annotated[
    Literal["local", "ray"],
    typer.Option(
        "--executor",
        metavar="NAME",
        help="Where shards are processed. local: in worker processes. ray: in tasks of a Ray cluster, whose nodes all "
        "see the run and the documents under the same paths (extra: ray).",
    ),
]
RayAddress = Annotated[
    Optional[str],
    typer.Option(
        "--ray-address",
        metavar="HOST:PORT",
        help="The cluster of --executor ray, 'auto' on one of its nodes. Default: a cluster of this machine alone, "
        "started for this command.",
    ),
]
NumShards = Annotated[
    Optional[int],
    typer.Option(
        "--num-shards",
        min=1,
        metavar="N",
        help="Do one of N parts of the work, as a job of an array that a scheduler runs: every N-th shard of the run, "
        "from that of --shard-index on. `finish` ends such a run.",
    ),
]
ShardIndex = Annotated[
    Optional[int],
    typer.Option("--shard-index", min=0, metavar="I", help="Which part of --num-shards, from 0 on."),
]


@dataclass(frozen=True, kw_only=True)
class StageOptions:
    """What every command that runs stages takes."""

    config: ConfigFile = None
    set: Settings = None
    output_dir: OutputDir = RUN
    workers: Workers = None
    resume: ResumeMode = "if-possible"
    json: Json = False
    verbose: Verbose = False


@dataclass(frozen=True, kw_only=True)
class InputOptions:
    """What a command that reads documents takes."""

    input: Input = None
    limit: Limit = None
    strict: Strict = False


@dataclass(frozen=True, kw_only=True)
class SeedOptions:
    """What a command that draws at random takes."""

    seed: Seed = None


@dataclass(frozen=True, kw_only=True)
class ShareOptions:
    """What a command takes of which several jobs can each do a part."""

    num_shards: NumShards = None
    shard_index: ShardIndex = None

    def share(self) -> Share:
        """The job's share. Raises ConfigError where the two do not fit together."""
        if self.num_shards is None and self.shard_index is None:
            return WHOLE
        if self.num_shards is None or self.shard_index is None or self.shard_index >= self.num_shards:
            raise ConfigError(
                "--num-shards and --shard-index go together, and the index counts from 0: jobs of an array of four are "
                "given --num-shards 4 and --shard-index 0, 1, 2 and 3"
            )
        return Share(self.shard_index, self.num_shards)


@dataclass(frozen=True, kw_only=True)
class ExecutorOptions:
    """What a command takes whose shards may be processed elsewhere."""

    executor: ExecutorName = "local"
    ray_address: RayAddress = None

    def check(self) -> None:
        """Raise ConfigError where an address is given that nobody would go to, or is none."""
        if self.ray_address is None:
            return
        if self.executor != "ray":
            raise ConfigError("--ray-address is for --executor ray: give both", ("--executor", "ray"))
        if self.ray_address != "auto" and not re.fullmatch(r"(ray://)?[^\s/]+:[0-9]{1,5}", self.ray_address):
            raise ConfigError(f"--ray-address {self.ray_address!r}: it is HOST:PORT, such as node1:6379, or auto")


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """What a command that asks a language model takes."""

    base_url: BaseUrl = None
    model: Model = None
    concurrency: Concurrency = None
    max_cost: MaxCost = None
    dry_run: DryRun = False
    offline: Offline = False


@dataclass(frozen=True, kw_only=True)
class FormOptions:
    """What a command takes that shows a model documents, as it was trained to see them."""

    format: PromptFormat = "ours"
    config: TrainedBy = None
    set: Settings = None


Options = StageOptions | InputOptions | SeedOptions | ModelOptions | ShareOptions | ExecutorOptions


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command whose parameters may be option sets, as a function with one parameter per option, which Typer reads."""
    hints = get_type_hints(command, include_extras=True)
    hints.pop("return", None)
    sets: dict[str, Any] = {name: kind for name, kind in hints.items() if is_dataclass(kind)}
    parameters = []
    for name, own in Signature.from_callable(command).parameters.items():
        if name in sets:
            types = get_type_hints(sets[name], include_extras=True)
            parameters += [
                Parameter(f.name, Parameter.KEYWORD_ONLY, default=f.default, annotation=types[f.name])
                for f in fields(sets[name])
            ]
        else:
            parameters.append(own.replace(kind=Parameter.KEYWORD_ONLY, annotation=hints[name]))

    @wraps(command)
    def flat(**given: Any) -> None:
        built = {name: kind(**{f.name: given.pop(f.name) for f in fields(kind)}) for name, kind in sets.items()}
        command(**built, **given)

    flat.__signature__ = Signature(parameters)  # pyright: ignore[reportAttributeAccessIssue]
    flat.__annotations__ = {p.name: p.annotation for p in parameters}
    return flat
