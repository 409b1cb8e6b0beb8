"""What asks a command to end: Ctrl-C, a polite kill, a terminal that closes; once and twice, early and late."""

import os
import pty
import signal
import subprocess
import sys
import time

import pytest

SENTENCE = "error: interrupted; what is finished is kept: run the same command again to go on\n"
# A command that says when it is at work, and takes long to clear up.
WORK = """
import signal, sys, time
from datagen.commands.guard import guarded

def work(reporter):
    try:
        print("at work", flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        print("clearing up", flush=True)
        time.sleep(SECONDS)
        print("cleared up", flush=True)
        raise

sys.exit(guarded(work).exit_code)
"""
POLITE = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def start(seconds: float, **popen) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", WORK.replace("SECONDS", str(seconds))]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **popen)
    assert process.stdout
    assert process.stdout.readline() == "at work\n"
    return process


def end(process: subprocess.Popen[str]) -> tuple[str, str, int]:
    out, err = process.communicate(timeout=30)
    return out, err, process.returncode


@pytest.mark.parametrize("number", POLITE)
def test_once(number):
    process = start(0.1)
    process.send_signal(number)
    assert end(process) == ("clearing up\ncleared up\n", SENTENCE, 130)


@pytest.mark.parametrize(("first", "second"), [(signal.SIGINT, signal.SIGINT), (signal.SIGHUP, signal.SIGTERM)])
def test_a_second_one_ends_at_once(first, second):
    process = start(60)
    process.send_signal(first)
    assert process.stdout
    assert process.stdout.readline() == "clearing up\n"
    process.send_signal(second)
    assert end(process) == ("", SENTENCE, 130)


def test_a_terminal_that_closes_may_say_so_twice():
    process = start(0.5)
    process.send_signal(signal.SIGHUP)
    assert process.stdout
    assert process.stdout.readline() == "clearing up\n"
    process.send_signal(signal.SIGHUP)
    assert end(process) == ("cleared up\n", SENTENCE, 130)


def test_the_terminal_itself_closes():
    """The sentence has nowhere to go."""
    ours, theirs = pty.openpty()
    command = ["setsid", "--ctty", "--wait", sys.executable, "-c", WORK.replace("SECONDS", "0.1")]
    process = subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs, text=True)
    os.close(theirs)
    assert process.stdout
    assert process.stdout.readline() == "at work\n"
    os.close(ours)
    out, _ = process.communicate(timeout=30)
    assert (out, process.returncode) == ("clearing up\ncleared up\n", 130)


def test_what_nohup_has_it_ignore_stays_ignored():
    process = start(0.1, preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert process.poll() is None
    process.terminate()
    assert end(process) == ("clearing up\ncleared up\n", SENTENCE, 130)


@pytest.mark.parametrize("module", ["typer", "pydantic", "datagen.commands.guard", "rich.console"])
def test_ctrl_c_before_the_work_has_begun_is_no_traceback(module):
    code = f"""
import os, signal, sys
hook = lambda event, args: event == "import" and args[0] == {module!r} and os.kill(os.getpid(), signal.SIGINT)
sys.addaudithook(hook)
sys.argv = ["longrlvr-data", "status", "nowhere"]
from datagen.__main__ import main
main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")
