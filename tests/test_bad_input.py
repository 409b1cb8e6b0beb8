"""Bad input, bad settings and a bad place to write to, through the command line: each is one sentence that names the
file and line, or the setting; nothing is half-written, and the next correct command on the same run works."""

import contextlib
import ctypes
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datagen import shards
from datagen.config import model as configs
from datagen.errors import ConfigError
from datagen.records import UNIT_COLUMNS, Chunk, Document, Dropped
from tests import memory
from tests.commands.calls import call

MOST = 300  # characters of a message, paths aside: what is wrong with a row is said, the row is not printed
PROSE = "It was a bright cold day in April, and the clocks were striking thirteen. "
FRENCH = "Le garçon mangeait une crème brûlée à côté de la fenêtre, déjà très tard dans l'été. "
GOOD = b'{"id": "good", "text": "One good document."}\n'
DAC_OVERRIDE, DAC_READ_SEARCH = 1, 2  # what lets root read everything
HOLD = """
import sys, time
from datagen.run import lock
with lock.locked(sys.argv[1]):
    print(flush=True)
    time.sleep(60)
"""

Done = subprocess.CompletedProcess[str]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # so that messages hold short, known names


def cli(*args: str | Path, stdin: bytes | None = None, before: Callable[[], None] | None = None) -> Done:
    command = [sys.executable, "-m", "datagen", *map(str, args)]
    done = subprocess.run(command, input=stdin, capture_output=True, preexec_fn=before, timeout=300)
    return Done(command, done.returncode, done.stdout.decode(), done.stderr.decode())


def chunk(path: str | Path, *options: str | Path, run: str = "run", **kwargs: Any) -> Done:
    return cli("chunk", "--input", path, "-o", run, "--workers", "1", *options, **kwargs)


def said(done: Done, code: int) -> list[str]:
    """The lines on standard error of a command that ended as it should: no traceback, no long line."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    assert all(len(line.replace(os.getcwd(), "")) <= MOST for line in lines), done.stderr
    if code in (1, 2):
        assert lines[-1 if code == 1 else 0].startswith("error: ")
        assert done.stdout == ""
    return lines


def error(done: Done, code: int = 1) -> str:
    """The one line on standard error of a command that failed."""
    (line,) = said(done, code)
    return line.removeprefix("error: ").removeprefix(f"{os.getcwd()}/")


def jsonl(name: str, *rows: dict[str, Any] | bytes) -> Path:
    Path(name).write_bytes(b"".join(r if isinstance(r, bytes) else json.dumps(r).encode() + b"\n" for r in rows))
    return Path(name)


def data(run: str | Path) -> dict[str, bytes]:
    """The parquet files of a run, all of them whole. Nothing else may be left of a write than whole files."""
    files = [p for p in Path(run).rglob("*") if p.is_file()]
    strays = [p.name for p in files if p.name.startswith(".")]
    assert set(strays) <= {".lock", ".lock-owner", ".fingerprints.json"}
    tables = sorted(p for p in files if p.suffix == ".parquet")
    for path in tables:
        pq.ParquetFile(path, page_checksum_verification=True).read()
    return {str(p.relative_to(run)): p.read_bytes() for p in tables}


def rows(run: str | Path, record: type, table: str = "") -> list[Any]:
    folder = shards.join(str(run), "chunk", *filter(None, [table]))
    return [r for name in shards.names(folder) for r in shards.read_rows(f"{folder}/{name}.parquet", record)]


def unprivileged() -> None:
    """Before the child's exec: take from root what lets it read and write everything."""
    for capability in (DAC_OVERRIDE, DAC_READ_SEARCH):
        if ctypes.CDLL(None).prctl(24, capability, 0, 0, 0):  # PR_CAPBSET_DROP
            raise OSError("cannot give up privileges")


# Input as a whole -----------------------------------------------------------------------------------------------------


