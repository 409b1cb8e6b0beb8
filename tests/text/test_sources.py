import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datagen.config.data import InputConfig
from datagen.errors import InputError, MissingExtra
from datagen.text import sources
from datagen.text.files import File
from datagen.text.passed import by_kind

BOOKS = Path(__file__).resolve().parents[3] / "shared" / "data" / "books"
NOBODY = 65534


@contextmanager
def as_ordinary_user() -> Iterator[None]:
    """root may read everything, whatever the permissions."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that any user may enter, as pytest's own is not."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield Path(folder)


def write(path: Path, data: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_a_file_is_named_by_its_file_name(tmp_path):
    path = write(tmp_path / "some" / "Notes.TXT.gz")
    assert sources.find(str(path)) == ([File(str(path), "Notes.TXT.gz", "text", "gzip")], [])


def test_a_folder_is_searched_sorted_and_its_names_are_relative(tmp_path):
    for name in ["b.parquet", "a/z.md", "a/y.jsonl.zst", "c.ndjson", "a.json", "B.txt", "a/deep/er/x.txt.gz"]:
        write(tmp_path / name)
    for name in [".hidden.txt", ".git/config.txt", "b.parquet.gz", "a/x.xyz"]:
        write(tmp_path / name)
    write(tmp_path / "README", b"\0")
    write(tmp_path / "NOTES", b"Words.")
    (tmp_path / "empty").mkdir()
    files, ignored = sources.find(str(tmp_path))
    assert [(file.name, file.kind, file.compression) for file in files] == [
        ("B.txt", "text", None),
        ("NOTES", "text", None),
        ("a.json", "jsonl", None),
        ("a/deep/er/x.txt.gz", "text", "gzip"),
        ("a/y.jsonl.zst", "jsonl", "zstd"),
        ("a/z.md", "text", None),
        ("b.parquet", "parquet", None),
        ("c.ndjson", "jsonl", None),
    ]
    assert all(os.path.isabs(file.path) and os.path.isfile(file.path) for file in files)
    assert [str(each) for each in ignored] == ["README", "a/x.xyz", "b.parquet.gz"]
    assert not any(each.extension for each in ignored)


@pytest.mark.parametrize("mark", ["embed/stage.json", "chunk/stage.json"])
def test_run_directories_among_documents_are_no_documents(mark, tmp_path):
    for name in ("a.txt", "runs/mine/chunk/shard-00000.parquet", f"runs/mine/{mark}"):
        write(tmp_path / name)
    files, ignored = sources.find(str(tmp_path))
    assert ([file.name for file in files], [*map(str, ignored)]) == (["a.txt"], ["runs/mine/ (a run directory)"])


def test_a_run_directory_itself_is_no_input(tmp_path):
    write(tmp_path / "chunk" / "stage.json")
    with pytest.raises(InputError, match="a run directory, which holds no documents"):
        sources.find(str(tmp_path))


def test_a_relative_path_and_a_trailing_slash_change_nothing(tmp_path, monkeypatch):
    write(tmp_path / "docs" / "a.txt")
    monkeypatch.chdir(tmp_path)
    assert sources.find("docs/") == sources.find(str(tmp_path / "docs"))


def test_links_are_followed_but_not_in_a_circle(tmp_path):
    write(tmp_path / "real" / "a.txt")
    write(tmp_path / "docs" / "b.txt")
    (tmp_path / "docs" / "linked").symlink_to(tmp_path / "real")
    (tmp_path / "docs" / "round").symlink_to(tmp_path / "docs")
    assert [file.name for file in sources.find(str(tmp_path / "docs"))[0]] == ["b.txt", "linked/a.txt"]


@pytest.mark.parametrize("one_document", [False, True])
def test_a_link_that_leads_in_a_circle_is_passed_over_and_spoils_no_folder(tmp_path, one_document):
    write(tmp_path / "a.txt")
    (tmp_path / "self.txt").symlink_to("self.txt")
    (tmp_path / "there.txt").symlink_to("back.txt")
    (tmp_path / "back.txt").symlink_to("there.txt")
    (found,), passed = sources.find(str(tmp_path), InputConfig(folder_is_document=one_document))
    assert [part.name for part in found.parts or (found,)] == ["a.txt"]
    assert [str(each) for each in passed] == [f"{name}.txt (a link to nothing)" for name in ("back", "self", "there")]


def test_a_folder_of_pictures_alone_is_told_what_helps(tmp_path):
    for name in ("1.png", "2.png"):
        write(tmp_path / name, b"\x89PNG\r\n\x1a\n")
    with pytest.raises(InputError, match=r"not read: 2 \.png files, such as 1\.png\. What helps: img2pdf 1\.png "):
        sources.find(str(tmp_path))


def test_a_name_that_is_not_utf8_can_still_be_written(tmp_path):
    try:
        (tmp_path / os.fsdecode(b"caf\xe9.txt")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system has only UTF-8 names")
    (file,), _ = sources.find(str(tmp_path))
    assert file.name == "caf\\xe9.txt"
    with sources.opened(file) as stream:
        assert stream.read() == b"x"


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("nothing.txt", "no such file or folder; check the path"),
        ("file.txt/below.txt", "no such file or folder"),
        ("x" * 5000 + ".txt", "cannot be read: File name too long"),
        ("nul\0.txt", "cannot be read"),
        ("letter.xyz", "known are .jsonl"),
        ("noextension", "known are .jsonl"),
        ("old.doc", "cannot be read: soffice --headless --convert-to docx old.doc"),
        ("picture.txt", "a PNG image is known, and cannot be read"),
        ("empty.txt", "the file is empty"),
        ("none", "holds no file to read; known are"),
        (
            "others",
            "holds no file to read (2 other files, such as a.xyz); not read: 1 .doc file, such as b/c.doc. What helps: "
            "soffice --headless --convert-to docx c.doc; known are",
        ),
        ("empties", "every file in the folder is empty"),
        ("broken", "holds no file to read (1 other files, such as link.txt (a link to nothing)); known are"),
    ],
)
def test_what_cannot_be_input_is_one_sentence_with_the_path(tmp_path, monkeypatch, path, says):
    for name in ["file.txt", "letter.xyz", "none/.hidden.txt", "others/a.xyz", "others/b/c.doc", "old.doc"]:
        write(tmp_path / name)
    write(tmp_path / "noextension", b"\0")
    write(tmp_path / "picture.txt", b"\x89PNG\r\n\x1a\n")
    for name in ["empty.txt", "empties/a.txt", "empties/b.jsonl"]:
        write(tmp_path / name, b"")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "link.txt").symlink_to(tmp_path / "gone.txt")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as error:
        sources.find(path)
    assert says in str(error.value)
    assert path[:100] in str(error.value)
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


def test_no_path_at_all():
    with pytest.raises(InputError, match="No input is given"):
        sources.find("")


def test_a_locked_folder_says_permission(open_folder):
    write(open_folder / "docs" / "a.txt")
    for mode in (0o000, 0o600):  # it can't be listed; it can, and not entered
        os.chmod(open_folder / "docs", mode)
        with as_ordinary_user(), pytest.raises(InputError, match=r"/docs: permission to read it is denied"):
            sources.find(str(open_folder / "docs"))
    os.chmod(open_folder / "docs", 0o755)


@pytest.mark.parametrize("one_document", [False, True])
@pytest.mark.parametrize("mine", [False, True])
def test_what_is_locked_in_a_folder_spoils_none_of_it_and_says_what_helps(open_folder, one_document, mine):
    docs = open_folder / "docs"
    for name in ("a.txt", "inner/b.txt", "listed/c.txt", "secret.txt", "of its own", "deep/er/d.pdf"):
        write(docs / name, b"%PDF-1.7" if name.endswith("pdf") else b"Words.")
    modes = {"inner": 0, "listed": 0o644, "secret.txt": 0, "of its own": 0, "deep/er/d.pdf": 0}
    for name, mode in modes.items():
        os.chown(docs / name, NOBODY if mine else 0, -1) if os.geteuid() == 0 else None
        os.chmod(docs / name, mode)
    with as_ordinary_user():
        (found,), passed = sources.find(str(docs), InputConfig(folder_is_document=one_document))
    for name in modes:
        os.chmod(docs / name, 0o755)
    assert [part.name for part in found.parts or (found,)] == ["a.txt"]
    names = ["deep/er/d.pdf", "inner/", "listed/", "of its own", "secret.txt"]
    assert [(each.name, each.extension) for each in passed] == [(name, "locked") for name in names]
    command = "chmod -R u+rX" if mine or os.geteuid() else "sudo chmod -R a+rX"
    assert by_kind(passed) == [
        f"3 locked files, such as deep/er/d.pdf. What helps: {command} {docs}/deep/er/d.pdf",
        f"2 locked folders, such as inner/. What helps: {command} {docs}/inner",
    ]
    assert passed[3].help == f"{command} '{docs}/of its own'"


def test_a_folder_of_what_is_locked_alone_is_told_what_helps(open_folder):
    write(open_folder / "docs" / "inner" / "a.txt")
    os.chmod(open_folder / "docs" / "inner", 0)
    with as_ordinary_user(), pytest.raises(InputError, match=r"not read: 1 locked folder, such as inner/\. What"):
        sources.find(str(open_folder / "docs"))
    os.chmod(open_folder / "docs" / "inner", 0o755)


@pytest.mark.skipif(sys.platform == "win32", reason="makes and removes paths that are too long")
def test_folders_nested_deeper_than_a_path_reaches_spoil_none(tmp_path):
    write(tmp_path / "a.txt")
    at = os.open(tmp_path, os.O_RDONLY)
    for name in ["d"] * 1_050 + ["e" * 250] * 10:
        os.mkdir(name, dir_fd=at)
        below = os.open(name, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    try:
        (file,), passed = sources.find(str(tmp_path))
    finally:
        subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)  # shutil's recursion is not so deep
    assert file.name == "a.txt"
    assert [str(each)[-30:] for each in passed] == ["eeeeee/ (its path is too long)"]


def test_a_file_that_went_away_after_it_was_found(tmp_path):
    path = write(tmp_path / "a.txt")
    files, _ = sources.find(str(path))
    path.unlink()
    with pytest.raises(InputError, match=r"a\.txt: there is no such file"), sources.opened(files[0]):
        pass
    with pytest.raises(InputError, match=r"a\.txt: there is no such file"):
        sources.fingerprint(files, {})


def test_the_fingerprint_knows_names_contents_and_order_not_places(tmp_path):
    for folder in ["one", "two"]:
        write(tmp_path / folder / "a.txt", b"alpha")
        write(tmp_path / folder / "b.txt", b"beta")

    def of(folder: str) -> str:
        return sources.fingerprint(sources.find(str(tmp_path / folder))[0], {})

    first = of("one")
    assert of("two") == first
    assert sources.fingerprint(sources.find(str(tmp_path / "one"))[0][::-1], {}) != first
    write(tmp_path / "two" / "b.txt", b"betA")
    assert of("two") != first
    (tmp_path / "one" / "b.txt").rename(tmp_path / "one" / "c.txt")
    assert of("one") != first


def test_the_fingerprint_reads_a_file_again_only_when_it_changed(tmp_path):
    path = write(tmp_path / "a.txt", b"alpha")
    files, _ = sources.find(str(path))
    cache: dict[str, dict[str, object]] = {}
    first = sources.fingerprint(files, cache)
    assert set(cache[str(path)]) == {"size", "mtime_ns", "ctime_ns", "sha256"}
    noted = cache[str(path)] | {"sha256": "as noted"}
    assert sources.fingerprint(files, {str(path): dict(noted)}) != first  # same size, same times: not read
    was = path.stat()
    while path.stat().st_ctime_ns == was.st_ctime_ns:  # the clock of the file system ticks every few milliseconds
        write(path, b"gamma")
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert sources.fingerprint(files, cache) != first  # another content behind the same size and time


@pytest.mark.parametrize("path", ["hf://", "hf:///", "hf://datasets/"])
def test_an_hf_address_without_a_name(path):
    with pytest.raises(InputError, match="no dataset is named"):
        sources.find(path)


def test_hf_addresses():
    assert sources.find("hf://owner/name")[0] == [File("hf://owner/name", "owner/name", "hf", None)]
    assert sources.find("hf://datasets/owner/name")[0] == [File("hf://owner/name", "owner/name", "hf", None)]
    assert sources.find("hf:///a/folder/")[0] == [File("hf:///a/folder", "folder", "hf", None)]


def test_hf_without_the_datasets_package_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingExtra, match=r"pip install 'longrlvr-data\[hf\]'"):
        sources.load_hf(sources.find("hf://owner/name")[0][0], InputConfig())


def test_hf_loads_a_local_dataset_and_says_why_it_cannot(tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    (tmp_path / "set").mkdir()
    pq.write_table(pa.table({"text": ["a", "b"]}), tmp_path / "set" / "train-00000-of-00001.parquet")
    files, _ = sources.find(f"hf://{tmp_path / 'set'}")
    assert sources.load_hf(files[0], InputConfig())["text"][:] == ["a", "b"]
    assert sources.fingerprint(files, {}, InputConfig()) == sources.fingerprint(files, {}, InputConfig())
    assert sources.fingerprint(files, {}, InputConfig()) != sources.fingerprint(
        files, {}, InputConfig(hf_split="train[:1]")
    )
    with pytest.raises(InputError, match=r"set: .* default, split nosuch, revision newest: \w+"):
        sources.load_hf(files[0], InputConfig(hf_split="nosuch"))
    with pytest.raises(InputError, match=r"gone: cannot load"):
        sources.load_hf(sources.find(f"hf://{tmp_path / 'gone'}")[0][0], InputConfig())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_what_never_ends_is_no_file(tmp_path):
    write(tmp_path / "a.txt", b"alpha")
    (tmp_path / "endless.txt").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.jsonl")
    files, ignored = sources.find(str(tmp_path))
    assert ([file.name for file in files], [*map(str, ignored)]) == (["a.txt"], ["endless.txt", "pipe.jsonl"])
    for name in ("endless.txt", "pipe.jsonl"):
        with pytest.raises(InputError, match=r"no file, but a device, a pipe"):
            sources.find(str(tmp_path / name))


@pytest.mark.skipif(sys.platform != "linux", reason="other file systems refuse such names")
def test_names_that_are_not_utf8(tmp_path):
    for name in (b"caf\xe9.txt", b"caf\xff.txt"):
        with open(os.path.join(os.fsencode(tmp_path), name), "wb") as f:
            f.write(name)
    files, _ = sources.find(str(tmp_path))
    assert [file.name for file in files] == [r"caf\xe9.txt", r"caf\xff.txt"]
    cache: dict[str, dict[str, object]] = {}
    sources.fingerprint(files, cache)
    assert len(cache) == 2
    json.dumps(cache, ensure_ascii=False).encode()


def test_the_command_for_a_path_that_is_no_utf8_names_its_bytes(open_folder):
    name = os.fsdecode(b"it's \xff.txt")
    write(open_folder / "docs/a.txt", b"Words.")
    write(open_folder / "docs" / name, b"Words.")
    os.chmod(open_folder / "docs" / name, 0)
    with as_ordinary_user():
        _, (passed,) = sources.find(str(open_folder / "docs"), InputConfig())
    quoted = passed.help.partition("rX ")[2]
    done = subprocess.run(["bash", "-c", f"printf %s {quoted}"], capture_output=True, check=True)
    assert done.stdout == os.fsencode(str(open_folder / "docs" / name))
