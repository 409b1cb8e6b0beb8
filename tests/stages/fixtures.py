"""Running stages one by one, and the tiny corpus they run on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datagen.config import model as configs
from datagen.config.model import Config
from datagen.console import Reporter
from datagen.executors import local as executors
from datagen.run.ledger import Ledger
from datagen.run.resume import Resume
from datagen.stages import STAGES, runner
from tests.chronicle import chronicle

Go = Callable[..., Ledger]


def go(run: Path | str, config: Config, *names: str, resume: Resume = "if-possible") -> dict[str, Ledger]:
    """Run these stages, in the order of the pipeline, in this process."""
    with executors.pool(1) as pool:
        chosen = [s for s in STAGES if s.name in names]
        return {s.name: runner.run(s, str(run), config, resume, pool, Reporter(quiet=True)) for s in chosen}


def settings(path: Path | str, **given: Any) -> Config:
    """The defaults with these settings, written `chunk__max_tokens=64`."""
    return configs.load(None, {"input.path": str(path), **{k.replace("__", "."): v for k, v in given.items()}})


@pytest.fixture(scope="session", name="go")
def go_() -> Callable[..., dict[str, Ledger]]:
    return go


@pytest.fixture(scope="session", name="settings")
def settings_() -> Callable[..., Config]:
    return settings


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three sections of the language reference, each with a chronicle; the third is also a part of the second."""
    topics = pytest.importorskip("pydoc_data.topics").topics
    folder = tmp_path_factory.mktemp("corpus")
    for name in ("calls", "execmodel", "naming"):
        text = f"{topics[name]}\n\n{chronicle(24, seed=name == 'calls')}"
        (folder / f"{name}.txt").write_text(text, encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def run(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Config]:
    """A run of all stages over the tiny corpus with the embedded encoder: (run directory, configuration)."""
    folder = tmp_path_factory.mktemp("run")
    config = settings(
        corpus,
        chunk__max_tokens=64,
        chunk__documents_per_shard=2,
        cluster__max_clusters=8,
        cluster__min_cohesion=0.3,
        select__per_document=4,
        select__per_cluster=2,
        select__min_rating=3.0,
        select__validation_fraction=0.34,
    )
    go(folder, config, *(s.name for s in STAGES))
    return str(folder), config
