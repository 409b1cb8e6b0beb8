"""The commands about benchmarks: their help, and what they load for it."""

import subprocess
import sys

import pytest
from typer.main import get_command

from datagen.cli import app
from tests.commands.calls import call
from tests.test_cli import HEAVY, LIGHT

GROUP = get_command(app).commands["evaluate"]  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize("name", GROUP.commands)
def test_every_command_has_help(name):
    result = call("evaluate", name, "--help")
    assert result.exit_code == 0
    assert f"Usage: longrlvr-data evaluate {name} [OPTIONS]" in result.output


def test_help_loads_nothing_heavy():
    code = f"""if True:
        import sys
        from datagen.cli import app
        for args in [["evaluate", "-h"], *(["evaluate", name, "-h"] for name in {list(GROUP.commands)})]:
            try:
                app(args)
            except SystemExit as e:
                assert e.code == 0
        print(sorted({HEAVY | LIGHT} & set(sys.modules)))
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr
