"""Whatever happens to the file a journal is kept in, no reply that was acknowledged is lost or made up."""

import gc
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from datagen.errors import DamagedFile, UserError
from datagen.llm import http_errors as replies
from datagen.llm import journal
from datagen.llm.base import Completion, Request
from datagen.llm.journal import Journal

FIRST = Completion("a", text="Ägypten 🐫\u2028\n\r\x00“?”", reasoning="so", finish="stop", prompt_tokens=7, seconds=0.5)
SECOND = Completion("b", text=None, refusal="I can't.", endpoint="http://there/v1", attempts=3)
FAILED = Completion("c", error="server error", detail="HTTP 500", attempts=6)


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "journal" / "shard-00000.jsonl"


def written(path: Path, *completions: Completion) -> bytes:
    kept = Journal(path)
    kept.append(list(completions))
    kept.close()
    return path.read_bytes()


def test_what_is_written_is_read(path):
    assert list(journal.read(path)) == []
    assert Journal(path).answers == {}
    assert not path.exists()  # nothing was written
    written(path, FIRST, SECOND)
    written(path, FAILED)
    assert list(journal.read(path)) == [FIRST, SECOND, FAILED]
    kept = Journal(path)
    assert kept.answers == {"a": FIRST, "b": SECOND}
    assert kept.errors == {"c": FAILED}


def test_a_reply_is_on_disk_and_an_answer_at_once(path):
    kept = Journal(path)
    kept.append([FIRST])
    assert list(journal.read(path)) == [FIRST]
    assert kept.answers == {"a": FIRST}
    kept.append([SECOND])
    assert list(journal.read(path)) == [FIRST, SECOND]
    kept.close()
    kept.close()


def test_a_failure_is_no_answer(path):
    written(path, FAILED, Completion("c", text="at last"))
    kept = Journal(path)
    assert kept.answers["c"].text == "at last"


def test_an_answer_that_led_to_nothing_is_asked_for_again(path):
    """A rebuild without an engine goes by it all the same, until there is another."""
    written(path, FIRST, SECOND, Completion("a", error="unreadable reply"))
    kept = Journal(path)
    assert kept.answers == {"b": SECOND}
    assert kept.recorded() == {"a": FIRST, "b": SECOND}
    another = replace(FIRST, text="another")
    written(path, another)
    assert Journal(path).recorded() == Journal(path).answers == {"a": another, "b": SECOND}
    assert journal.usage([path])["requests"] == 3  # all were paid for


def test_every_flipped_bit_is_noticed(path):
    """Or the last reply is asked for again, where it is the end of the file that is gone."""
    whole = written(path, FIRST, SECOND)
    wrong = []
    for bit in range(8 * len(whole)):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        try:
            found = list(journal.read(path))
        except UserError:
            continue
        if found != [FIRST] or bit // 8 < len(whole) - 1:
            wrong.append((bit, found))
    assert not wrong


def test_a_line_of_the_version_before_has_no_checksum(path):
    path.parent.mkdir()
    path.write_text('{"key": "a", "text": "so", "prompt_tokens": 7}\n')
    assert list(journal.read(path)) == [Completion("a", text="so", prompt_tokens=7)]
    written(path, SECOND)
    assert list(journal.read(path)) == [Completion("a", text="so", prompt_tokens=7), SECOND]


@pytest.mark.parametrize("at", [0, 1])
def test_a_line_that_lost_its_checksum_is_noticed_beside_others(path, at):
    """As where a part of a line is gone, from within its text to within its checksum."""
    lines = written(path, Completion("a", text="so"), Completion("b", text="no")).splitlines(keepends=True)
    text, checksum = lines[at].split(b', "crc32": "')
    lines[at] = text.removesuffix(b'"') + checksum
    path.write_bytes(b"".join(lines))
    with pytest.raises(DamagedFile, match=f"line {at + 1}: not what was written"):
        list(journal.read(path))


@pytest.mark.parametrize("line", ['{"key": 1}', '{"key": "a", "text": 5}', '{"key": "a", "attempts": "many"}'])
def test_values_of_other_types_are_damage(path, line):
    path.parent.mkdir()
    path.write_text(line + "\n")
    with pytest.raises(UserError, match="damaged"):
        list(journal.read(path))


def test_of_two_answers_the_first_counts(path):
    """The second was paid for, too: two processes, or a request that was sent twice."""
    written(path, FIRST, Completion("a", text="another"))
    assert Journal(path).answers == {"a": FIRST}
    assert journal.usage([path])["requests"] == 2


def test_a_last_line_cut_anywhere_is_dropped_before_the_next(path):
    whole = written(path, FIRST)
    more = written(path, SECOND)
    for cut in range(len(whole), len(more)):
        path.write_bytes(more[:cut])
        kept = Journal(path)
        assert kept.answers == {"a": FIRST}
        kept.append([SECOND])
        kept.close()
        assert path.read_bytes() == more


