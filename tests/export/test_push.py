"""`push`: what leaves this machine, where to, and what is said where it doesn't."""

import json
import os
import sys
from pathlib import Path
from subprocess import CompletedProcess

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.commands.calls import call, cli, contents
from tests.commands.test_json import keys_of
from tests.export.test_export import row
from tests.servers.hub import TOKEN, Hub, Repository, serve

NAME = "me/a-dataset"
HIDDEN = (".DS_Store", ".cache/huggingface/x", "data/.hidden")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An export for the Hub."""
    return exported(tmp_path, "first", 40)


def exported(place: Path, name: str, words: int, splits: tuple[str, ...] = ("train",)) -> Path:
    dataset = place / f"{name}-dataset"
    dataset.mkdir()
    for split in splits:
        pq.write_table(pa.Table.from_pylist([row(name, words), row(split, words)]), dataset / f"{split}.parquet")
    assert call("export", dataset, "--to", "hf", "-o", place / name).exit_code == 0
    return place / name


@pytest.fixture
def hub():
    with serve() as running:
        yield running


def pushed(
    folder: Path, hub: Hub | str, *options: str, token: str = TOKEN, name: str = NAME, **more: str
) -> CompletedProcess[str]:
    """The command in a process of its own, with huggingface_hub as it is."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    env |= {"HF_ENDPOINT": hub if isinstance(hub, str) else hub.url, "HF_HOME": str(folder.parent / "home")}
    env |= {"HF_HUB_DISABLE_XET": "1", "HF_TOKEN": token, **more}
    return cli("push", folder, name, *options, env={k: v for k, v in env.items() if v})


def test_without_yes_nothing_is_asked_of_anybody(folder: Path):
    done = call("push", folder, NAME, "--public", "--revision", "next", "--token-env", "NO_SUCH")
    assert done.exit_code == 0, done.stderr
    for name, data in contents(folder).items():
        assert f"{len(data):,}  {name}" in done.stdout
    assert "branch next (PUBLIC: anybody can read it)" in done.stdout
    again = f"longrlvr-data push {folder} {NAME} --public --revision next --token-env NO_SUCH --yes"
    assert done.stdout.endswith(f"{again}\n")
    found = json.loads(call("push", folder, NAME, "--json").stdout)
    assert (found["private"], found["commit"], found["url"], found["removed"]) == (True, None, None, None)
    assert sorted(file["path"] for file in found["files"]) == sorted(contents(folder))
    assert found["bytes"] == sum(map(len, contents(folder).values()))
    assert not {*found, *found["files"][0]} - keys_of("push")


def test_what_was_exported_is_one_commit_and_the_next_export_takes_its_place(folder: Path, hub: Hub):
    for name in HIDDEN:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("private")
    done = pushed(folder, hub, "--yes", "--json")
    assert done.returncode == 0, done.stderr
    there = hub.repositories[NAME]
    assert there.private
    assert len(there.commits) == 1
    exported_files = {name: data for name, data in contents(folder).items() if name not in HIDDEN}
    assert there.branches["main"] == {".gitattributes": b"", **exported_files}
    found = json.loads(done.stdout)
    assert (found["commit"], found["url"]) == (there.sha("main"), f"{hub.url}/datasets/{NAME}")
    assert TOKEN not in done.stdout + done.stderr

    both = exported(folder.parent, "second", 50, ("train", "validation"))
    done = pushed(both, hub, "--yes")
    assert done.returncode == 0, done.stderr
    assert there.branches["main"] == {".gitattributes": b"", **contents(both)}
    done = pushed(folder, hub, "--yes")  # it has no validation split
    assert "removed: data/validation-00000-of-00001.parquet, of an earlier export" in done.stdout
    assert there.branches["main"] == {".gitattributes": b"", **exported_files}
    assert len(there.commits) == 3


def test_a_branch_and_a_token_of_another_name(folder: Path, hub: Hub):
    done = pushed(folder, hub, "--yes", "--revision", "next", "--token-env", "MINE", "--public", token="", MINE=TOKEN)
    assert done.returncode == 0, done.stderr
    there = hub.repositories[NAME]
    assert not there.private
    assert there.branches["main"] == {".gitattributes": b""}
    assert there.branches["next"] == {".gitattributes": b"", **contents(folder)}