def test_input_that_is_not_there_or_holds_nothing():
    Path("empty.jsonl").touch()
    Path("other").mkdir()
    Path("other", "scan.xyz").touch()
    pq.write_table(pa.table({"id": [1], "body": ["one"]}), "body.parquet")
    Path("torn.parquet").write_bytes(b"PAR1 and no more")
    for path, sentence in {
        "missing.jsonl": "missing.jsonl: there is no such file or folder; check the path",
        "empty.jsonl": "empty.jsonl: the file is empty; there is nothing to read",
        "other": "other: the folder holds no file to read (1 other files, such as scan.xyz); known are .jsonl, ",
        "body.parquet": "body.parquet: no column 'text'; it has id, body: set input.text_column to one",
        "torn.parquet": "torn.parquet: not a parquet file, or cut off: ",
    }.items():
        # Of a command that could do nothing, nothing counts for the next one: not its limit either.
        assert error(chunk(path, "--limit", "1")).startswith(sentence)
        assert data("run") == {}
    assert "Traceback" in chunk("missing.jsonl", "-v").stderr
    said(chunk(jsonl("good.jsonl", GOOD, {"text": "And another."})), 0)
    assert [d.doc_id for d in rows("run", Document, "documents")] == ["good", "good.jsonl:2"]


@pytest.mark.skipif(sys.platform != "linux", reason="gives up privileges as Linux has them")
def test_input_that_may_not_be_read():
    before = unprivileged if os.getuid() == 0 else None
    Path("closed").mkdir()
    jsonl("closed/a.jsonl", GOOD)
    jsonl("open.jsonl", GOOD)
    for mode, path, what in (
        (0o000, "closed", "closed"),
        (0o000, "closed/a.jsonl", "closed/a.jsonl"),
        (0o600, "closed", "closed"),  # can be listed, not entered
    ):
        Path("closed").chmod(mode)
        line = error(chunk(path, before=before))
        assert line == f"{what}: permission to read it is denied; change its permissions, or the user"
    Path("closed").chmod(0o500)
    line = error(chunk("open.jsonl", run="closed/run", before=before))
    assert line == "closed/run: cannot be made a run directory: Permission denied; choose another --output-dir"
    Path("closed").chmod(0o700)
    said(chunk("closed"), 0)


# Bad rows -------------------------------------------------------------------------------------------------------------

BAD_ROWS = {
    b"{'text': 'x'}\n": ("not JSON", "column 2: Expecting property name enclosed in double quotes; found"),
    b'{"body": "x"}\n': ("no text", "column 'text' is missing; the row has 'body'"),
    b'{"text": 5}\n': ("text is not a string", "column 'text' holds 5"),
    b'{"id": "good", "text": "again"}\n': ("duplicate id", "the id 'good' was taken before, by a-rows.jsonl:1"),
    b'{"text": "a\\u0000b"}\n': ("NUL bytes", "character 1 (line 1) of column 'text' is NUL"),
    b'{"text": "a\0b"}\n': ("NUL bytes", "column 12 of the line holds a NUL byte"),
    b'{"text": "caf\xe9"}\n': ("invalid UTF-8", "byte 14 of the line (0xe9) is not valid utf-8"),
    b'{"text": " \\n"}\n': ("empty document", "column 'text' is empty or blank"),
    b'{"text": "' + b"z" * 5000 + b"\n": ("not JSON", "column 10: Unterminated string starting at; found"),
}


