import pytest

from datagen import resources
from tests.commands.calls import call


@pytest.mark.parametrize(("kind", "folder"), [("config", "configs"), ("prompt", "prompts")])
def test_everything_bundled_can_be_listed_and_printed(kind, folder):
    names = call("show", kind).stdout.split()
    assert names == resources.names(folder)
    for name in names:
        assert call("show", kind, name).stdout == resources.path(folder, name).read_text(encoding="utf-8")


def test_what_is_not_there_is_named_with_what_is():
    result = call("show", "config", "quickstrat")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "did you mean 'quickstart'?" in result.stderr
