import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from datagen.errors import RunLocked, UserError
from datagen.run import lock
from datagen.run.share import WHOLE, Share

HOLD = """
import sys, time
from datagen.run import lock
from datagen.run.share import Share
with lock.locked(sys.argv[1], Share(*map(int, sys.argv[2:4]))):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_one_process_at_a_time(prefix, tmp_path):
    run = prefix + str(tmp_path / "run")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".left.parquet.7.longrlvr-tmp").touch()
    holder = subprocess.Popen([sys.executable, "-c", HOLD, run, "0", "1"], stdout=subprocess.PIPE, text=True)
    assert holder.stdout
    assert holder.stdout.readline() == "held\n"
    assert not (tmp_path / "run" / ".left.parquet.7.longrlvr-tmp").exists()
    with pytest.raises(RunLocked, match=f"/run is in use by process {holder.pid} on "), lock.locked(run):
        pass
    holder.kill()
    holder.wait()
    holder.stdout.close()
    for _ in range(2):
        with lock.locked(run):
            pass
    with pytest.raises(ZeroDivisionError), lock.locked(run):
        _ = 1 / 0
    with lock.locked(run):
        assert Path(tmp_path, "run", ".lock-owner").read_text().startswith(f"process {os.getpid()} on ")


def test_jobs_of_one_array_beside_each_other_and_nothing_else(tmp_path):
    run = tmp_path / "run"
    holding = [sys.executable, "-c", HOLD, str(run)]
    holders = [subprocess.Popen([*holding, str(index), "8"], stdout=subprocess.PIPE, text=True) for index in (0, 3, 5)]
    for holder in holders:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
    (run / ".left.parquet.7.longrlvr-tmp").touch()
    with lock.locked(str(run), Share(1, 8)):
        assert (run / ".left.parquet.7.longrlvr-tmp").exists()  # another job may be writing it
    for share, job in ((WHOLE, "0 of 8"), (Share(0, 4), "0 of 8"), (Share(3, 8), "3 of 8")):
        with (
            pytest.raises(RunLocked, match=rf"in use by process \d+ on \S+, as job {job}: "),
            lock.locked(str(run), share),
        ):
            pass
    for holder in holders:
        holder.kill()
        holder.wait()
        assert holder.stdout
        holder.stdout.close()
    with lock.locked(str(run)):
        assert not (run / ".left.parquet.7.longrlvr-tmp").exists()
        with (
            pytest.raises(RunLocked, match=rf"in use by process {os.getpid()} on "),
            lock.locked(str(run), Share(0, 2)),
        ):
            pass


def test_jobs_that_begin_together_all_begin(tmp_path):
    """Each looks at the lock of the whole run, which takes it for a moment."""
    run = str(tmp_path / "run")

    def held(index: int) -> int:
        for _ in range(20):
            with lock.locked(run, Share(index, 8)):
                pass
        return index

    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(held, range(8))) == list(range(8))


def test_a_run_on_a_read_only_disk(small_disk):
    (small_disk / "run").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    said = r"/\.lock: cannot be written: Read-only file system\. Put that right and run the same command again"
    for run in ("run", "new"):
        with pytest.raises(UserError, match=run + said), lock.locked(str(small_disk / run)):
            pass


def test_a_place_that_cannot_be_a_run_directory(tmp_path):
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "run"):
        with (
            pytest.raises(UserError, match=r"file.*: cannot be made a run directory: .*; choose another"),
            lock.locked(str(place)),
        ):
            pass
