"""How far a run is: for every stage its ledger, what is pending, and whether something before it was made again."""

from __future__ import annotations

from dataclasses import dataclass

from datagen import shards
from datagen.errors import DamagedFile
from datagen.run import identity
from datagen.run import ledger as ledgers
from datagen.run.ledger import Ledger
from datagen.run.paths import RunPaths
from datagen.run.share import WHOLE, Share
from datagen.run.tables import TABLES, Table


@dataclass(frozen=True)
class StageStatus:
    """How far a stage is: its ledger over the finished shards, and how many rows of its input unit are pending.

    `begun` long before the first shard is finished, where a language model is slow.
    """

    name: str
    shards_done: int
    shards_total: int | None  # None until chunk has seen the end of the input
    rows: int
    ledger: Ledger
    pending: int | None
    seconds: float | None
    mixed: bool
    stale: list[str]  # the stages before it that were made again, or are stale themselves
    begun: bool


def statuses(run: RunPaths) -> list[StageStatus]:
    """The state of every stage and, last, of the dataset, whose rows are candidates."""
    found: list[StageStatus] = []
    for table in TABLES.values():
        found.append(stage_status(run, table, {s.name for s in found if s.stale}))
    return [*found, _dataset_status(run, found)]


def stage_status(run: RunPaths, table: Table, stale: set[str] | None = None, share: Share = WHOLE) -> StageStatus:
    """Read a stage's state, or that of a job's share of it, from the footers of its shards. `stale` are stages before
    it that are known to be so.
    """
    folder, primary = run.folder(table.name), table.reads[0] if table.reads else None
    layout = run.layout
    # Before the layout is known, no job can tell which shards are its own; then there are no later stages either.
    counted = None if layout is None or share.is_whole else set(share.of(layout))
    done, rows, ledger = _among(run.names(table.name), counted), 0, Ledger()
    stored = identity.load(folder)
    for shard in done:
        footer = shards.read_footer(run.shard(table.name, shard))
        if wrong := identity.problem(stored, footer.origin, f"{table.name}/{shard}"):
            raise DamagedFile(run.shard(table.name, shard), wrong)
        rows, ledger = rows + footer.n_rows, ledgers.add([ledger, footer.ledger])
    total = None if layout is None else len(share.of(layout))
    pending: int | None = None
    if primary is None:
        pending = 0 if layout is not None and total == len(done) else None
    elif shards.exists(folder) or shards.exists(run.folder(primary)):
        todo = sorted(set(_among(run.names(primary), counted)) - set(done))
        pending = sum(shards.read_footer(run.shard(primary, s)).ledger[table.input_unit]["kept"] for s in todo)
    return StageStatus(
        name=table.name,
        shards_done=len(done),
        shards_total=total,
        rows=rows,
        ledger=ledger,
        pending=pending,
        seconds=seconds_spent(run, table.name),
        mixed=bool(stored and stored.mixed),
        stale=_made_again(run, stored.upstream, stale or set()) if stored and done else [],
        begun=bool(stored or done),
    )


def _among(names: list[str], counted: set[str] | None) -> list[str]:
    """Those that count, where not all do."""
    return names if counted is None else [name for name in names if name in counted]


def seconds_spent(run: RunPaths, stage: str) -> float | None:
    """How long a stage took, over all the times it was run; None where it never ended."""
    place = run.summary(stage)
    seconds = (shards.read_object(place) or {}).get("seconds")
    if seconds is not None and not isinstance(seconds, (int, float)):
        raise DamagedFile(place, "seconds is no number")
    return seconds


def _dataset_status(run: RunPaths, before: list[StageStatus]) -> StageStatus:
    """`provenance.json` names the identities that the dataset was made from."""
    selected = before[-1].ledger.get("candidate", {"kept": 0})["kept"]
    made_from = (shards.read_object(run.provenance) or {}).get("stages", {})
    try:
        rows = made_from["select"]["ledger"]["candidate"]["kept"] if made_from else 0
        identities = {name: stage["identity"] for name, stage in made_from.items()}
    except (KeyError, TypeError, AttributeError) as e:
        raise DamagedFile(run.provenance, "it does not say what each stage made") from e
    ledger = ledgers.add([{"candidate": {"in": rows, "kept": rows, "rejected": {}, "failed": {}}}] if rows else [])
    return StageStatus(
        name="dataset",
        shards_done=bool(made_from),
        shards_total=1,
        rows=rows,
        ledger=ledger,
        pending=0 if made_from else selected or None,
        seconds=None,
        mixed=any(stage["mixed"] for stage in made_from.values()),
        stale=_made_again(run, identities, {s.name for s in before if s.stale}),
        begun=bool(made_from),
    )


def _made_again(run: RunPaths, made_from: dict[str, str], stale: set[str]) -> list[str]:
    """The stages whose identity is another now, or that are stale themselves."""
    there = {name: identity.load(run.folder(name)) for name in made_from}
    return [name for name, old in made_from.items() if name in stale or getattr(there[name], "digest", None) != old]
