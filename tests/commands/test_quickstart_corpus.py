from tests.commands.calls import call


def test_quickstart_corpus(tmp_path):
    result = call("quickstart-corpus", tmp_path / "corpus")
    files = sorted((tmp_path / "corpus").iterdir())
    assert result.exit_code == 0
    assert result.stdout.startswith(f"{tmp_path}/corpus: {len(files)} documents, ")
    (tmp_path / "file").write_text("mine")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        result = call("quickstart-corpus", folder)
        assert result.exit_code == 1
        assert result.stderr.startswith(f"error: {folder}: ")
    assert (tmp_path / "file").read_text() == "mine"
