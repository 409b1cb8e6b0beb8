import io
import json
import os
import re
import subprocess
import sys

import pytest
from rich.console import Console

from datagen import console
from datagen.run.ledger import Ledger
from datagen.run.status import StageStatus

LEDGER: Ledger = {
    "cluster": {"in": 2000, "kept": 1500, "rejected": {"oversized": 400, "not drawn": 100}, "failed": {}},
    "document": {"in": 12, "kept": 10, "rejected": {"too few clusters": 1}, "failed": {"no text": 1}},
}
SHOW = f"""
import sys
from datagen import console
reporter = console.Reporter(quiet="quiet" in sys.argv)
reporter.start("cluster", "document", 12, 4)
reporter.advance(8)
reporter.say("a [bold]warning[/bold]: " + "word " * 60 + "end")
reporter.finish({LEDGER!r}, 1.26)
reporter.start("chunk", "document", None, 0)
reporter.advance(3)
reporter.error("there is no [/such] file")
"""


def shown(*argv: str, **environment: str) -> str:
    plain = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "TERM", "COLUMNS")}
    command = [sys.executable, "-c", SHOW, *argv]
    done = subprocess.run(command, capture_output=True, text=True, env=plain | environment, check=True)
    assert done.stdout == ""
    return done.stderr


def status(name: str, ledger: Ledger, pending: int | None, begun: bool = True) -> StageStatus:
    return StageStatus(name, 1, 2, 3, ledger, pending, 1.5, False, [], begun)


def table(statuses: list[StageStatus], width: int = 120) -> list[str]:
    out = Console(file=io.StringIO(), width=width)
    out.print(console.funnel(statuses))
    return [line.rstrip() for line in out.file.getvalue().splitlines()]  # pyright: ignore[reportAttributeAccessIssue]


def test_piped_it_says_plain_lines():
    assert shown().splitlines() == [
        "cluster  going on after 4 documents",
        "a [bold]warning[/bold]: " + "word " * 60 + "end",
        "cluster  10 of 12 documents (too few clusters 1, failed: no text 1); "
        "1,500 of 2,000 clusters (oversized 400, not drawn 100) (1.3 s)",
        "error: there is no [/such] file",
    ]


def test_quiet_keeps_warnings_and_errors():
    lines = shown("quiet").splitlines()
    assert [line.split()[0] for line in lines] == ["a", "error:"]


def test_on_a_terminal_there_is_a_bar_and_colour_unless_it_is_unwanted():
    terminal = shown(FORCE_COLOR="1", TERM="xterm-256color")
    assert "12/12" in terminal
    assert "\x1b[1;31merror: " in terminal
    colourless = shown(FORCE_COLOR="1", TERM="xterm-256color", NO_COLOR="1")
    assert "12/12" in colourless
    assert "\x1b[1merror: " in colourless
    assert not any(f"{code}m" in colourless for code in range(30, 50))


def test_a_long_stage_says_how_far_it_is(capsys):
    reporter = console.Reporter()
    reporter.start("judge", "candidate", 4000, 1000)
    for seconds, done in ((100, 1000), (60, 1000), (50, 1000), (10, 1700)):  # ago; a model is loaded first
        reporter.marks.append((reporter.started - seconds, done))
    reporter.marks.popleft()
    reporter.started = reporter.said = reporter.started - 100
    reporter.advance(1000)
    reporter.start("chunk", "document", None, 0)
    reporter.advance(1)
    reporter.said -= console.PLAIN_EVERY
    reporter.advance(1)
    going_on, judge, chunk = capsys.readouterr().err.splitlines()
    assert going_on == "judge    going on after 1,000 candidates"
    assert judge == "judge    2,000/4,000 candidates, 20/s, 0:01:40 left"
    assert chunk.startswith("chunk    2 documents, ")


