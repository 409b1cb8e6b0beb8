"""`serve` as a process: its start, its end, and what it refuses to begin."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.commands.calls import call
from tests.serve.serving import code, document, finder
from tests.serve.test_app import asking, error, post
from tests.servers.openai_server import serve
from tests.servers.settings import Settings

UPSTREAM = ("--base-url", "http://127.0.0.1:9/v1", "--model", "scripted")


@contextmanager
def started(*given: str, **environment: str) -> Iterator[tuple[subprocess.Popen[str], str, str]]:
    """The process, its address, and the command that it prints."""
    process = subprocess.Popen(
        [sys.executable, "-m", "datagen", "serve", "--port", "0", *given],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    )
    try:
        assert process.stdout
        first = process.stdout.readline()
        assert first.startswith("http"), process.communicate(timeout=10)
        process.stdout.readline()
        yield process, first.split()[0], process.stdout.readline()
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_asked_to_end(number):
    with (
        serve(Settings(reply=finder)) as upstream,
        started("--base-url", upstream.url, "--model", "scripted") as (process, url, curl),
    ):
        status, body, _ = post(url, asking(document(3)))
        assert (status, body["choices"][0]["message"]["content"]) == (200, code(3))
        if number == signal.SIGINT:
            done = subprocess.run(["bash", "-c", f"{curl.strip()} -s"], capture_output=True, text=True)
            assert json.loads(done.stdout)["object"] == "chat.completion", done.stderr
        process.send_signal(number)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "Traceback" not in err
    assert "POST /v1/chat/completions 200" in err
    assert code(3) not in err


def test_a_request_in_hand_is_answered_before_the_end():
    with (
        serve(Settings(reply=finder, latency=1.0)) as upstream,
        started("--base-url", upstream.url, "--model", "scripted") as (process, url, _),
    ):
        body = json.dumps(asking(document(4)))
        curl = ["curl", "-s", f"{url}/chat/completions", "-H", "Content-Type: application/json", "-d", body]
        with subprocess.Popen(curl, stdout=subprocess.PIPE, text=True) as client:
            while not upstream.stats.in_flight:
                pass
            process.send_signal(signal.SIGTERM)
            out, _ = client.communicate(timeout=20)
        process.communicate(timeout=20)
    assert json.loads(out)["choices"][0]["message"]["content"] == code(4)
    assert process.returncode == 130


def test_without_an_upstream_it_warns_and_serves():
    with started(*UPSTREAM) as (process, url, _):
        assert error(post(url, asking(document(3))))[0] == 502
        process.terminate()
        _, err = process.communicate(timeout=20)
    assert "requests are refused until it answers" in err


def test_what_other_machines_reach_needs_a_key(monkeypatch):
    refused = call("serve", *UPSTREAM, "--host", "0.0.0.0")
    assert refused.exit_code == 2
    assert "--client-key-env SERVE_KEY" in refused.stderr
    monkeypatch.setenv("EMPTY", " ")
    assert "EMPTY holds no key" in call("serve", *UPSTREAM, "--host", "0.0.0.0", "--client-key-env", "EMPTY").stderr
    monkeypatch.setenv("UPSTREAM_KEY", "sk-behind")  # which never is the clients'
    assert call("serve", *UPSTREAM, "--host", "0.0.0.0", "--api-key-env", "UPSTREAM_KEY").exit_code == 2
    with started(*UPSTREAM, "--host", "0.0.0.0", "--client-key-env", "SERVE_KEY", SERVE_KEY="abc") as (_, url, curl):
        at = url.replace("0.0.0.0", "127.0.0.1")
        assert error(post(at, asking()))[0] == 401
        assert error(post(at, asking(), Authorization="Bearer abc", Host="model.example"))[0] == 502
        assert "abc" not in curl


def test_the_servers_key_is_sent_to_it_and_asked_of_nobody():
    with (
        serve(Settings(reply=finder, api_key="sk-behind")) as upstream,
        started(
            *("--base-url", upstream.url, "--model", "scripted", "--api-key-env", "BEHIND"), BEHIND="sk-behind"
        ) as (_, url, curl),
    ):
        assert post(url, asking(document(3)))[0] == 200
        assert "Authorization" not in curl


def test_its_help_speaks_of_no_run():
    told = " ".join(call("serve", "--help").stdout.replace("│", " ").split())
    assert "existing run" not in told
    assert "What the line that opens the question begins with" in told


def test_a_port_in_use_and_a_wrong_address():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        refused = call("serve", *UPSTREAM, "--port", str(taken.getsockname()[1]))
    assert refused.exit_code == 1
    assert "cannot be listened at" in refused.stderr
    refused = call("serve", "--base-url", "localhost:8000", "--model", "m")
    assert (refused.exit_code, "http(s)://HOST:PORT/v1" in refused.stderr) == (2, True)
