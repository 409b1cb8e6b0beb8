import json
import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datagen import shards, signals
from datagen.errors import DamagedFile, UserError
from datagen.records import Cluster, Embedding, to_table

ROWS = [Cluster(f"d/c{i}", "d", [i, i + 1], 0.5, 0.25, 0.5) for i in range(40)]
LEDGER = {"cluster": {"in": 40, "kept": 40, "rejected": {}, "failed": {}}}

# Forks children that do some work on a folder and kills each in the middle of it.
KILLER = """
import itertools, os, random, signal, sys, time
from pathlib import Path
from datagen import shards

folder, how, work, seed = Path(sys.argv[1]), getattr(signal, sys.argv[2]), sys.argv[3], random.Random(0)

def write(target):
    for i in itertools.count():
        shards.write_bytes(f"{target}/{i % 3}.bin", bytes([i % 256]) * 3_000_000)

def remove(target):
    shards.remove(f"{target}/doomed")

for n in range(16):
    target = folder / str(n)
    (target / "doomed").mkdir(parents=True)
    for i in range(300 if work == "remove" else 0):
        (target / "doomed" / str(i)).touch()
    begun, begin = os.pipe()
    if (pid := os.fork()) == 0:
        os.write(begin, b"x")
        globals()[work](target)
        os._exit(0)
    os.read(begun, 1)
    time.sleep(seed.uniform(0, 0.03 if work == "write" else 0.004))
    os.kill(pid, how)
    os.waitpid(pid, 0)
"""


def kill_in_the_middle_of(work: str, folder: Path, how: str = "SIGKILL") -> list[Path]:
    """Runs it; returns what unfinished work left behind."""
    subprocess.run([sys.executable, "-c", KILLER, str(folder), how, work], check=True, timeout=60)
    return list(folder.rglob(".*"))


@pytest.fixture
def memory():
    return f"memory://{uuid.uuid4().hex}"


def test_of_many_that_create_a_file_one_does(tmp_path):
    def made(n: int) -> bool:
        try:
            shards.create(str(tmp_path / "new"), str(n).encode())
        except FileExistsError:
            return False
        return True

    with ThreadPoolExecutor(8) as threads:
        did = list(threads.map(made, range(40)))
    assert sum(did) == 1
    assert (tmp_path / "new").read_text() == str(did.index(True))
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


def test_a_file_is_whole_or_not_there_when_the_writer_is_killed(tmp_path):
    left = kill_in_the_middle_of("write", tmp_path)
    assert left, "no kill hit a write"
    for folder in tmp_path.iterdir():
        assert all(name.endswith(".bin") for name in shards.listing(str(folder)) if name != "doomed")
    for file in tmp_path.rglob("[0-9].bin"):
        data = file.read_bytes()
        assert data == data[:1] * 3_000_000
    shards.sweep(str(tmp_path))
    assert not list(tmp_path.rglob(".*"))


def test_a_polite_kill_waits_for_the_write(tmp_path):
    assert kill_in_the_middle_of("write", tmp_path, "SIGTERM") == []
    assert list(tmp_path.rglob("[0-9].bin"))


def test_a_folder_is_whole_or_not_there_when_its_removal_is_killed(tmp_path):
    left = kill_in_the_middle_of("remove", tmp_path)
    assert left, "no kill hit a removal"
    assert {len(list(folder.iterdir())) for folder in tmp_path.glob("*/doomed")} <= {300}
    shards.sweep(str(tmp_path))
    assert not list(tmp_path.rglob(".*"))


def test_sweep_leaves_the_files_of_others(tmp_path):
    others = [tmp_path / ".mine.tmp", tmp_path / "a.parquet", tmp_path / ".hidden.7.tmp"]
    for file in others:
        file.touch()
    shards.sweep(str(tmp_path))
    shards.sweep(str(tmp_path / "none"))
    assert all(file.exists() for file in others)


