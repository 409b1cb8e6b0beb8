"""What every `--json` prints: one object with a version, whose keys docs/json.md explains."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from datagen.cli import app
from tests.commands.calls import call

PAGE = Path(__file__).parents[2] / "docs" / "json.md"
ASKING = (
    "--set",
    "generate.method=llm",
    "--set",
    "judge.method=llm",
    "--model",
    "any",
    "--base-url",
    "http://nowhere/v1",
)
# By heading in the page: the commands that print it.
GIVEN: dict[str, list[Callable[[Path], tuple[Any, ...]]]] = {
    "run, chunk, cluster, generate, judge, select, finish": [
        lambda run: ("run", "-o", run),
        lambda run: ("chunk", "-o", run),
        lambda run: ("cluster", "-o", run),
        lambda run: ("generate", "-o", run),
        lambda run: ("judge", "-o", run),
        lambda run: ("select", "-o", run),
        lambda run: ("finish", run),
    ],
    "--dry-run": [
        lambda run: ("generate", "-o", run, "--dry-run", "--resume", "always", *ASKING),
        lambda run: ("judge", "-o", run, "--dry-run", "--resume", "always", *ASKING),
        lambda run: ("run", "-o", run, "--dry-run", *ASKING),
    ],
    "status": [lambda run: ("status", run)],
    "status --documents": [lambda run: ("status", run, "--documents")],
    "doctor": [lambda run: ("doctor", run), lambda run: ("doctor", run, "--repair")],
    "status --explain, select --explain": [
        lambda run: ("status", run, "--explain", "calls.txt"),
        lambda run: ("status", run, "--explain", "calls.txt/c0"),
        lambda run: ("select", "-o", run, "--explain", "calls.txt/c7/q0"),
    ],
    "cluster --inspect": [lambda run: ("cluster", "-o", run, "--inspect", "calls.txt")],
}
# tests/train/test_launch.py, test_ask.py, tests/export and tests/evaluate hold what these print against the page.
ELSEWHERE = {"train", "export", "push", "ask", "evaluate run", "evaluate score", "evaluate ruler"}


def sections() -> dict[str, str]:
    _, *parts = re.split(r"^## (.+)\n", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def keys_of(section: str) -> set[str]:
    """The keys that a section of the page names."""
    return {"schema_version"} | set(re.findall(r"`(\w+)`", sections()[section]))


def test_every_command_with_json_is_asked():
    group: Any = get_command(app)
    commands = dict(group.commands)
    commands |= {f"evaluate {name}": c for name, c in commands.pop("evaluate").commands.items()}
    with_json = {name for name, c in commands.items() if any("--json" in p.opts for p in c.params)}
    asked = {given(Path("run"))[0] for calls in GIVEN.values() for given in calls}
    assert with_json == asked | ELSEWHERE
    assert set(sections()) == GIVEN.keys() | ELSEWHERE


@pytest.mark.parametrize(
    ("section", "given"), [(section, given) for section, calls in GIVEN.items() for given in calls]
)
def test_one_object_with_a_version_and_known_keys(run, section, given):
    result = call(*given(run), "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["schema_version"] == 1
    assert not set(found) - keys_of(section)
    for name in ("stages", "clusters", "thresholds", "steps", "others", "evidence", "documents"):
        if isinstance(rows := found.get(name), list):
            assert not {key for row in rows for key in row} - keys_of(section), name


def test_the_requests_are_bodies_as_they_would_be_sent(run):
    found = json.loads(call(*GIVEN["--dry-run"][0](run), "--json").stdout)
    assert found["stage"] == "generate"
    assert {request["model"] for request in found["requests"]} == {"any"}
