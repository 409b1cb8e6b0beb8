"""A run directory as a person or another module reads it: tables, rows, settings, status and the dataset."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import yaml

from datagen import shards
from datagen.config import model as configs
from datagen.config.model import Config
from datagen.errors import UserError
from datagen.records import Dropped
from datagen.run.paths import RunPaths
from datagen.run.status import StageStatus, statuses
from datagen.run.tables import TABLES

if TYPE_CHECKING:
    import pandas as pd


class Run(RunPaths):
    """A run. `Run("runs/mine").frame("select")` is what was selected; reading writes nothing."""

    @property
    def tables(self) -> list[str]:
        """The tables that hold a finished shard, as "stage" or "stage/table"."""
        known = [(name, side) for name, table in TABLES.items() for side in ("", *table.side, "dropped")]
        return ["/".join(filter(None, place)) for place in known if self.names(*place)]

    def rows(self, stage: str, table: str = "") -> Iterator[Any]:
        """The records of a stage's finished shards, in order; `table` is one of its others, such as "documents".

        Raises UserError for a stage or table that there is none of, and for a shard that cannot be read.
        """
        record = _record(stage, table)
        for name in self.names(stage, table):
            yield from shards.read_rows(self.shard(stage, name, table), record)

    def dropped(self, stage: str) -> Iterator[Dropped]:
        """The rows that left the run at a stage, each with its reason."""
        return self.rows(stage, "dropped")

    def frame(self, stage: str, table: str = "") -> pd.DataFrame:
        """A stage's rows as a pandas frame, a column for each field of the record."""
        import pyarrow as pa

        from datagen import records

        schema = records.schema(_record(stage, table))
        paths = [self.shard(stage, name, table) for name in self.names(stage, table)]
        parts = [shards.read_table(path) for path in paths]
        return pa.concat_tables([schema.empty_table(), *parts], promote_options="default").to_pandas()

    def dataset(self, split: str = "train") -> pd.DataFrame:
        """The rows of the dataset. Raises UserError if the run has none, or none of that split."""
        import pandas as pd

        files = self.dataset_files(split)
        if not files:
            here = shlex.quote(self.path)
            raise UserError(f"{self.path} has no {split} rows of a dataset: `longrlvr-data select -o {here}`")
        return pd.concat([shards.read_table(file).to_pandas() for file in files], ignore_index=True)

    @property
    def config(self) -> Config:
        """The run's own settings. Raises UserError if it keeps none."""
        if not shards.exists(self.settings):
            raise UserError(f"{self.path} is no run directory: there is no config.yaml in it")
        return configs.parse(self.settings_text, self.settings, saved=True)

    @property
    def settings_text(self) -> str:
        """The run's own settings as YAML. Raises UserError where they are no text."""
        try:
            return shards.read_bytes(self.settings).decode()
        except UnicodeDecodeError as e:
            again = "put it back from a copy, or give all settings again by -c after removing it"
            raise UserError(f"{self.settings}: is damaged, it holds no text ({e}): {again}") from e
        except OSError as e:
            raise UserError(f"{self.settings}: cannot be read: {e.strerror or e}: put it back from a copy") from e

    def save_config(self, config: Config) -> None:
        """Keep the settings of the run, but not how one command was carried out."""
        text = _written(config)
        if not shards.exists(self.settings) or shards.read_bytes(self.settings) != text:
            shards.write_bytes(self.settings, text)

    def create_config(self, config: Config) -> bool:
        """Keep the settings of a run that has none yet, as `save_config` does. False where it has some."""
        try:
            shards.create(self.settings, _written(config))
        except FileExistsError:
            return False
        return True

    def status(self) -> list[StageStatus]:
        """How far each stage is, and last the dataset; what is stale because something before it was made again."""
        return statuses(self)


def _written(config: Config) -> bytes:
    settings = config.model_dump(exclude_none=True, exclude={"workers": True, "input": {"strict"}})
    return yaml.safe_dump(settings, sort_keys=False, allow_unicode=True).encode()


def _record(stage: str, table: str) -> type:
    if stage not in TABLES:
        raise UserError(f"{stage} is no stage: {', '.join(TABLES)}")
    known = {"": TABLES[stage].record, "dropped": Dropped, **TABLES[stage].side}
    if table not in known:
        raise UserError(f"{stage} has no table {table}: {', '.join(filter(None, known))}")
    return known[table]
