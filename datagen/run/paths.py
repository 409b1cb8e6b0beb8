"""Where everything in a run directory stands, and how the files of a dataset are called.

The file of an identity is `identity`'s, which keeps one beside what training makes as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datagen import segments, shards
from datagen.errors import DamagedFile, UserError
from datagen.run.share import WHOLE, Share

JOURNAL = ".jsonl"  # ends the names of journals
TRIAL = "trial"  # the name of the journal of what models were tried out with, among those of the shards
DATASET = "dataset"  # the folder of a run's dataset
DATA, CARD, PROVENANCE = "data", "README.md", "provenance.json"  # what is in a dataset's folder


@dataclass(frozen=True)
class RunPaths:
    """The places of a run directory, which may be a local folder or any address that fsspec knows."""

    path: str

    def folder(self, stage: str, table: str = "") -> str:
        """The folder of a stage's shards, or of one of its other tables, such as "dropped"."""
        return shards.join(*filter(None, (self.path, stage, table)))

    def shard(self, stage: str, name: str, table: str = "") -> str:
        """The file of one shard."""
        return shards.join(self.folder(stage, table), name + shards.SUFFIX)

    def names(self, stage: str, table: str = "") -> list[str]:
        """The names of the shards that are finished, in order."""
        return shards.names(self.folder(stage, table))

    def journals(self, stage: str) -> str:
        """The folder of a stage's journals, which stay when its shards are made anew."""
        here = str(self.local) if shards.is_local(self.path) else self.path
        return shards.join(here, "journal", stage)

    def journal(self, stage: str, shard: str) -> str:
        """The journal of one shard."""
        return shards.join(self.journals(stage), shard + JOURNAL)

    def trial(self, stage: str) -> str:
        """The file of what a stage's models showed before they were believed."""
        return shards.join(self.folder(stage), "trial.json")

    def trial_journal(self, stage: str, share: Share = WHOLE) -> str:
        """The journal of what a stage's models were tried out with, one for each of several jobs: no two processes
        write into one file.
        """
        return self.journal(stage, share.named(TRIAL) if share.index else TRIAL)

    def journal_sizes(self, stage: str) -> dict[str, int]:
        """A stage's journals, in order, each with its length in bytes."""
        folder = self.journals(stage)
        if shards.is_local(folder):
            return {str(file): file.stat().st_size for file in sorted(Path(folder).glob(f"*{JOURNAL}"))}
        found = segments.sizes(folder)
        return {shards.join(folder, name): size for name, size in found.items() if name.endswith(JOURNAL)}

    def journal_files(self, stage: str, share: Share = WHOLE) -> list[str]:
        """A stage's journals, or those of a job's share of it, in order."""
        found = list(self.journal_sizes(stage))
        if share.is_whole:
            return found
        own = {self.trial_journal(stage, share), *(self.journal(stage, name) for name in share.of(self.layout or []))}
        return [path for path in found if path in own]

    @property
    def local(self) -> Path:
        """The run directory on this machine."""
        return Path(self.path.removeprefix("file://"))

    @property
    def settings(self) -> str:
        """The file of the run's own settings."""
        return shards.join(self.path, "config.yaml")

    @property
    def dataset_folder(self) -> str:
        """The folder of the dataset."""
        return shards.join(self.path, DATASET)

    def dataset_files(self, split: str) -> list[str]:
        """The files of a split of the dataset, in order; none where there is no dataset."""
        folder = shards.join(self.dataset_folder, DATA)
        found = [name for name in shards.names(folder) if name.startswith(f"{split}-")]
        return [shards.join(folder, name + shards.SUFFIX) for name in found]

    @property
    def dataset_unfinished(self) -> str:
        """Where a dataset is written until it is whole."""
        return shards.join(self.path, ".dataset")

    @property
    def provenance(self) -> str:
        """The file that says what the dataset was made from."""
        return shards.join(self.dataset_folder, PROVENANCE)

    @property
    def input_folder(self) -> Path:
        """Where standard input is kept."""
        return self.local / "input"

    @property
    def input_hashes(self) -> str:
        """The file that keeps the content hashes of input files by size and time: resuming reads nothing twice."""
        return shards.join(self.path, ".fingerprints.json")

    def summary(self, stage: str) -> str:
        """The file of a stage's ledger over all its shards."""
        return shards.join(self.folder(stage), "ledger.json")

    @property
    def layout_file(self) -> str:
        """The file that names the shards of the run, written once the whole input was read."""
        return shards.join(self.folder("chunk"), "shards.json")

    @property
    def layout(self) -> list[str] | None:
        """The names of the shards of the run; None until the whole input was read. Raises DamagedFile where these are
        not the names of its shards.
        """
        names: Any = shards.read_json(self.layout_file)
        if names is None:
            return None
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DamagedFile(self.layout_file, "it holds no list of names")
        if others := sorted(set(self.names("chunk")) - set(names)):
            raise DamagedFile(self.layout_file, f"it does not name {others[0]}, which is there")
        return names

    def is_complete(self, stage: str, share: Share = WHOLE) -> bool:
        """Whether every shard of a stage, or of a job's share of it, is there."""
        layout = self.layout
        return layout is not None and set(self.names(stage)) >= set(share.of(layout))

    def check(self) -> None:
        """Raise UserError if there is no run here."""
        if not shards.exists(self.path):
            raise UserError(f"{self.path}: there is no such folder: check the path of the run")
        if not shards.exists(self.folder("chunk")):
            below = [shards.join(self.path, name) for name in shards.listing(self.path)]
            runs = [path for path in below if shards.exists(RunPaths(path).folder("chunk"))]
            inside = f", but in {', '.join(runs[:3])}" if runs else ""
            raise UserError(f"{self.path} is no run directory: there is no chunk folder in it{inside}")