@pytest.mark.parametrize("size", [1, 65_535, 65_536, 65_537, 200_000])
def test_a_long_last_line_is_dropped_too(path, size):
    whole = written(path, FIRST)
    for start in (b"", whole):
        path.write_bytes(start + b"x" * size)
        assert written(path, SECOND) == start + written(path.with_name("other.jsonl"), SECOND)
        path.with_name("other.jsonl").unlink()


def test_a_megabyte_comes_back(path):
    text = "".join(chr(32 + i % 0xD000) for i in range(1_000_000))
    long = Completion("long", text=text, reasoning=text[::-1])
    written(path, FIRST, long, SECOND)
    assert list(journal.read(path)) == [FIRST, long, SECOND]


@given(
    st.text(st.characters(codec="utf-8"), max_size=100),
    st.text(st.characters(exclude_categories=()), max_size=100),
)
@example("", "half \ud83d")
def test_any_reply_comes_back(tmp_path_factory, text, said):
    """Even one with half an emoji in it, as it comes out of the readers of replies."""
    path = tmp_path_factory.mktemp("journal") / "x.jsonl"
    body = {"choices": [{"message": {"content": said, "refusal": said}, "finish_reason": "stop"}]}
    failure = replies.failure(500, {"error": {"message": said, "code": said}})
    asked = Request("m", [{"role": "user", "content": "Who?"}], {"max_tokens": 10})
    try:
        reply = replies.completion(asked, body, endpoint="http://there")
    except replies.Unusable as e:
        reply = Completion("b", error=e.reason, detail=replies.clipped(str(e)))
    found = [
        Completion("a", text=text),
        reply,
        Completion("c", error=failure.reason, detail=failure.detail),
    ]
    written(path, *found)
    assert list(journal.read(path)) == found


@pytest.mark.parametrize(
    "line",
    [
        b"{",
        b"",
        b"null",
        b"[]",
        b'{"text": "no key"}',
        b'{"key": "a", "unknown": 1}',
        b'{"key": "\xff"}',
        json.dumps({"key": "a"}).encode()[:-1],
    ],
)
def test_a_damaged_line_is_named(path, line):
    whole = written(path, FIRST, SECOND)
    first, second = whole.splitlines(keepends=True)
    path.write_bytes(first + line + b"\n" + second)
    with pytest.raises(UserError) as e:
        Journal(path)
    assert f"{path} is damaged (line 2: " in str(e.value)
    journal.mend(path)
    assert [each.key for each in journal.read(path)] == ["a", "b"]
    assert path.with_name(f"{path.name}.damaged").read_bytes() == first + line + b"\n" + second
    path.write_bytes(first + second)
    assert Journal(path).answers.keys() == {"a", "b"}


def test_what_replies_took(path, tmp_path):
    one = Completion("a", "x", prompt_tokens=100, cached_tokens=60, completion_tokens=7, seconds=1.0, attempts=2)
    written(path, replace(one, endpoint="http://there"))
    other = tmp_path / "other.jsonl"
    two = Completion("b", "x", prompt_tokens=10, completion_tokens=1, seconds=2.0, endpoint="http://elsewhere")
    written(other, two, replace(FAILED, lost_prompt_tokens=30, lost_completion_tokens=9))
    assert journal.usage([path, other, tmp_path / "none.jsonl"]) == {
        "requests": 2,
        "attempts": 3,
        "prompt_tokens": 110,
        "cached_tokens": 60,
        "completion_tokens": 8,
        "estimated": 0,
        "lost_prompt_tokens": 30,
        "lost_completion_tokens": 9,
        "mean_seconds": 1.5,
        "endpoints": {"http://elsewhere": 1, "http://there": 1},
    }
    assert journal.usage([])["mean_seconds"] == 0


def test_a_full_disk_is_said_and_loses_nothing(small_disk):
    path = small_disk / "journal" / "x.jsonl"
    kept, long = Journal(path), Completion("long", text="x" * 100_000)
    kept.append([FIRST])
    with pytest.raises(UserError, match=r"x\.jsonl: no space left"):
        kept.append([long])
    assert kept.answers == {"a": FIRST}
    subprocess.run(["mount", "-o", "remount,size=1m", str(small_disk)], check=True)
    again = Journal(path)
    assert again.answers == {"a": FIRST}
    again.append([SECOND])
    again.close()
    assert list(journal.read(path)) == [FIRST, SECOND]


def test_what_a_full_disk_refused_is_not_written_later(small_disk):
    """Python's files try again as they go, and another journal may have gone on by then."""
    path = small_disk / "journal" / "x.jsonl"
    kept = Journal(path)
    kept.append([FIRST])
    (small_disk / "other").write_bytes(bytes(shutil.disk_usage(small_disk).free))
    with pytest.raises(UserError, match=r"x\.jsonl: no space left"):
        kept.append([Completion("long", text="x" * 6000)])
    (small_disk / "other").unlink()
    again = Journal(path)
    again.append([SECOND])
    del kept
    gc.collect()
    assert list(journal.read(path)) == [FIRST, SECOND]
    again.close()


def test_where_nothing_can_be_written_it_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"x\.jsonl: cannot be written: "):
        Journal(tmp_path / "file" / "x.jsonl").append([FIRST])