def test_the_funnel_tells_every_row():
    other: Ledger = {"cluster": {"in": 1500, "kept": 1499, "rejected": {}, "failed": {"timeout": 1}}}
    lines = table(
        [
            status("cluster", LEDGER, 3),
            status("generate", other, 0),
            status("judge", {}, 7),
            status("x", {}, None, begun=False),
        ]
    )
    assert [" ".join(line.split()) for line in lines] == [
        "stage rows of in kept pending left, and why",
        "cluster documents 12 10 3 too few clusters 1, failed: no text 1",
        "clusters 2,000 1,500 oversized 400, not drawn 100",
        "generate clusters 1,500 1,499 failed: timeout 1",
        "judge 7 begun: rows are counted as shards are finished",
        "x ? not begun",
    ]


@pytest.mark.parametrize("width", [60, 80])
def test_a_narrow_funnel_cuts_no_number(width):
    many = {f"reason number {i}": 10**6 + i for i in range(9)}
    ledger: Ledger = {"candidate": {"in": 1_234_567, "kept": 234_567, "rejected": many, "failed": {}}}
    text = " ".join(" ".join(table([status("generate", ledger, 99_999)], width)).split())
    for number in ("1,234,567", " 234,567", "99,999", *(f"{n:,}" for n in many.values())):
        assert number in text
    assert "…" not in text


HOSTILE = "red \x1b[31m \x9b2J \x07\x08 \u202egnp.exe \r\udce9 [bold]as it is[/bold]"
SAFE = r"red \x1b[31m \x9b2J \x07\x08 \u202egnp.exe \r\udce9 [bold]as it is[/bold]"


def test_nothing_in_a_text_steers_the_terminal(capsys):
    assert console.plain(HOSTILE) == SAFE
    assert console.plain("a\tb\nc é 東京 👍") == "a\tb\nc é 東京 👍"
    console.put(HOSTILE)
    reporter = console.Reporter()
    reporter.say(HOSTILE)
    reporter.error(HOSTILE)
    out, err = capsys.readouterr()
    by_rich = SAFE.replace(r"\x07\x08", "").replace(r"\r", "")  # it leaves some of them out
    assert (out, err) == (f"{SAFE}\n", f"{by_rich}\nerror: {by_rich}\n")
    screen = console.Screen(file=io.StringIO(), width=400, force_terminal=True, color_system="standard")
    ledger = {"cluster": LEDGER["cluster"] | {"rejected": {HOSTILE: 1}}}
    screen.print(console.funnel([status("cluster", ledger, 0)]))
    text = screen.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]
    assert r"\x1b[31m" in text
    assert "\x1b[31m" not in text


def test_json_steers_no_terminal_and_is_the_same_to_a_program(capsys):
    console.print_json({"text": HOSTILE})
    out = capsys.readouterr().out
    assert not console._STEERS.search(out)
    assert json.loads(out)["text"] == HOSTILE


NARROW = """
import time
from datagen import console
from datagen.llm.base import Completion
from datagen.llm.traffic import Traffic
traffic = Traffic()
traffic.begin(1000)
traffic.ended.update({2: 40})
traffic.since, traffic.in_flight = time.monotonic() - 24, 256
for _ in range(1151):
    traffic.brought(Completion("k", "t", completion_tokens=20))
reporter = console.Reporter()
reporter.start("generate", "candidate", 1040, 0, True)
reporter.advance(40)
reporter.heard(traffic)
reporter.close()
"""


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_on_a_narrow_terminal_nothing_is_cut(columns):
    environment = os.environ | {"FORCE_COLOR": "1", "NO_COLOR": "1", "TERM": "xterm", "COLUMNS": str(columns)}
    done = subprocess.run([sys.executable, "-c", NARROW], capture_output=True, text=True, env=environment, check=True)
    shown = " ".join(re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|━|╸|╺", "", done.stderr).split())
    assert "…" not in shown
    for part in ("generate", "40/1040", "1,151 replies", "tokens/s)", "256 in flight", " left"):
        assert part in shown


def test_no_time_is_left_below_zero(capsys, monkeypatch):
    monkeypatch.setattr(console, "PLAIN_EVERY", 0.0)
    reporter = console.Reporter()
    reporter.start("generate", "candidate", 4, 0)
    reporter.advance(9)
    assert "left" not in capsys.readouterr().err