def test_bad_rows_are_set_aside_and_the_rest_goes_on():
    jsonl("in.jsonl", GOOD).rename("a-rows.jsonl")
    Path("in").mkdir()
    jsonl("in/a-rows.jsonl", GOOD, *BAD_ROWS, b'{"id": "last", "text": "Fine."}')
    Path("in", "b-scan.txt").write_bytes(bytes(range(128, 256)) * 40)
    Path("in", "c-hollow.txt").touch()
    pq.write_table(pa.table({"text": ["Of a table.", None]}), "in/d.parquet")
    Path("in", "e-letter.txt").write_bytes((FRENCH * 30).encode("latin-1"))
    Path("in", "f-cover.png").touch()
    expected = {f"a-rows.jsonl:{n}": what for n, what in enumerate(BAD_ROWS.values(), 2)} | {
        "b-scan.txt": ("undecodable", "line 1, byte 0 of the file (0x80) is not UTF-8, and no other encoding fits"),
        "c-hollow.txt": ("empty file", "the file holds no document"),
        "d.parquet:1": ("no text", "column 'text' is null"),
    }
    lines = said(chunk("in", "--workers", "2"), 3)
    assert lines[0].startswith("in: not read: 1 .png file, such as f-cover.png. What helps: img2pdf f-cover.png -o ")
    assert "e-letter.txt: read as latin-1" in [line.replace("iso8859-1", "latin-1") for line in lines]
    named = [line.removeprefix("set aside: ") for line in lines if line.startswith("set aside: ")]
    assert len(named) == 5
    assert "… and 7 more (-v names them all)" in lines
    assert lines[-1].startswith("12 rows failed: `longrlvr-data status run` counts the reasons, run/*/dropped/ holds")
    before = data("run")

    lines = said(chunk("in", "-v"), 3)
    named = [line.removeprefix("set aside: ") for line in lines if line.startswith("set aside: ")]
    assert len(named) == len(expected)
    for line, (place, (_, what)) in zip(named, expected.items(), strict=True):
        assert line.startswith(f"{place}: {what}")
    assert data("run") == before
    assert [d.doc_id for d in rows("run", Document, "documents")] == ["good", "last", "d.parquet:0", "e-letter.txt"]
    assert {d.row_id: (d.reason, d.status) for d in rows("run", Dropped, "dropped")} == {
        place: (reason, "failed") for place, (reason, _) in expected.items()
    }

    (entry,) = [s for s in json.loads(cli("status", "run", "--json").stdout)["stages"] if s["name"] == "chunk"]
    reasons = Counter(reason for reason, _ in expected.values())
    assert entry["ledger"]["document"] == {"in": 16, "kept": 4, "rejected": {}, "failed": reasons}
    shown = " ".join(cli("status", "run").stdout.split())
    assert all(re.search(rf"failed: {reason} {n}\b", shown) for reason, n in reasons.items()), shown


def test_no_good_row_at_all():
    jsonl("bad.jsonl", b"nope\n" * 3, {"body": "x"})
    line = error(chunk("bad.jsonl", "--limit", "2"))
    assert re.match(r"bad\.jsonl: no document.* no text \(1\), not JSON \(3\).* bad\.jsonl:1: column 1.*'nope'$", line)
    assert data("run") == {}
    line = error(chunk(jsonl("good.jsonl", GOOD), "-c", config("chunk: {min_document_tokens: 50}")))
    assert re.match(r"good\.jsonl: no document.* too short \(1\).* 5 tokens, chunk\.min_document_tokens is 50$", line)
    assert data("run") == {}
    said(chunk(jsonl("good.jsonl", GOOD, {"text": "b"}, {"text": "c"})), 0)
    assert len(rows("run", Document, "documents")) == 3


def test_strict_stops_before_anything_is_written():
    jsonl("in.jsonl", *[{"text": f"Document {i}."} for i in range(20)], b'{"text": 5}\n', b"nope\n")
    options = ("-c", config("chunk: {documents_per_shard: 1}"))
    assert re.match("in.jsonl:21: column 'text' holds 5 .*--strict", error(chunk("in.jsonl", "--strict", *options)))
    assert data("run") == {}
    said(chunk("in.jsonl"), 3)  # neither --strict nor the configuration stays
    assert shards.names("run/chunk") == ["shard-00000"]


