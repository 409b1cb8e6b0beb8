import re
import subprocess
import sys

import pytest
from typer.main import get_command

from datagen import __version__, resources
from datagen.cli import app
from tests.commands.calls import call, cli

COMMAND_NAMES = [command.name or command.callback.__name__ for command in app.registered_commands if command.callback]
NESTED = [f"evaluate {name}" for name in get_command(app).commands["evaluate"].commands]  # pyright: ignore
HEAVY = {"datasets", "faiss", "numpy", "pandas", "pyarrow", "sentence_transformers", "sklearn", "torch", "transformers"}
LIGHT = {"rich", "yaml"}  # quick to load, but no use for help


@pytest.mark.parametrize("name", [*COMMAND_NAMES, *NESTED])
def test_every_command_has_help(name):
    result = call(*name.split(), "--help")
    assert result.exit_code == 0
    assert f"Usage: longrlvr-data {name} [OPTIONS]" in result.output


def test_help_loads_nothing_heavy():
    code = f"""if True:
        import sys
        from datagen.cli import app
        for args in [["--help"], *([*name.split(), "-h"] for name in {[*COMMAND_NAMES, "evaluate", *NESTED]})]:
            try:
                app(args)
            except SystemExit as e:
                assert e.code == 0
        print(sorted({HEAVY | LIGHT} & set(sys.modules)))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_help_names_every_command():
    text = call("-h").output
    assert all(re.search(rf"^\W*{name} ", text, re.MULTILINE) for name in COMMAND_NAMES)


def test_version():
    assert cli("--version").stdout == f"longrlvr-data {__version__}\n"


@pytest.mark.parametrize(
    "args",
    [
        ("run", "--nonsense"),
        ("nonsense",),
        ("run", "--limit", "0"),
        ("run", "--workers", "none"),
        ("run", "--resume", "perhaps"),
        ("run", "--seed", "-1"),
        ("chunk", "--seed", "1"),
        ("chunk", "--dry-run"),
        ("select", "--model", "any"),
        ("select", "--max-cost", "3"),
        ("select", "--limit", "2"),
        ("quickstart-corpus",),
    ],
)
def test_wrong_use_exits_with_2(args):
    result = call(*args)
    assert result.exit_code == 2
    assert "Error" in result.stderr
    assert result.stdout == ""


def test_help_fits_80_columns_and_lists_the_configurations(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    for name in COMMAND_NAMES:
        lines = call(name, "-h").output.splitlines()
        assert all(len(line) <= 80 for line in lines if not line.lstrip().startswith("longrlvr-data")), name
    assert all(name in call("-h").output for name in resources.names("configs"))
