"""`serve` as a process: it starts, says where it is, answers, and ends when it is asked to."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from tests.commands.calls import call
from tests.serve.served import chat, cites
from tests.servers.openai_server import serve
from tests.servers.settings import Settings

ASK = ("--base-url", "http://127.0.0.1:9/v1", "--model", "scripted")


@contextmanager
def started(*options: str, **env: str) -> Iterator[tuple[subprocess.Popen, str]]:
    """The process, and the line that says where it is."""
    command = [sys.executable, "-m", "datagen", "serve", "--port", "0", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | env)
    assert process.stdout
    try:
        yield process, process.stdout.readline()
    finally:
        process.kill()
        process.communicate()


def test_it_says_where_it_is_and_ends_when_asked():
    small = ("--set", "chunk.max_tokens=32")
    with serve(Settings(reply=cites)) as behind:
        options = ("--base-url", behind.url, "--model", "scripted", *small)
        with started(*options) as (process, line):
            (address,) = re.findall(r"http://127\.0\.0\.1:\d+/v1/chat/completions", line)
            message = httpx.post(address, json=chat("owl"), timeout=30).json()["choices"][0]["message"]
            assert message["content"] == "owl"
            process.send_signal(signal.SIGTERM)
            _, said = process.communicate(timeout=20)
            assert process.returncode == 0
            assert "Traceback" not in said
            assert "POST /v1/chat/completions 200" in said


def test_it_starts_before_the_server_behind_does():
    with started(*ASK) as (process, line):
        address = line.split()[1]
        assert httpx.post(address, json=chat("owl"), timeout=30).status_code == 502
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
        assert process.returncode == 0
        assert "does not answer yet" in said


def test_a_port_that_is_taken():
    with started(*ASK) as (_, line):
        (port,) = re.findall(r":(\d+)/v1", line)
        done = call("serve", *ASK, "--port", port)
        assert done.exit_code == 1
        assert f"127.0.0.1:{port}: cannot listen there" in done.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--host", "0.0.0.0"), "--api-key-env SERVE_KEY"),
        (("--api-key-env", "NO_SUCH_VARIABLE"), "this environment variable is not set"),
        (("--upstream-api-key-env", "NO_SUCH_VARIABLE"), "this environment variable is not set"),
        (("--base-url", "localhost:8000/v1"), "begins with http"),
        (("--set", "chunk.max_tokens=1"), "chunk.max_tokens"),
    ],
)
def test_what_is_wrong_is_said_before_anything_starts(options: tuple[str, ...], said: str):
    done = call("serve", *ASK, *options)
    assert done.exit_code == 2
    assert said in done.output


def test_others_may_ask_with_the_key():
    with started(*ASK, "--host", "0.0.0.0", "--api-key-env", "SERVE_KEY", SERVE_KEY="sesame") as (_, line):
        address = line.split()[1].replace("0.0.0.0", "127.0.0.1")
        assert '"Authorization: Bearer $SERVE_KEY"' in line
        assert httpx.post(address, json=chat("owl"), timeout=30).status_code == 401
        asked = httpx.post(address, json=chat("owl"), timeout=30, headers={"Authorization": "Bearer sesame"})
        assert asked.status_code == 502
