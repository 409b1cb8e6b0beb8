"""Which training frameworks fit beside this package: each is resolved with the base install and its extras.

    python tests/resolve.py [--python 3.11]

The frameworks exclude each other, so they are tried one at a time, with `uv pip compile`, which asks the package index
and installs nothing. Prints the versions that are settled on where it matters, and exits with 1 if a pair does not
resolve.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FRAMEWORKS = ("trl==1.16.0", "verl[vllm]==0.9.1", "openrlhf[vllm]==0.11.2", "verifiers==0.4.0")
EXTRAS = ("", "[embed]", "[embed,train]")
SHOWN = ("torch", "transformers", "openai", "numpy", "vllm")


def resolve(extras: str, framework: str, python: str) -> tuple[dict[str, str], str]:
    """The versions that are settled on, by package; or none, and why there are none."""
    command = [sys.executable, "-m", "uv", "pip", "compile", "-", "--quiet", "--no-header", "--no-annotate"]
    wanted = f"longrlvr-data{extras} @ {ROOT.as_uri()}\n{framework}\n"
    done = subprocess.run(
        [*command, "--python-version", python], input=wanted, capture_output=True, text=True, cwd=ROOT
    )
    pins = dict(line.split("==") for line in done.stdout.splitlines() if line.count("==") == 1)
    return (pins, "") if done.returncode == 0 else ({}, done.stderr.strip())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default="3.11", help="the version that is resolved for")
    python = parser.parse_args().python
    print(f"| longrlvr-data | beside it | {' | '.join(SHOWN)} |\n|{' --- |' * (2 + len(SHOWN))}")
    failed = []
    for framework in FRAMEWORKS:
        for extras in EXTRAS:
            pins, error = resolve(extras, framework, python)
            versions = [pins.get(name, "–") for name in SHOWN] if pins else ["does not resolve"]
            print(f"| {extras or 'base'} | {framework} | {' | '.join(versions)} |", flush=True)
            if error:
                failed.append(f"{framework} with longrlvr-data{extras}:\n{error}")
    if failed:
        sys.exit("\n\n".join(failed))


if __name__ == "__main__":
    main()