@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted as Linux does")
def test_30_mb_of_garbage_are_set_aside():
    with open("garbage.jsonl", "wb") as f:
        for line in (b'{"text": "' + b"x" * 30_000_000, b"\xfe" * 30_000_000, b"[1," * 10_000_000, b"1" * 30_000_000):
            f.write(line + b"\n" + GOOD.replace(b"good", line[:1].hex().encode()))
    done = memory.python("-m", "datagen", "chunk", "--input", "garbage.jsonl", "-o", "run", "--workers", "1")
    lines = said(Done([], done.code, "", done.stderr), 3)
    assert [line.split(": ")[1:3] for line in lines if "set aside" in line] == [
        ["garbage.jsonl:1", "column 10"],
        ["garbage.jsonl:3", "byte 1 of the line (0xfe) is not valid utf-8"],
        ["garbage.jsonl:5", "nested too deeply to be read"],
        ["garbage.jsonl:7", mock.ANY],
    ]
    assert done.peak < 600
    assert len(rows("run", Document, "documents")) == 4


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="memory is counted as Linux does")
def test_one_line_of_30_mb_is_a_document():
    text = "".join(f"{i} {PROSE}" for i in range(30_000_000 // 81))
    jsonl("long.jsonl", {"id": "long", "text": text})
    done = memory.python("-m", "datagen", "chunk", "--input", "long.jsonl", "-o", "run", "--workers", "1")
    assert done.code == 0, done.stderr
    assert done.peak < 1000
    chunks = rows("run", Chunk)
    whole = "".join("".join(c.text.split()) for c in chunks) == "".join(text.split())
    assert whole
    assert all(text[c.start : c.end] == c.text for c in chunks)


# Where output goes ----------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full here")
def test_standard_output_that_cannot_be_written():
    for command in (["show", "config", "quickstart"], ["show", "prompt", "task"]):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([sys.executable, "-m", "datagen", *command], stdout=full, stderr=subprocess.PIPE)
        assert (done.returncode, done.stderr) == (
            1,
            b"error: standard output cannot be written: No space left on device\n",
        )


def test_standard_output_that_is_ascii():
    command = [sys.executable, "-m", "datagen", "show", "prompt", "judge-quality"]
    done = subprocess.run(command, capture_output=True, env=os.environ | {"PYTHONIOENCODING": "ascii"})
    assert (done.returncode, done.stderr) == (0, b"")
    done.stdout.decode("ascii")


@pytest.mark.parametrize("place", ["a::b", "simplecache::b", "nosuch://b", os.fsdecode(b"caf\xe9")])
def test_a_place_that_is_no_address(place):
    jsonl("good.jsonl", GOOD)
    before = sorted(os.listdir())
    for result in (call("chunk", "--input", "good.jsonl", "-o", place), call("status", place), call("doctor", place)):
        assert result.exit_code == 1
        assert "not an address that can be used" in result.stderr
    assert sorted(os.listdir()) == before


def test_a_run_whose_settings_are_no_text():
    jsonl("good.jsonl", GOOD)
    assert call("chunk", "--input", "good.jsonl", "-o", "run", "--workers", "1").exit_code == 0
    Path("run", "config.yaml").write_bytes(b"\xbf\x00\xff")
    for command in (("chunk", "-o", "run"), ("status", "run"), ("doctor", "run")):
        result = call(*command)
        assert result.exit_code == 1
        assert "holds no text" in result.stdout + result.stderr


def test_a_run_over_standard_input_may_be_moved():
    said(chunk("-", stdin=b"A document that came by standard input."), 0)
    whole = data("run")
    Path("run").rename("moved")
    result = call("chunk", "-o", "moved", "--workers", "1")
    assert result.exit_code == 0, result.stderr
    assert data("moved") == whole
    assert f"path: {Path.cwd() / 'moved' / 'input' / 'stdin.txt'}" in Path("moved", "config.yaml").read_text()


# Settings -------------------------------------------------------------------------------------------------------------


def config(text: str, name: str = "settings.yaml") -> str:
    Path(name).write_text(text)
    return name


def test_settings_that_are_wrong():
    jsonl("good.jsonl", GOOD)
    config(
        "chunk:\n  max_token: 5\n  documents_per_shard: 0\ngenerate:\n  candidates: many\nselect: all\n", "wrong.yaml"
    )
    assert set(said(chunk("good.jsonl", "-c", "wrong.yaml"), 2)) == {
        "error: wrong.yaml:3: chunk.documents_per_shard: input should be greater than or equal to 1, got 0",
        "wrong.yaml:2: chunk.max_token: unknown setting; did you mean 'max_tokens'?",
        "wrong.yaml:5: generate.candidates: input should be a valid integer, unable to parse string as an integer, "
        "got 'many'",
        "wrong.yaml:6: select: a section holds settings, such as 'min_rating:', got 'all'",
    }
    assert error(chunk("good.jsonl", "-c", config("chunk: {max_tokens: 100\nseed: 1\n")), 2).startswith(
        "settings.yaml:2: not valid YAML: "
    )
    Path("blob.yaml").write_bytes(b"\xff\0\1")
    assert error(chunk("good.jsonl", "-c", "blob.yaml"), 2).startswith("blob.yaml: cannot be read as a configuration")
    assert error(chunk("good.jsonl", "-c", "absent.yaml"), 2).startswith("absent.yaml: no such file, and no such bund")
    line = error(chunk("good.jsonl", "-c", config("chunk: {tokenizer: words}")), 2)
    assert line.startswith("chunk.tokenizer: ")
    assert "--seed" in " ".join(cli("chunk", "--seed", "x").stderr.split())
    what, whole = said(cli("chunk", "-o", "run"), 2)
    assert what.startswith("error: no input: give --input ")
    assert whole == "  longrlvr-data chunk -o run --input PATH"
    assert data("run") == {}
    said(chunk("good.jsonl"), 0)


@pytest.mark.parametrize(
    "text",
    [
        "just words",
        f"{'k' * 500}: 1",
        f"chunk:\n  {'k' * 500}: 1",
        f"{'k' * 500}: 1\n{'k' * 500}: 1",
        f"seed: !!int {'k' * 5000}",
        f"seed: !{'k' * 5000} 1",
        f"seed: *{'k' * 5000}",
        f"seed: {'k' * 5000}",
        f"seed: [{'k, ' * 5000}]",
    ],
)
def test_a_wrong_setting_is_not_printed_at_length(text):
    with pytest.raises(ConfigError) as e:
        configs.load(config(text))
    assert str(e.value).startswith("settings.yaml:")
    assert len(str(e.value)) <= MOST


# The place to write to ------------------------------------------------------------------------------------------------


def test_a_file_where_the_run_should_be():
    jsonl("good.jsonl", GOOD)
    before = Path("good.jsonl").read_bytes()
    assert error(chunk("good.jsonl", run="good.jsonl")) == (
        "good.jsonl: cannot be made a run directory: File exists; choose another --output-dir"
    )
    assert error(chunk("good.jsonl", run="good.jsonl/run")) == (
        "good.jsonl/run: cannot be made a run directory: Not a directory; choose another --output-dir"
    )
    assert error(cli("status", "good.jsonl")).startswith("good.jsonl is no run directory")
    assert Path("good.jsonl").read_bytes() == before


def test_a_run_that_another_process_works_on():
    jsonl("good.jsonl", GOOD)
    holder = subprocess.Popen([sys.executable, "-c", HOLD, "run"], stdout=subprocess.PIPE)
    with holder:
        assert holder.stdout
        holder.stdout.readline()
        line = error(chunk("good.jsonl"))
        assert re.fullmatch(rf"run is in use by process {holder.pid} on \S+: wait for it, or choose .*", line)
        assert data("run") == {}
        holder.kill()
    said(chunk("good.jsonl"), 0)


def test_a_damaged_shard_is_named_and_can_be_made_again():
    jsonl("in.jsonl", *[{"id": f"d{i}", "text": PROSE * 20} for i in range(3)])
    said(chunk("in.jsonl", "-c", config("chunk: {documents_per_shard: 1, max_tokens: 64}")), 0)
    whole = data("run")
    times = {name: Path("run", name).stat().st_mtime_ns for name in whole}
    for table, kept in (("chunk", 200), ("chunk/dropped", 0), ("chunk/documents", None)):
        damaged = Path("run", table, "shard-00001.parquet")
        if kept is not None:
            damaged.write_bytes(damaged.read_bytes()[:kept])
            line = error(chunk("in.jsonl"))
            assert line.startswith(f"{damaged} is damaged (")
            assert line.endswith(": `longrlvr-data doctor run --repair` takes it out, and the next run makes it again")
            said(cli("doctor", "run", "--repair"), 0)
            assert not damaged.exists()
        else:
            damaged.unlink()
        said(chunk("in.jsonl"), 0)
        assert data("run") == whole
    assert {n for n in whole if Path("run", n).stat().st_mtime_ns == times[n]} == {n for n in whole if "1.p" not in n}

    # One byte, within the data: found by its checksum as soon as someone reads it.
    damaged = Path("run/chunk/shard-00000.parquet")
    content = bytearray(damaged.read_bytes())
    content[60] ^= 1
    damaged.write_bytes(content)
    settings = config("chunk: {documents_per_shard: 1, max_tokens: 64}\nembed: {device: cpu}")
    assert error(cli("cluster", "-o", "run", "--workers", "1", "-c", settings)).startswith(f"{damaged} is damaged (")
    damaged.unlink()
    said(chunk("in.jsonl"), 0)
    assert data("run") == whole


def test_a_damaged_file_of_bookkeeping_is_named_and_can_be_repaired():
    jsonl("in.jsonl", GOOD)
    said(chunk("in.jsonl"), 0)
    whole = data("run")
    times = {name: Path("run", name).stat().st_mtime_ns for name in whole}
    hashes = Path("run", ".fingerprints.json")
    noted = hashes.read_bytes()
    hashes.write_bytes(noted[:10])
    said(chunk("in.jsonl"), 0)
    assert (hashes.read_bytes(), data("run")) == (noted, whole)
    for name in ("chunk/stage.json",):
        damaged = Path("run", name)
        damaged.write_bytes(damaged.read_bytes()[:10])
        line = error(chunk("in.jsonl"))
        assert line.startswith(f"{damaged} is damaged")
        assert line.endswith(": `longrlvr-data doctor run --repair` takes it out, and the next run makes it again")
        said(cli("doctor", "run", "--repair"), 0)
        said(chunk("in.jsonl"), 0)
        assert data("run") == whole
        assert {name: Path("run", name).stat().st_mtime_ns for name in whole} == times


@contextlib.contextmanager
def small_disk(size: str) -> Iterator[Path]:
    """A file system of its own, which must be allowed."""
    disk = Path("disk").absolute()
    disk.mkdir()
    mount = shutil.which("mount")
    command = [mount or "", "-t", "tmpfs", "-o", f"size={size}", "none", str(disk)]
    if not mount or os.getuid() or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a small disk is not allowed here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def grow(disk: Path, size: str) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(disk)], check=True)


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a small disk as Linux does")
def test_a_full_disk():
    jsonl("in.jsonl", *[{"id": f"d{i}", "text": os.urandom(30_000).hex(" ", 4)} for i in range(8)])
    options = ("-c", config("chunk: {documents_per_shard: 1, max_tokens: 64}"))
    said(chunk("in.jsonl", *options, run="elsewhere"), 0)
    with small_disk("512k") as disk:
        run = str(disk / "run")
        line = said(chunk("in.jsonl", *options, "--workers", "2", run=run), 1)[-1]  # after how far a slow one came
        assert re.search(r"/run/chunk/.*\.parquet: no space left to write [\d,]+ bytes\. Free some space and run", line)
        first = data(run)
        done = [name for name in first if name.startswith("chunk/shard")]
        assert 0 < len(done) < 8
        times = {name: Path(run, name).stat().st_mtime_ns for name in done}
        grow(disk, "20m")
        said(chunk("in.jsonl", *options, run=run), 0)
        assert data(run) == data("elsewhere")
        assert first.items() <= data(run).items()
        assert {name: Path(run, name).stat().st_mtime_ns for name in done} == times