def test_the_same_rows_give_the_same_bytes(tmp_path, memory):
    places = [str(tmp_path / "a" / "x.parquet"), str(tmp_path / "y.parquet"), f"{memory}/x.parquet"]
    for place in places:
        shards.write_rows(place, Cluster, ROWS, LEDGER)
    assert len({shards.read_bytes(place) for place in places}) == 1


def test_rows_and_ledger_come_back(tmp_path):
    path = str(tmp_path / "s.parquet")
    shards.write_rows(path, Cluster, ROWS, LEDGER)
    assert shards.read_rows(path, Cluster) == ROWS
    assert shards.read_ledger(path) == (40, LEDGER)
    assert shards.read_table(path, ["cohesion", "doc_id"]).column_names == ["cohesion", "doc_id"]
    shards.write_rows(path, Cluster, [])
    assert shards.read_rows(path, Cluster) == []
    assert shards.read_ledger(path) == (0, {})
    assert pq.read_schema(path).remove_metadata().names[0] == "cluster_id"


def test_names_are_of_finished_shards_only(tmp_path):
    for name in ("b.parquet", "a.parquet", ".c.parquet.1.longrlvr-tmp", ".d.parquet", "stage.json", "sub/e.parquet"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert shards.names(str(tmp_path)) == ["a", "b"]
    assert shards.listing(str(tmp_path)) == ["a.parquet", "b.parquet", "stage.json", "sub"]
    assert shards.names(str(tmp_path / "none")) == []


@pytest.mark.parametrize("place", ["local", "file", "memory"])
def test_a_run_directory_anywhere(place, tmp_path, memory):
    root = {"local": str(tmp_path), "file": f"file://{tmp_path}", "memory": memory}[place]
    assert shards.is_local(root) == (place != "memory")
    run = shards.join(root + "/", "/chunk/")
    assert run == f"{root}/chunk"
    shards.write_rows(f"{run}/s0.parquet", Cluster, ROWS)
    shards.write_json(f"{run}/deep/a.json", {"ü": [1, None]})
    assert shards.names(run) == ["s0"]
    assert shards.read_rows(f"{run}/s0.parquet", Cluster) == ROWS
    assert shards.read_json(f"{run}/deep/a.json") == {"ü": [1, None]}
    assert shards.read_json(f"{run}/none.json") is None
    shards.write_json(f"{root}/.new/b.json", 1)
    shards.write_json(f"{root}/.new/deep/c.json", 2)
    shards.replace_folder(f"{root}/.new", run)
    assert not shards.exists(f"{root}/.new")
    assert shards.listing(run) == ["b.json", "deep"]
    assert [shards.read_json(f"{run}/{name}") for name in ("b.json", "deep/c.json", "deep/a.json")] == [1, 2, None]
    shards.remove(f"{run}/b.json")
    assert shards.listing(run) == ["deep"]
    shards.remove(run)
    shards.remove(run)
    assert not shards.exists(run)


def test_damage_names_the_file(tmp_path):
    path = tmp_path / "s.parquet"
    rows = [Embedding("d", i, np.full(16, i / 64)) for i in range(64)]
    shards.write_rows(str(path), Embedding, rows, LEDGER)
    whole = path.read_bytes()
    assert shards.read_rows(str(path), Embedding)[5].vector.tolist() == rows[5].vector.tolist()
    in_the_data = bytearray(whole)
    in_the_data[len(whole) // 4] ^= 1
    for damaged in (b"", b"PAR1", whole[:-1], whole[: len(whole) // 2], whole[:-9] + whole[-8:], bytes(in_the_data)):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=rf"^{re.escape(str(path))} is damaged \(.+\)"):
            shards.read_rows(str(path), Embedding)
    with pytest.raises(UserError, match="is missing: run its stage again"):
        shards.read_ledger(str(tmp_path / "none.parquet"))
    path.write_text('{"half":')
    with pytest.raises(UserError, match=rf"^{re.escape(str(path))} is damaged"):
        shards.read_json(str(path))


def test_no_flipped_bit_of_a_shard_goes_unnoticed(tmp_path):
    path = tmp_path / "s.parquet"
    origin = {"identity": "ab", "place": "cluster/s"}
    shards.write_rows(str(path), Cluster, ROWS[:5], LEDGER, origin)
    whole = path.read_bytes()
    assert shards.read_footer(str(path)) == shards.Footer(5, LEDGER, origin)
    noticed = 0
    for i in range(0, len(whole), 2):
        path.write_bytes(whole[:i] + bytes([whole[i] ^ (1 << i % 8)]) + whole[i + 1 :])
        try:
            assert shards.read_rows(str(path), Cluster) == ROWS[:5]
            assert shards.read_footer(str(path)) == shards.Footer(5, LEDGER, origin)
        except DamagedFile:
            noticed += 1
    assert noticed == (len(whole) + 1) // 2


def test_a_shard_without_a_seal_is_read(tmp_path):
    path = str(tmp_path / "s.parquet")
    pq.write_table(to_table(Cluster, ROWS).replace_schema_metadata({"longrlvr.ledger": json.dumps(LEDGER)}), path)
    assert shards.read_rows(path, Cluster) == ROWS
    assert shards.read_footer(path) == shards.Footer(40, LEDGER, {})
    shards.verify(path)


def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    path = str(tmp_path / "s.parquet")
    shards.write_rows(path, Cluster, ROWS)

    def refused(*_):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(shards.pa, "OSFile", refused)
    with pytest.raises(UserError, match="cannot be read: Permission denied") as e:
        shards.read_rows(path, Cluster)
    assert "delete" not in str(e.value)
    assert "repair" not in str(e.value)


def groups(n: int) -> Iterator[pa.Table]:
    """Tables of a megabyte, which takes half of one when written."""
    noise = np.random.default_rng(0)
    for _ in range(n):
        yield pa.table({"text": [noise.bytes(1024).hex() for _ in range(512)]})


def test_groups_are_written_as_they_come(tmp_path, memory):
    schema = pa.schema([("text", pa.string())])
    for folder in (str(tmp_path), memory):
        shards.write_groups(f"{folder}/a.parquet", schema, groups(3))
        with shards._opened(f"{folder}/a.parquet") as f:
            footer = pq.read_metadata(f)
        assert [footer.row_group(i).num_rows for i in range(footer.num_row_groups)] == [512] * 3
        assert shards.read_table(f"{folder}/a.parquet").equals(pa.concat_tables(groups(3)))
        assert shards.listing(folder) == ["a.parquet"]
        shards.write_groups(f"{folder}/a.parquet", schema, iter(()))
        assert shards.read_table(f"{folder}/a.parquet").num_rows == 0
    assert os.listdir(tmp_path) == ["a.parquet"]


def test_one_group_is_held_at_a_time(tmp_path):
    before, held = pa.total_allocated_bytes(), []

    def watched() -> Iterator[pa.Table]:
        for table in groups(20):
            yield table
            held.append(pa.total_allocated_bytes() - before)

    shards.write_groups(str(tmp_path / "a.parquet"), pa.schema([("text", pa.string())]), watched())
    assert max(held) < 4 * 2**20 < (tmp_path / "a.parquet").stat().st_size


def test_groups_that_end_early_leave_nothing(tmp_path, memory):
    def broken() -> Iterator[pa.Table]:
        yield from groups(1)
        raise KeyboardInterrupt

    for folder in (str(tmp_path), memory):
        shards.write_json(f"{folder}/a.parquet", "kept")
        with pytest.raises(KeyboardInterrupt):
            shards.write_groups(f"{folder}/a.parquet", pa.schema([("text", pa.string())]), broken())
        assert shards.listing(folder) == ["a.parquet"]
        assert shards.read_json(f"{folder}/a.parquet") == "kept"
    assert os.listdir(tmp_path) == ["a.parquet"]


def test_rows_of_another_kind_are_refused(tmp_path):
    path = str(tmp_path / "s.parquet")
    shards.write_table(path, pa.table({"other": [1]}))
    with pytest.raises(UserError, match="is damaged"):
        shards.read_rows(path, Cluster)


def test_only_texts_are_written_with_a_dictionary(tmp_path):
    rows = [Embedding("d", i, np.arange(8, dtype=np.float16)) for i in range(5)]
    shards.write_rows(str(tmp_path / "a.parquet"), Embedding, rows)
    columns = [pq.read_metadata(tmp_path / "a.parquet").row_group(0).column(i) for i in range(3)]
    assert {c.path_in_schema.split(".")[0]: "RLE_DICTIONARY" in c.encodings for c in columns} == {
        "doc_id": True,
        "chunk_index": False,
        "vector": False,
    }


@pytest.mark.parametrize("write", [shards.write_bytes, lambda path, data: shards.write_json(path, data.decode())])
def test_a_place_that_cannot_be_written(write, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"file/a\.json: .*(Not a directory|File exists)"):
        write(str(tmp_path / "file" / "a.json"), b"1")
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="folder: cannot be written: Is a directory"):
        write(str(tmp_path / "folder"), b"1")
    assert sorted(os.listdir(tmp_path)) == ["file", "folder"]


def test_a_full_disk_is_said_and_leaves_nothing(small_disk):
    kept = str(small_disk / "kept.bin")
    shards.write_bytes(kept, b"x" * 1000)
    for path in (kept, str(small_disk / "big.bin")):
        with pytest.raises(UserError, match=r"bin: no space left to write 100,000 bytes\. Free some space"):
            shards.write_bytes(path, b"y" * 100_000)
    with pytest.raises(UserError, match=r"parquet: no space left\. Free some space"):
        shards.write_groups(str(small_disk / "big.parquet"), pa.schema([("text", pa.string())]), groups(2))
    assert shards.read_bytes(kept) == b"x" * 1000
    assert os.listdir(small_disk) == ["kept.bin"]


def test_a_disk_without_inodes_is_not_called_full(small_disk):
    kept = str(small_disk / "kept.bin")
    shards.write_bytes(kept, b"x")
    remount(small_disk, f"nr_inodes={len(os.listdir(small_disk)) + 1}")
    said = r"\.bin: no space left for another file \(the disk is out of inodes\)\. Remove some files and run the same "
    for path in (kept, str(small_disk / "new.bin"), str(small_disk / "folder" / "new.bin")):
        with pytest.raises(UserError, match=said):
            shards.write_bytes(path, b"y")
    assert shards.read_bytes(kept) == b"x"
    assert os.listdir(small_disk) == ["kept.bin"]


def test_a_read_only_disk_is_said_whatever_is_done_to_it(small_disk):
    path, left = str(small_disk / "kept.bin"), small_disk / f".a{shards.UNFINISHED}"
    shards.write_bytes(path, b"x")
    left.touch()
    remount(small_disk, "ro")
    for named, done, work in (
        (path, "written", lambda: shards.write_bytes(path, b"y")),
        (path, "removed", lambda: shards.remove(path)),
        (f"{small_disk}/other", "written", lambda: shards.replace_folder(path, f"{small_disk}/other")),
        (f"{small_disk}/other", "written", lambda: shards.copy(path, f"{small_disk}/other")),
        (str(left), "removed", lambda: shards.sweep(str(small_disk))),
    ):
        with pytest.raises(UserError) as e:
            work()
        why = f"cannot be {done}: Read-only file system. Put that right and run the same command again"
        assert str(e.value) == f"{named}: {why}: what is finished is kept."


def remount(disk: Path, option: str) -> None:
    subprocess.run(["mount", "-o", f"remount,{option}", str(disk)], check=True)


def test_a_signal_that_waits_for_a_write_is_not_lost_with_an_error():
    def fail() -> None:
        with signals.held():
            signal.raise_signal(signal.SIGINT)
            raise OSError("the disk is full")

    with pytest.raises(KeyboardInterrupt):
        fail()
