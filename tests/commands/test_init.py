from datagen.config import model
from datagen.config.model import Config
from tests.commands.calls import call


def test_a_file_that_changes_nothing_until_it_is_edited(tmp_path):
    result = call("init", tmp_path / "my.yaml")
    assert (result.exit_code, result.stderr) == (0, "")
    assert model.load(tmp_path / "my.yaml") == Config()
    assert call("init", "-").stdout == (tmp_path / "my.yaml").read_text()


def test_no_file_is_overwritten(tmp_path):
    (tmp_path / "my.yaml").write_text("seed: 1\n")
    for file in (tmp_path / "my.yaml", tmp_path / "my.yaml" / "below"):
        result = call("init", file)
        assert result.exit_code == 1
        assert result.stderr.startswith(f"error: {file}")
    assert (tmp_path / "my.yaml").read_text() == "seed: 1\n"