def test_standard_input_needs_a_local_run_directory_to_be_kept_in():
    assert error(chunk("-", before=lambda: os.close(0))).startswith("standard input is closed: give --input a file")
    assert error(chunk("-", run="memory://run", stdin=GOOD)).startswith("memory://run: standard input is kept in the ")
    said(chunk("-", run=f"file://{os.getcwd()}/run", stdin=GOOD), 0)
    assert sorted(os.listdir()) == ["run"]
    assert Path("run/input/stdin.jsonl").read_bytes() == GOOD


@pytest.mark.skipif(sys.platform != "linux", reason="mounts a small disk as Linux does")
def test_standard_input_on_a_full_disk():
    text = b"".join(b'{"text": "%s"}\n' % os.urandom(10_000).hex(" ", 4).encode() for _ in range(20))
    with small_disk("256k") as disk:
        run = str(disk / "run")
        line = error(chunk("-", run=run, stdin=text))
        assert re.search(r"/run/input.*: no space left", line)
        assert data(run) == {}
        grow(disk, "20m")
        said(chunk("-", run=run, stdin=text), 0)
        assert len(rows(run, Document, "documents")) == 20


# The ledger, after bad rows -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_ledger_is_what_the_files_hold():
    topics = pytest.importorskip("pydoc_data.topics").topics
    texts = {"good": topics["execmodel"], "b": topics["import"], "c": topics["try"]}
    texts |= {"d": "Short.", "e": "Short, too."}
    jsonl("in.jsonl", *[{"id": name, "text": text} for name, text in texts.items()], *BAD_ROWS)
    settings = """
chunk: {max_tokens: 64, documents_per_shard: 2, min_document_tokens: 20}
embed: {device: cpu}
cluster: {max_clusters: 6}
select: {per_document: 4, per_cluster: 2, min_rating: 3, validation_fraction: 0.34}
"""
    done = cli("run", "--input", "in.jsonl", "-o", "run", "-c", config(settings), "--workers", "1")
    assert done.returncode == 3, done.stderr
    assert "Traceback" not in done.stderr
    stages = json.loads(cli("status", "run", "--json").stdout)["stages"]
    assert stages.pop()["name"] == "dataset"
    assert [s["name"] for s in stages] == ["chunk", "embed", "cluster", "generate", "judge", "select"]
    flow = [("document", "chunk"), ("chunk", "chunk"), ("document", "cluster"), ("cluster", "candidate")]
    kept: dict[str, set[str]] = {}  # the ids of each unit, as the last stage that made it wrote them
    for s, (takes, makes) in zip(stages, [*flow, *[("candidate", "candidate")] * 2], strict=True):
        # Two documents a shard; of the last one nothing is left.
        assert (s["shards_done"], s["shards_total"], s["pending"], s["mixed"]) == (3, 3, 0, False)
        assert set(s["ledger"]) == {takes, makes}
        files = sorted(Path("run", s["name"]).glob("*.parquet"))
        table = pa.concat_tables(pq.read_table(f) for f in files)
        dropped = [r for f in files for r in pq.read_table(f.parent / "dropped" / f.name).to_pylist()]
        assert all(d["detail"] and d["unit"] in (takes, makes) for d in dropped)
        for unit, entry in s["ledger"].items():
            counted = Counter((d["status"], d["reason"]) for d in dropped if d["unit"] == unit)
            assert counted == {(k, reason): n for k in ("rejected", "failed") for reason, n in entry[k].items()}
            assert entry["in"] == entry["kept"] + counted.total()
            ids = ["#".join(map(str, row.values())) for row in table.select(UNIT_COLUMNS[unit]).to_pylist()]
            left = {d["row_id"] for d in dropped if d["unit"] == unit}
            assert entry["kept"] == len(set(ids))
            assert not left & set(ids)
            if unit == makes:
                assert len(ids) == len(set(ids)) == s["rows"]
            if unit == takes and unit in kept:
                assert left | set(ids) == kept[unit]
            kept[unit] = set(ids)
    documents = stages[0]["ledger"]["document"]
    assert (documents["in"], documents["kept"], documents["rejected"]) == (14, 3, {"too short": 2})
    assert documents["failed"] == Counter(reason for reason, _ in BAD_ROWS.values())
    assert stages[-1]["rows"] > 0
