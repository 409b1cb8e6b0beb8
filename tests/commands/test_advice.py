"""What a message tells a person to run: it exists, and it is what they gave and what is to be added."""

import ast
import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.core import TyperGroup as Group
from typer.main import get_command

import datagen
from datagen.cli import app
from datagen.commands import advice
from tests.commands.calls import call

SOURCES = sorted(Path(datagen.__file__).parent.rglob("*.py"))
COMMANDS = get_command(app).commands  # pyright: ignore[reportAttributeAccessIssue]
PLACE = "{}"  # what an f-string puts in
VALUES = {"-m", "-c"}


def texts(source: Path) -> Iterator[str]:
    """Every text of a module, with `{}` for what is put into it, and every docstring."""
    tree = ast.parse(source.read_text(encoding="utf-8"))
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(part.value if isinstance(part, ast.Constant) else PLACE for part in node.values)  # pyright: ignore
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.value


def commands() -> list[tuple[str, str]]:
    """(where, the words after the program's name) of everything in the sources that looks like a command."""
    return [
        (source.name, found)
        for source in SOURCES
        for text in texts(source)
        for found in re.findall(r"(?:`|&& |^ +)longrlvr-data ((?:[^`\n&\\]|\\\n)+)", text, re.MULTILINE)
    ]


def test_commands_are_found():
    assert len(commands()) > 20
    assert "init other.yaml" in {command for _, command in commands()}


@pytest.mark.parametrize(("where", "command"), commands())
def test_every_command_and_option_in_the_sources_exists(where, command):
    name, *words = shlex.split(command)
    assert name in COMMANDS, f"{where}: {command}: a command whose name is put in is made by advice.command_line"
    known = COMMANDS[name]
    if isinstance(known, Group):
        known = known.commands[words.pop(0)]
    options = {option for parameter in known.params for option in parameter.opts}
    assert not {word for word in words if word.startswith("-")} - options, f"{where}: {command}"


def test_every_command_that_is_put_together_exists():
    """The first argument of `command_line`, where it is a word."""
    found = [
        node.args[0].value
        for source in SOURCES
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "command_line"
        if isinstance(node.args[0], ast.Constant)
    ]
    assert found
    assert set(found) <= set(COMMANDS)


def test_a_command_is_given_again_as_it_was(tmp_path):
    """With what it was given and no defaults; an option that is to be another has its new value alone."""
    book = tmp_path / "my book.txt"
    book.write_text("Ada came.")
    options = ("--set", "chunk.max_tokens=64", "--set", "seed=1", "--format", "ours", "--json")
    done = call("ask", book, "it's who?", *options)
    assert done.exit_code == 2
    command = done.stderr.splitlines()[-1]
    assert shlex.split(command) == [
        *("longrlvr-data", "ask", str(book), "it's who?", "--format", "ours", "--set", "chunk.max_tokens=64"),
        *("--set", "seed=1", "--json", "--model", "NAME"),
    ]


def test_a_command_can_be_pasted():
    line = advice.command_line(
        "chunk", "my run", "a b.yaml", {"input.path": "it's", "max_cost": 5}, "--resume", "never"
    )
    assert shlex.split(line) == [
        *("longrlvr-data", "chunk", "-o", "my run", "-c", "a b.yaml"),
        *("--set", "input.path=it's", "--set", "max_cost=5", "--resume", "never"),
    ]


def test_the_command_that_makes_a_missing_stage(place, run):
    """`embed` is no command: `cluster` makes it. What was given is given again."""
    shutil.rmtree(run / "embed")
    settings = place / "settings.yaml"
    result = call("select", "-o", run, "-c", settings, "--set", "select.per_cluster=1")
    assert result.exit_code == 1
    assert result.stderr == (
        f"error: {run}/embed is not there yet: run `longrlvr-data cluster -o {run} -c {settings} "
        "--set select.per_cluster=1` first\n"
    )


def pasted(stderr: str) -> list[str]:
    """The commands in a message, a line each."""
    return [line.strip() for line in stderr.splitlines() if line.startswith("  longrlvr-data ")]


def test_what_is_to_be_added_is_added_to_the_command(run, tmp_path):
    result = call("judge", "-o", run, "--set", "judge.method=llm", "--offline")
    assert result.exit_code == 2
    assert result.stderr.startswith("error: no language model is named: give --model, or set engine.model:\n")
    assert pasted(result.stderr) == [f"longrlvr-data judge -o {run} --set judge.method=llm --offline --model NAME"]
    result = call("chunk", "-o", tmp_path / "new", "-c", "quickstart")
    assert pasted(result.stderr) == [f"longrlvr-data chunk -o {tmp_path}/new -c quickstart --input PATH"]


def test_what_is_to_be_redone_is_redone_by_the_commands_that_are_told(run):
    """All that was said to be made again is, with the settings that were given, and so is the dataset."""
    result = call("run", "-o", run, "--set", "generate.candidates=2", "--set", "select.min_rating=4")
    assert "Redoing it means: generate (" in result.stderr
    again, _ = pasted(result.stderr)
    commands = again.split(" && ")
    assert [shlex.split(command)[1] for command in commands] == ["generate", "judge", "select"]
    for command in commands:
        assert call(*shlex.split(command)[1:], "--workers", "1").exit_code == 0
    assert "stale" not in call("status", run).stdout
    assert call("run", "-o", run, "--set", "generate.candidates=2", "--set", "select.min_rating=4").exit_code == 0


def test_a_dry_run_stays_one(run):
    asking = ("--set", "generate.method=llm", "--set", "judge.method=llm", "--model", "m")
    result = call("generate", "-o", run, *asking, "--set", "cluster.max_clusters=3", "--dry-run")
    assert result.exit_code == 2
    never, always = pasted(result.stderr)
    assert never.startswith("longrlvr-data cluster ")
    assert "--dry-run" not in never
    assert always.startswith("longrlvr-data generate ")
    assert always.endswith("--dry-run --resume always")
