import os
import subprocess
import sys
from pathlib import Path

import pytest

from datagen.errors import RunLocked, UserError
from datagen.run import lock

HOLD = """
import sys, time
from datagen.run import lock
with lock.locked(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_one_process_at_a_time(prefix, tmp_path):
    run = prefix + str(tmp_path / "run")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".left.parquet.7.longrlvr-tmp").touch()
    holder = subprocess.Popen([sys.executable, "-c", HOLD, run], stdout=subprocess.PIPE, text=True)
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
