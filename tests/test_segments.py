"""A journal in a store reads, at any instant, as what was acknowledged, each reply once, whatever was killed before."""

import random
import uuid
from contextlib import suppress
from typing import Any, ClassVar

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem
from hypothesis import given
from hypothesis import strategies as st

from datagen import segments, shards
from datagen.errors import DamagedFile, RunLocked
from datagen.llm import journal
from datagen.llm.base import Completion
from datagen.llm.journal import Journal


class Killed(BaseException):
    """The process is gone."""


class Dying(MemoryFileSystem):
    """A store whose client is killed right before one of its changes, or right after it."""

    protocol = "dying"
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    left: ClassVar[float] = float("inf")  # half steps: before a change, and after it

    def pipe_file(self, path: str, value: bytes, mode: str = "overwrite", **kwargs: Any) -> None:
        self.step()
        super().pipe_file(path, value, mode=mode, **kwargs)
        self.step()

    def rm(self, path: str | list[str], recursive: bool = False, maxdepth: int | None = None) -> None:
        """One by one, in any order, as a store does with many."""
        for each in random.sample(path, len(path)) if isinstance(path, list) else [path]:
            self.step()
            super().rm(each, recursive, maxdepth)

    def step(self) -> None:
        Dying.left -= 1
        if Dying.left < 0:
            raise Killed


fsspec.register_implementation("dying", Dying, clobber=True)


def replies(*keys: int) -> list[Completion]:
    return [Completion(f"{key}", text="so " * key) for key in keys]


def work(path: str, steps: list[str], acknowledged: list[Completion], asked: list[Completion]) -> None:
    """What a process does to a journal. `asked` is what it has begun to write."""
    kept = Journal(path)
    kept.open()
    for step in steps:
        if step == "finish":
            kept.finish()
        elif step == "again":
            kept = Journal(path)
        else:
            asked[:] = replies(*range(len(acknowledged), len(acknowledged) + int(step)))
            kept.append(asked)
            acknowledged += asked
            asked.clear()


@given(
    st.lists(st.sampled_from(["1", "2", "3", "finish", "again"]), min_size=1, max_size=12),
    st.lists(st.integers(0, 30), max_size=4),
)
def test_whatever_was_killed_what_was_acknowledged_is_there_once(steps, kills):
    path, acknowledged = f"dying://{uuid.uuid4().hex}/journal/generate/shard-00000.jsonl", []
    for left in (*kills, float("inf")):
        Dying.left, asked = left, []
        with suppress(Killed):
            work(path, steps, acknowledged, asked)
        Dying.left = float("inf")
        found = list(journal.read(path))
        assert found in (acknowledged, acknowledged + asked)  # what nobody was told of may be there
        acknowledged = found
        sizes = segments.sizes(path.rsplit("/", 1)[0])
        assert sizes.get("shard-00000.jsonl", 0) == len(segments.read(path))
        assert journal.usage([path])["requests"] == len(acknowledged)
    kept = Journal(path)
    kept.finish()
    assert shards.read_bytes(path).count(b"\n") == len(acknowledged) if acknowledged else not shards.exists(path)
    assert shards.listing(f"{path}{segments.PARTS}") == []


@pytest.fixture
def path() -> str:
    return f"memory://{uuid.uuid4().hex}/journal/generate/shard-00000.jsonl"


def test_a_part_that_is_missing_is_noticed_and_mended(path):
    kept = Journal(path)
    for key in range(4):
        kept.append(replies(key))
    parts = shards.listing(f"{path}{segments.PARTS}")
    shards.remove(f"{path}{segments.PARTS}/{parts[1]}")
    with pytest.raises(DamagedFile, match=r"line 2: not what was written"):
        list(journal.read(path))
    journal.mend(path)
    assert list(journal.read(path)) == replies(0, 2, 3)
    assert shards.exists(f"{path}.damaged")
    again = Journal(path)
    again.append(replies(4))
    assert list(journal.read(path)) == replies(0, 2, 3, 4)


def test_every_flipped_bit_is_noticed(path):
    kept = Journal(path)
    kept.append(replies(1))
    kept.append(replies(2))
    part = f"{path}{segments.PARTS}/{shards.listing(path + segments.PARTS)[0]}"
    whole = shards.read_bytes(part)
    for bit in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        shards.write_bytes(part, bytes(flipped))
        with pytest.raises(DamagedFile):
            list(journal.read(path))


def test_two_that_write_to_one_journal_overwrite_nothing(path):
    """As where one was taken for dead and is not."""
    one, other = Journal(path), Journal(path)
    one.open()
    other.open()
    one.append(replies(1))
    with pytest.raises(RunLocked, match="is written by another process, too: wait for it, or end it"):
        other.append(replies(2))
    assert list(journal.read(path)) == replies(1)


def test_a_write_whose_acknowledgement_was_lost_is_written(path):
    segments.append(path, 0, b"a line\n")
    segments.append(path, 0, b"a line\n")
    assert segments.read(path) == b"a line\n"


def test_a_journal_from_a_disk_goes_on_without_its_cut_line(path, tmp_path):
    local = Journal(tmp_path / "x.jsonl")
    local.append(replies(1, 2))
    local.close()
    shards.write_bytes(path, (tmp_path / "x.jsonl").read_bytes()[:-5])
    kept = Journal(path)
    kept.append(replies(3))
    assert list(journal.read(path)) == replies(1, 3)


def test_a_journal_of_the_version_before_is_sealed(path):
    shards.write_bytes(path, b'{"key": "a", "text": "so"}\n')
    kept = Journal(path)
    kept.append(replies(3))
    assert list(journal.read(path)) == [Completion("a", text="so"), *replies(3)]
