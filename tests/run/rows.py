"""Rows and ledgers for the tests of both."""

from typing import Literal

from datagen.records import Cluster, Dropped
from datagen.run import ledger as ledgers


def cluster(doc: str, n: int = 0) -> Cluster:
    return Cluster(f"{doc}/c{n}", doc, [0, 1], 0.5, 0.5, 0.5)


def drop(row_id: str, reason: str = "too short", status: Literal["rejected", "failed"] = "rejected", unit="document"):
    return Dropped(unit, row_id, row_id.split("/")[0], status, reason, "")


def account(came_in: set[str], rows: list[Cluster], dropped: list[Dropped]) -> ledgers.Ledger:
    return ledgers.account("cluster", "document", "cluster", came_in, rows, dropped)


def entry(came_in: int, kept: int, rejected: dict | None = None, failed: dict | None = None) -> dict:
    return {"in": came_in, "kept": kept, "rejected": rejected or {}, "failed": failed or {}}
