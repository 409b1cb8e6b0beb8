"""The command line, called in this process or in one of its own."""

import subprocess
import sys
from pathlib import Path

import yaml
from typer.testing import CliRunner, Result

from datagen.cli import app

SETTINGS = {
    "chunk": {"max_tokens": 64, "documents_per_shard": 1},
    "embed": {"device": "cpu"},
    "cluster": {"max_clusters": 8},
    "select": {"per_document": 4, "per_cluster": 2, "min_rating": 3.0, "validation_fraction": 0.5},
}


def cli(*args: str | Path, **kwargs) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    return subprocess.run([sys.executable, "-m", "datagen", *map(str, args)], capture_output=True, text=True, **kwargs)


def call(*args: str | Path, input: str | None = None) -> Result:
    """The command in this process, which has the encoder loaded already."""
    result = CliRunner().invoke(app, [str(arg) for arg in args], input)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def with_settings(file: Path, **sections: dict) -> Path:
    file.write_text(yaml.safe_dump({k: v | sections.get(k, {}) for k, v in SETTINGS.items()}), encoding="utf-8")
    return file


def contents(folder: Path, pattern: str = "*") -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob(pattern)) if p.is_file()}


def times(run: Path) -> dict[str, int]:
    """When each file of a run's stages and dataset was written."""
    return {str(p.relative_to(run)): p.stat().st_mtime_ns for p in sorted(run.glob("*/**/*")) if p.is_file()}