def test_what_no_export_wrote_never_leaves(folder: Path, hub: Hub, tmp_path: Path):
    def said(code: int = 1) -> str:
        done = call("push", folder, NAME, "--yes")
        assert done.exit_code == code, done.stderr
        return done.stderr

    (folder / "notes.txt").write_text("mine")
    assert f"{folder}/notes.txt: the export did not write it" in said()
    (folder / "notes.txt").unlink()
    data = folder / "data" / "train-00000-of-00001.parquet"
    whole = data.read_bytes()
    data.write_bytes(whole[:-1] + b"!")
    assert f"{data}: it was changed after it was exported" in said()
    data.unlink()
    assert f"{data}: it is missing" in said()
    (tmp_path / "elsewhere").write_bytes(whole)
    data.symlink_to(tmp_path / "elsewhere")
    assert f"{data}: it is a link" in said()
    data.unlink()
    (folder / "data").rename(tmp_path / "data")
    (folder / "data").symlink_to(tmp_path / "data")
    assert "the export did not write it" in said()  # a link to a folder is a link
    (folder / "data").unlink()
    (tmp_path / "data").rename(folder / "data")
    data.write_bytes(whole)
    (folder / "more").symlink_to(tmp_path / "nowhere")
    assert f"{folder}/more: the export did not write it" in said()
    (folder / "more").unlink()

    record = json.loads((folder / "export.json").read_text())
    record["files"]["../first-dataset/train.parquet"] = {"bytes": 1, "sha256": "0"}
    (folder / "export.json").write_text(json.dumps(record))
    assert "which no export writes" in said()
    (folder / "export.json").write_text(json.dumps(record | {"to": "verl"}))
    assert "it is an export for verl" in said()
    (folder / "export.json").unlink()
    assert "longrlvr-data export RUN --to hf" in said()
    assert hub.asked == []


def test_a_missing_package_is_a_sentence(folder: Path, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    done = call("push", folder, NAME)
    assert (done.exit_code, "pip install 'longrlvr-data[hf]'" in done.stderr) == (1, True)


@pytest.mark.parametrize("name", ["mine", "a/b/c", "a b/c", "-/x"])
def test_a_name_that_is_none_is_refused_before_anything_is_read(name, tmp_path: Path):
    done = call("push", tmp_path / "nowhere", "--", name)
    assert (done.exit_code, name in done.stderr) == (2, True)


def refused(folder: Path, hub: Hub | str, *options: str, code: int = 1, **more: str) -> str:
    done = pushed(folder, hub, "--yes", *options, **more)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    assert TOKEN not in done.stderr
    return done.stderr


def test_without_a_token_the_way_to_one_is_said(folder: Path, hub: Hub):
    assert "`hf auth login`" in refused(folder, hub, token="")
    assert "`export NO_SUCH=…`" in refused(folder, hub, "--token-env", "NO_SUCH", code=2)
    assert "does not accept the token" in refused(folder, hub, token="hf_another")
    assert hub.repositories == {}


def test_what_the_hub_refuses_is_a_sentence(folder: Path, hub: Hub):
    hub.refuse = {"POST /api/repos/create": (403, "You don't have the rights to create a dataset under me")}
    said = refused(folder, hub)
    assert f"may not write to {NAME}: You don't have the rights to create a dataset under me" in said
    hub.refuse = {"PUT /lfs/": (403, "The storage is full")}
    assert "The storage is full" in refused(folder, hub)
    hub.refuse = {f"POST /api/datasets/{NAME}/commit": (412, "A commit has happened since")}
    assert "was changed by somebody else meanwhile" in refused(folder, hub)
    hub.refuse = {f"POST /api/datasets/{NAME}/commit": (422, "The card's license is none")}
    assert "the Hub refused: The card's license is none (status 422)" in refused(folder, hub)
    hub.refuse = {"POST /api/validate-yaml": (400, '"license" must be one of [mit]')}
    said = refused(folder, hub)
    assert 'the upload failed: Invalid metadata in README.md. - "license" must be one of [mit]' in said
    assert hub.repositories[NAME].commits == []


def test_a_hub_that_is_not_there_is_a_sentence(folder: Path):
    with serve() as gone:
        url = gone.url
    assert f"{url} cannot be reached" in refused(folder, url)
    assert "HF_HUB_OFFLINE is set" in refused(folder, url, HF_HUB_OFFLINE="1")


def test_a_repository_of_somebody_is_left_alone(folder: Path, hub: Hub):
    hub.repositories[NAME] = Repository(private=False)
    assert "is there and is public: nothing was uploaded. Add --public" in refused(folder, hub)
    there = hub.repositories[NAME].branches["main"]
    there["README.md"] = b"of something else"
    assert "holds what no export wrote, such as README.md" in refused(folder, hub, "--public")
    there["export.json"], there["weights.bin"] = b"{}", b""
    assert "holds what no export wrote, such as weights.bin" in refused(folder, hub, "--public")
    assert hub.repositories[NAME].commits == []
