"""What a person reads while a slow model is asked: on a terminal, in a log, once resumed; and by `status` meanwhile."""

import os
import pty
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import pytest

from tests.commands.calls import call
from tests.servers.openai_server import Server, serve
from tests.servers.settings import Settings

# The command with less time between what it says.
COMMAND = """
import sys
from datagen import console
from datagen.llm import traffic
console.PLAIN_EVERY, traffic.BEAT = 0.3, 0.1
from datagen.cli import app
app()
"""
SLOW = Settings(latency=0.25, slots=2)
STEERING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
REPLIES = re.compile(r"(\d+) repl(?:y|ies) \(([\d.]+)/(s|min)(?:, ([\d.]+) tokens/s)?\)")
PRICE = ("--set", "engine.price.prompt=0.002", "--set", "engine.price.completion=0.01")


def words(command: str, run: Path, server: Server, *more: str) -> list[str]:
    asked = (
        "--set",
        "generate.method=llm",
        "--set",
        "judge.method=llm",
        "--resume",
        "never",
        "--workers",
        "1",
        "--model",
        "scripted",
        *PRICE,
    )
    return [sys.executable, "-c", COMMAND, command, "-o", str(run), "--base-url", server.url, *asked, *more]


def logged(command: list[str]) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stderr.splitlines()


def watched(command: list[str], columns: int = 160) -> list[str]:
    """The states of a terminal's last line, one after another."""
    main, side = pty.openpty()
    os.set_blocking(side, True)
    env = os.environ | {"COLUMNS": str(columns), "TERM": "xterm"}
    process = subprocess.Popen(command, stdout=side, stderr=side, env=env)
    os.close(side)
    seen = b""
    try:
        while part := os.read(main, 65536):
            seen += part
    except OSError:  # the terminal has no more to say: its program has ended
        pass
    os.close(main)
    assert process.wait() == 0, seen.decode()
    return [line for line in re.split(r"[\r\n]+", STEERING.sub("", seen.decode())) if line]


@pytest.fixture(scope="module")
def generated(place, finished, tmp_path_factory) -> Path:
    """A run whose candidates a model wrote."""
    folder = tmp_path_factory.mktemp("generated") / "run"
    subprocess.run(["cp", "-r", place / "run", folder], check=True)
    with serve() as server:
        subprocess.run(words("generate", folder, server, "--set", "generate.candidates=6"), check=True)
    return folder


@pytest.fixture
def mine(generated, tmp_path) -> Path:
    subprocess.run(["cp", "-r", generated, tmp_path / "run"], check=True)
    return tmp_path / "run"


def wait_for(process: subprocess.Popen, server: Server, answers: int) -> None:
    """Until the server has answered so often."""
    deadline = time.monotonic() + 120
    while server.stats.answered.total() < answers:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)


def honest(lines: list[str], server: Server) -> None:
    """Rates are the server's: two replies in a quarter of a second, never more, and never nothing."""
    assert not [line for line in lines if "candidates/s" in line or re.search(r"\b0\.0+ ?\S*/(s|min|h)", line)]
    told = [found for line in lines if (found := REPLIES.search(line))]
    assert told
    assert [int(found[1]) for found in told] == sorted(int(found[1]) for found in told)
    rates = [float(found[2]) / (60 if found[3] == "min" else 1) for found in told]
    assert max(rates) <= 1.1 * SLOW.slots / SLOW.latency
    assert median(rates) >= 0.1 * SLOW.slots / SLOW.latency
    assert all(found[4] for found in told)
    most = server.stats.max_in_flight + SLOW.slots  # some are on their way there, or back
    assert all(int(n) <= most for line in lines for n in re.findall(r"(\d+) in flight", line))


def test_on_a_terminal(mine):
    with serve(SLOW) as server:
        frames = [line for line in watched(words("judge", mine, server)) if line.startswith("judge ")]
        answered = server.stats.answered.total()
    *bars, end = frames
    honest(bars, server)
    assert any(re.search(r"0/\d+ *\d+ in flight$", bar) for bar in bars)  # before the first reply
    assert any(re.search(r" in flight, 0:00:\d\d left$", bar) for bar in bars)
    assert not any("-:--:--" in bar or "…" in bar for bar in bars)
    assert re.search(rf"\([\d.]+ s, {answered} replies, [\d.]+/s, [\d,]+ tokens/s\)$", end)


def test_in_a_log(mine):
    with serve(SLOW) as server:
        lines = logged(words("judge", mine, server))
        answered = server.stats.answered.total()
    judge = [line for line in lines if line.startswith("judge    ")]
    honest(judge, server)
    assert len(set(judge)) == len(judge)  # none says what the one before said
    assert any(
        re.search(r"^judge    \d+/\d+ candidates, \d+ replies \(.*\), \d+ in flight, 0:0\d:\d\d left$", x)
        for x in judge
    )
    assert re.search(rf", {answered} replies, [\d.]+/s, [\d,]+ tokens/s\)$", judge[-1])
    paid = next(line for line in lines if line.startswith(" " * 9 + f"in all {answered} replies"))
    assert re.search(r"\$0\.0*[1-9]\d?$", paid)


def test_once_resumed_replies_of_before_are_not_received_again(mine):
    with serve(SLOW) as server:
        before = subprocess.Popen(words("judge", mine, server), stderr=subprocess.DEVNULL)
        wait_for(before, server, 24)  # with the twelve pairs of known truth
        before.send_signal(signal.SIGKILL)
        before.wait()
    kept = (mine / "journal" / "judge" / "shard-00000.jsonl").read_bytes().count(b"\n")
    assert kept
    with serve(SLOW) as server:
        command = [word for word in words("judge", mine, server) if word not in ("--resume", "never")]
        lines = logged(command)
        answered = server.stats.answered.total()
    judge = [line for line in lines if line.startswith("judge    ")]
    honest(judge, server)
    assert f", {answered} replies, " in judge[-1]
    (paid,) = [re.search(r"in all (\d+) replies", line) for line in lines if "in all" in line]
    assert paid
    assert int(paid[1]) > answered


def test_status_meanwhile_says_that_it_has_begun(mine):
    with serve(Settings(latency=0.5, slots=1)) as server:
        running = subprocess.Popen(words("judge", mine, server), stderr=subprocess.DEVNULL)
        try:
            wait_for(running, server, 3)
            told = call("status", mine).stdout
        finally:
            running.kill()
            running.wait()
    (judge, *_) = [line for line in told.splitlines() if line.startswith("judge ")]
    assert re.search(r"^judge +\d+ +begun: rows are counted as", judge)
    assert re.search(r"judge     \d+ replies, .* \$0\.0*[1-9]", told)
