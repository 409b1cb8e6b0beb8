"""A stage that asks a language model, run against a server on this machine."""

from dataclasses import dataclass, field
from pathlib import Path

from datagen import shards
from datagen.config import model as configs
from datagen.config.model import Config
from datagen.console import Reporter
from datagen.executors import local as executors
from datagen.run.ledger import Ledger
from datagen.run.resume import Resume
from datagen.stages import runner
from datagen.stages.stage import Stage
from tests.servers.openai_server import Server, serve
from tests.servers.settings import Settings


@dataclass
class Run:
    """A run directory in which everything before a stage is finished."""

    stage: Stage
    folder: str
    config: Config
    usual: Settings = field(default_factory=Settings)  # of the server
    server: Server | None = None

    def go(self, settings: Settings | None = None, resume: Resume = "if-possible", **given) -> Ledger:
        """Run the stage against a server of its own; settings are written `generate__candidates=2`."""
        with serve(settings or self.usual) as self.server:
            named = {name.replace("__", "."): value for name, value in given.items()}
            self.config = configs.merge(self.config, {"engine.endpoints": [{"base_url": self.server.url}], **named})
            return self._run(resume)

    def offline(self) -> Ledger:
        return self._run("never", offline=True)

    def _run(self, resume: Resume, offline: bool = False) -> Ledger:
        with executors.pool(1) as pool:
            return runner.run(self.stage, self.folder, self.config, resume, pool, Reporter(quiet=True), offline)

    @property
    def requests(self) -> int:
        assert self.server
        return self.server.stats.requests

    def rows(self, name: str, record: type, table: str = "") -> list:
        folder = shards.join(self.folder, name, table) if table else shards.join(self.folder, name)
        return [row for s in shards.names(folder) for row in shards.read_rows(f"{folder}/{s}.parquet", record)]

    def data(self) -> dict[str, bytes]:
        folder = Path(self.folder, self.stage.name)
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*.parquet")}


def balanced(ledger: Ledger) -> bool:
    return all(
        entry["in"] == entry["kept"] + sum(entry["rejected"].values()) + sum(entry["failed"].values())
        for entry in ledger.values()
    )
