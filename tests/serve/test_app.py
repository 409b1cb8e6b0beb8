"""The server in front of a loopback upstream: every client gets its own answer, and a sentence when it gets none."""

import asyncio
import json
import re
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import openai
import pytest
from aiohttp import web

from datagen.grounding import tags, verify
from datagen.serve import app, stream
from datagen.serve import upstream as behind_it
from datagen.serve.errors import Refused
from tests.serve.serving import code, document, finder, serving, upstream_of
from tests.servers import openai_server
from tests.servers.settings import Settings

BOOK = document(1)
QUESTION = "What is the keeper's code?"
KEY = "sk-a-key-of-the-clients"


@pytest.fixture(scope="module")
def upstream():
    with openai_server.serve(Settings(reply=finder)) as server:
        yield server


@pytest.fixture(scope="module")
def url(upstream):
    with serving(upstream.url) as at:
        yield at


def asking(book: str = BOOK, question: str = QUESTION, **body) -> dict:
    return {"model": "scripted", "messages": [{"role": "user", "content": f"{book}\n\n{question}"}]} | body


def post(url: str, body, path: str = "/chat/completions", **headers: str) -> tuple[int, dict, dict]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = Request(url + path, data, {"Content-Type": "application/json"} | headers)
    try:
        with urlopen(request, timeout=30) as response:
            return response.status, json.loads(response.read()), dict(response.headers)
    except HTTPError as e:
        return e.code, json.loads(e.read()), dict(e.headers)


def error(answered: tuple[int, dict, dict]) -> tuple[int, str]:
    """The status and the message, in OpenAI's shape."""
    status, body, _ = answered
    assert body.keys() == {"error"}
    assert body["error"].keys() == {"message", "type", "param", "code"}
    return status, body["error"]["message"]


def test_an_answer_with_its_citation(url):
    status, body, _ = post(url, asking())
    assert status == 200
    choice = body["choices"][0]
    assert choice["message"]["content"] == code(1)
    assert choice["message"]["reasoning_content"].endswith("speaks of the keeper.")
    [cited] = [each["chunk_citation"] for each in choice["message"]["annotations"]]
    assert code(1) in cited["text"] == BOOK[cited["start"] : cited["end"]]
    assert choice["finish_reason"] == "stop"
    assert body["usage"]["prompt_tokens"] > 500
    told = body["longrlvr"]
    assert (told["parsed"], told["problems"], told["question"]) == (True, [], QUESTION)
    assert told["document_characters"] == len(BOOK)
    assert told["chunks"] > 4


def test_a_short_message_is_passed_on_as_it_is(url):
    status, body, _ = post(url, asking("Hello.", "How are you?", stop=["x"], max_tokens=5))
    assert (status, body["choices"][0]["message"]["content"]) == (200, "You said: Hello.\n\nHow are you?")
    assert "longrlvr" not in body


def test_a_long_system_message_is_the_document(url):
    held = {"role": "system", "content": BOOK}, {"role": "system", "content": "Be brief."}
    body = {"model": "scripted", "messages": [*held, {"role": "user", "content": QUESTION}]}
    _, found, _ = post(url, body)
    assert found["choices"][0]["message"]["content"] == code(1)
    assert found["longrlvr"]["document_characters"] == len(BOOK)


def test_an_empty_question_is_refused(url):
    messages = [{"role": "user", "content": BOOK}, {"role": "user", "content": "   "}]
    status, message = error(post(url, {"model": "scripted", "messages": messages}))
    assert status == 400
    assert "empty" in message


def test_a_body_that_is_not_what_it_says_it_is(url):
    status, _ = error(post(url, b"no gzip", **{"Content-Encoding": "gzip"}))
    assert status == 400


def test_documents_of_mixed_length_are_asked_about_in_one_form(url):
    found = []
    for paragraphs in (1, 2, 24):
        content = f"{document(1, paragraphs)}\n\nQuestion: {QUESTION}\nAnswer:"
        status, body, _ = post(url, {"model": "scripted", "messages": [{"role": "user", "content": content}]})
        assert (status, body["choices"][0]["message"]["content"]) == (200, code(1))
        found.append(body["longrlvr"]["chunks"])
    assert found[0] == 1 < found[1] < found[2]


def test_64_clients_get_their_own_answers(url):
    async def ask(client: openai.AsyncOpenAI, seed: int, streamed: bool) -> str:
        made: Any = await client.chat.completions.create(**asking(document(seed)), stream=streamed)
        if not streamed:
            return made.choices[0].message.content
        return "".join([c.choices[0].delta.content or "" async for c in made if c.choices])

    async def ask_all() -> list[str]:
        async with openai.AsyncOpenAI(base_url=url, api_key=KEY, max_retries=0) as client:
            return await asyncio.gather(*(ask(client, seed, seed % 2 == 0) for seed in range(2, 66)))

    assert asyncio.run(ask_all()) == [code(seed) for seed in range(2, 66)]


def test_the_official_client(url, upstream):
    with openai.OpenAI(base_url=url, api_key=KEY, max_retries=0) as client:
        assert [model.id for model in client.models.list()] == ["scripted"]
        whole = client.chat.completions.create(**asking())
        chunks = list(client.chat.completions.create(**asking(), stream=True, stream_options={"include_usage": True}))
    message = whole.choices[0].message
    deltas: list[Any] = [chunk.choices[0].delta for chunk in chunks if chunk.choices]
    assert "".join(delta.content or "" for delta in deltas) == message.content == code(1)
    assert (
        "".join(getattr(delta, "reasoning_content", "") for delta in deltas) == message.model_extra["reasoning_content"]
    )
    [annotated] = [delta.annotations for delta in deltas if getattr(delta, "annotations", None)]
    assert annotated == [each.model_dump(exclude_unset=True) for each in message.annotations]
    assert annotated[0]["chunk_citation"]["text"].endswith(f"{code(1)}.")
    assert chunks[-1].usage == whole.usage
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert not [name for name in upstream.stats.authorizations if KEY in name]


def test_a_stream_without_sections_is_told_to_its_end():
    with (
        openai_server.serve(Settings(reply=lambda body: "I do not know; 3 <")) as behind,
        serving(behind.url) as url,
        openai.OpenAI(base_url=url, api_key=KEY, max_retries=0) as client,
    ):
        deltas: list[Any] = [c.choices[0].delta for c in client.chat.completions.create(**asking(), stream=True)]
    assert "".join(getattr(delta, "reasoning_content", "") for delta in deltas) == "I do not know; 3 <"
    assert not any(delta.content for delta in deltas)


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize(
    "fault",
    [
        "think",
        "reasoning_content",
        "reasoning",
        "only reasoning",  # a parser that never saw the end of the thinking
    ],
)
def test_thinking_is_read_wherever_the_upstream_puts_it(fault: str, streamed: bool):
    with (
        openai_server.serve(Settings(reply=finder, faults=lambda body, asked: fault)) as behind,
        serving(behind.url) as url,
        openai.OpenAI(base_url=url, api_key=KEY, max_retries=0) as client,
    ):
        made: Any = client.chat.completions.create(**asking(), stream=streamed)
        if streamed:
            deltas = [chunk.choices[0].delta for chunk in made if chunk.choices]
            said = "".join(delta.content or "" for delta in deltas)
            thought = "".join(getattr(delta, "reasoning_content", "") for delta in deltas)
        else:
            message = made.choices[0].message
            said, thought = message.content, message.model_extra["reasoning_content"]
    assert said == code(1)
    if fault != "only reasoning":
        assert " ".join(thought.split()).startswith("Let me think about it. Chunk ")


def test_each_of_several_choices_is_read_by_itself(upstream):
    texts = [tags.render_response([0], "one"), "no sections", tags.render_response([1], "three")]

    async def handle(request):
        choices = [{"index": i, "message": {"content": t}, "finish_reason": "stop"} for i, t in enumerate(texts)]
        assert (await request.json())["n"] == 3
        return web.json_response({"choices": choices, "usage": {"prompt_tokens": 900}})

    with upstream_of(handle) as at, serving(at) as url:
        _, body, _ = post(url, asking(n=3))
    assert [choice["message"]["content"] for choice in body["choices"]] == ["one", "", "three"]
    assert [choice["longrlvr"]["parsed"] for choice in body["choices"]] == [True, False, True]
    assert body["choices"][1]["longrlvr"]["response"] == "no sections"
    assert body["choices"][1]["message"]["annotations"] == []


HOSTILE = {
    "not JSON": (b"hello", 400),
    "nothing": (b"", 400),
    "bytes": (b"\xff\xfe\x00", 400),
    "a list": (b"[]", 400),
    "NaN": (b'{"messages": [{"role": "user", "content": "x"}], "temperature": NaN}', 400),
    "too large a number": (b'{"messages": [{"role": "user", "content": "x"}], "temperature": 1e999}', 400),
    "digits": (b'{"n": ' + b"9" * 100_000 + b"}", 400),
    "brackets": (b"[" * 10_000_000, 400),
    "deep": (b'{"messages": ' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001, 400),
    "no messages": ({}, 400),
    "messages of another type": ({"messages": "hello"}, 400),
    "no message": ({"messages": []}, 400),
    "a message of another type": ({"messages": [3]}, 400),
    "no user": ({"messages": [{"role": "system", "content": "x"}]}, 400),
    "a tool": ({"messages": [{"role": "tool", "content": "x"}]}, 400),
    "empty": ({"messages": [{"role": "user", "content": " "}]}, 400),
    "null": ({"messages": [{"role": "user", "content": None}]}, 400),
    "an image": ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]}, 400),
    "parts of another type": ({"messages": [{"role": "user", "content": [1]}]}, 400),
    "huge n": (asking(n=10**9), 400),
    "n of another type": (asking(n="2"), 400),
    "no tokens": (asking(max_tokens=0), 400),
    "tokens of another type": (asking(max_tokens=1.5), 400),
    "stop": (asking(stop=[1]), 400),
    "stream": (asking(stream="yes"), 400),
    "stream_options": (asking(stream_options=[1]), 400),
    "a lone surrogate": (asking(question="\ud800?"), 400),
    "another model": (asking(model="gpt\x00\x1b[31m"), 404),
    "model of another type": (asking(model=["scripted"]), 404),
    "tools": (asking(tools=[{}]), 400),
    "functions": (asking(functions=[{}]), 400),
    "a schema": (asking(response_format={"type": "json_schema"}), 400),
    "logprobs": (asking(logprobs=True), 400),
    "audio": (asking(modalities=["audio"]), 400),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_request_gets_a_sentence(url, name):
    body, status = HOSTILE[name]
    told = error(post(url, body))
    assert told[0] == status
    assert len(told[1]) > 20
    assert "Traceback" not in told[1]


def test_control_characters_are_text(url):
    status, body, _ = post(url, asking(BOOK.replace("river", "ri\x00v\x1ber\u202e")))
    assert (status, body["choices"][0]["message"]["content"]) == (200, code(1))


def test_too_large_a_body(url):
    at = urlsplit(url)
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with socket.create_connection((at.hostname, at.port), timeout=10) as connection:
        connection.sendall(f"{head}Content-Length: {1 << 40}\r\n\r\n".encode())
        told = connection.recv(1 << 16)
    assert told.startswith(b"HTTP/1.1 413 ")
    assert b"larger than 64 MiB" in told


@pytest.mark.parametrize("most", [1, 20_000, app.MOST_HELD])
def test_requests_wait_for_room(monkeypatch, most, upstream):
    """However little room there is, each is answered: one of more bytes than there are has all of them."""
    monkeypatch.setattr(app, "MOST_HELD", most)
    with serving(upstream.url) as url, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda seed: post(url, asking(document(seed))), range(400, 432)))
    assert [body["choices"][0]["message"]["content"] for _, body, _ in answers] == [code(s) for s in range(400, 432)]


def test_room_is_given_in_turn_and_given_back():
    async def go() -> list[str]:
        room, said = app.Room(10), []

        async def hold(name: str, size: int, fails: bool = False) -> None:
            async with room.of(size):
                said.append(name)
                await asyncio.sleep(0.01)
                assert room.free >= 0
                if fails:
                    raise Refused(400, "no")

        first = [hold("a", 6), hold("b", 6, fails=True), hold("all", 99), hold("c", 1), hold("d", 1)]
        tasks = [asyncio.create_task(each) for each in first]
        await asyncio.sleep(0)
        tasks[3].cancel()  # of a client that went away while it waited
        await asyncio.gather(*tasks, return_exceptions=True)
        assert room.free == 10
        return said

    assert asyncio.run(go()) == ["a", "b", "all", "d"]


def test_a_body_that_does_not_come_gives_its_room_back(monkeypatch, upstream):
    monkeypatch.setattr(app, "SLOW", 0.3)
    monkeypatch.setattr(app, "MOST_HELD", 1)
    head = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    with serving(upstream.url) as url:
        at = urlsplit(url)
        with socket.create_connection((at.hostname, at.port), timeout=10) as connection:
            connection.sendall(f"{head}Content-Length: 100\r\n\r\n{{".encode())
            assert post(url, asking())[0] == 200
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 408 ")


def test_a_body_in_pieces_is_read_no_further_than_it_may_be(monkeypatch, upstream):
    monkeypatch.setattr(app, "MOST_BYTES", 10_000)
    with serving(upstream.url) as url:
        at = urlsplit(url)
        for body, status in ((asking(), 200), (asking(document(1, 200)), 413)):
            connection = HTTPConnection(at.hostname or "", at.port, timeout=10)
            pieces = iter([piece.encode() for piece in re.findall(r"(?s).{1,999}", json.dumps(body))])
            connection.request("POST", "/v1/chat/completions", pieces, {"Content-Type": "application/json"})
            assert connection.getresponse().status == status
            connection.close()


def test_other_paths_and_methods(url):
    assert error(post(url, {}, "/completions"))[0] == 404
    assert error(post(url, {}, "/models"))[0] == 404
    with pytest.raises(HTTPError):
        urlopen(f"{url}/chat/completions", timeout=5)
    assert urlopen(url.removesuffix("/v1") + "/health", timeout=5).status == 200


def test_a_page_of_another_site_can_send_nothing(url):
    assert error(post(url, asking(), **{"Content-Type": "text/plain"}))[0] == 415
    for host in ("evil.example", "localhost.evil.example:80", "", "[::1", "127.0.0.1@evil.example"):
        assert error(post(url, asking(), Host=host))[0] in (400, 403), host
    for host in ("localhost", "127.0.0.1:99", "LOCALHOST:1", "[::1]:80"):
        assert post(url, asking(), Host=host)[0] == 200, host
    _, _, headers = post(url, asking(), Origin="http://evil.example")
    assert not [name for name in headers if name.lower().startswith("access-control")]


def test_a_key(upstream):
    with serving(upstream.url, key="the-key", upstream_key="the-upstreams") as url:
        for given in ({}, {"Authorization": "Bearer other"}, {"Authorization": "the-key"}):
            assert error(post(url, asking(), **given))[0] == 401
        assert post(url, asking(), Authorization="Bearer the-key")[0] == 200
    assert "Bearer the-upstreams" in upstream.stats.authorizations
    assert not [given for given in upstream.stats.authorizations if "the-key" in given]


LATE = {"cut", "empty choices"}  # there they come after the status
FAULTS = {
    "429": (429, "Rate limit"),
    "500": (500, "had an error"),
    "503": (503, "overloaded"),
    "502 html body": (502, "Bad Gateway"),
    "401": (502, "(--api-key-env)"),
    "context vllm": (400, "maximum context length is 8192"),
    "200 context": (400, "only 4096 tokens"),
    "200 error": (502, "Provider returned error"),
    "reset": (502, "did not answer"),
    "cut": (502, "did not answer"),
    "garbage": (502, "no JSON"),
    "redirect": (502, "redirect"),
    "empty choices": (502, "no choice"),
    "hang": (504, "silent for 1 s"),
    "bomb": (502, "compressed"),
}


BOTH = [(fault, streamed) for fault in FAULTS for streamed in (False, True) if not streamed or fault not in LATE]


@pytest.mark.parametrize(("fault", "streamed"), BOTH)
def test_what_goes_wrong_behind(fault, streamed):
    with openai_server.serve(Settings(reply=finder, faults=lambda body, asked: fault, retry_after=7)) as behind:
        with serving(behind.url, timeout=1.0, upstream_key="sk-behind") as url:
            answered = post(url, asking(stream=streamed))
            status, message = error(answered)
        assert behind.stats.received.total() == 1  # a client retries, not this server
    assert (status, FAULTS[fault][1] in message) == (FAULTS[fault][0], True), message
    assert "sk-behind" not in json.dumps(answered[1])
    if fault == "429":
        assert answered[2]["Retry-After"] == "7"
    if "context" in fault:
        assert answered[1]["error"]["code"] == "context_length_exceeded"


def test_nobody_there(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with serving(f"http://127.0.0.1:{port}/v1") as url:
        assert error(post(url, asking()))[0] == 502


def test_what_a_look_at_the_upstream_says():
    def look(url: str) -> str:
        async def once() -> str:
            async with behind_it.Upstream(url, "scripted", "sk-behind", 5.0) as behind:
                return await behind.look()

        return asyncio.run(once())

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert "requests are refused until it answers" in look(f"http://127.0.0.1:{port}/v1")
    with upstream_of(unlisted) as at:
        told = look(at)
        assert f"{at} does not say what it has (HTTP 404" in told
        assert "it is asked all the same" in told
    with openai_server.serve(Settings(api_key="another")) as behind:
        told = look(behind.url)
        assert "does not say what it has (HTTP 401" in told
        assert "--api-key-env" in told
        assert "sk-behind" not in told
    with openai_server.serve(Settings()) as behind:
        assert look(behind.url) == ""


async def unlisted(request):
    return web.json_response({})


def test_a_stream_that_breaks_off():
    with (
        openai_server.serve(Settings(reply=finder, faults=lambda body, asked: "cut")) as behind,
        serving(behind.url) as url,
        pytest.raises(openai.APIError, match="broke off"),
    ):
        list(openai.OpenAI(base_url=url, api_key=KEY, max_retries=0).chat.completions.create(**asking(stream=True)))


def test_a_prompt_that_was_cut_or_does_not_fit():
    long = document(5, 400)
    with openai_server.serve(Settings(reply=finder, window=2_000)) as behind, serving(behind.url) as url:
        status, message = error(post(url, asking(long)))
        assert status == 502
        assert "its context window is too small" in message
    with (
        openai_server.serve(Settings(reply=finder, says={"max_model_len": 8_192})) as behind,
        serving(behind.url) as url,
    ):
        status, message = error(post(url, asking(long)))
        assert status == 400
        assert "8,192 tokens" in message
        assert not behind.stats.received
        assert post(url, asking())[0] == 200


def test_a_window_that_the_response_alone_fills():
    with (
        openai_server.serve(Settings(reply=finder, says={"max_model_len": 4_096})) as behind,
        serving(behind.url) as url,
    ):
        status, message = error(post(url, asking()))
    assert status == 400
    assert "lower --max-response-tokens" in message
    assert "document" not in message


def test_a_window_that_grew_is_seen(monkeypatch):
    long, says = document(5, 400), {"max_model_len": 8_192}
    with openai_server.serve(Settings(reply=finder, says=says)) as behind, serving(behind.url) as url:
        assert error(post(url, asking(long)))[0] == 400
        says["max_model_len"] = 131_072
        assert error(post(url, asking(long)))[0] == 400  # it was asked a moment ago
        monkeypatch.setattr(behind_it, "AGAIN", 0.0)
        assert post(url, asking(long))[0] == 200
        del says["max_model_len"]
        assert post(url, asking(long))[0] == 200


def test_a_client_that_goes_away_ends_the_upstreams_request():
    with (
        openai_server.serve(Settings(reply=finder, faults=lambda body, asked: "hang")) as behind,
        serving(behind.url) as url,
    ):
        for streamed in (False, True):
            with pytest.raises(openai.APITimeoutError):
                openai.OpenAI(base_url=url, api_key=KEY, max_retries=0, timeout=0.5).chat.completions.create(
                    **asking(stream=streamed)
                )
        end = time.monotonic() + 5
        while behind.stats.in_flight and time.monotonic() < end:
            time.sleep(0.02)
        assert behind.stats.received.total() == 2
        assert behind.stats.in_flight == 0


def test_a_client_that_leaves_in_mid_stream_ends_the_upstreams_request():
    ended, lines = threading.Event(), []

    async def handle(request):
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        try:
            while True:
                chunk = {"id": "x", "choices": [{"index": 0, "delta": {"content": "thinking "}}]}
                await response.write(f"data: {json.dumps(chunk)}\n\n".encode())
                await asyncio.sleep(0.01)
        finally:
            ended.set()

    with upstream_of(handle) as at, serving(at, log=lines.append) as url:
        made = openai.OpenAI(base_url=url, api_key=KEY, max_retries=0).chat.completions.create(**asking(stream=True))
        said = "".join(getattr(next(made).choices[0].delta, "reasoning_content", "") for _ in range(5))
        made.close()
        assert ended.wait(5)
    assert said.startswith("thinking")
    assert "/v1/chat/completions 499 " in lines[-1]


def test_a_slow_stream_is_kept_alive(monkeypatch):
    monkeypatch.setattr(stream, "KEEP_ALIVE", 0.05)

    async def handle(request):
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await asyncio.sleep(0.3)
        head = {"id": "x", "choices": [{"index": 0, "delta": {"content": tags.render_response([0], "yes")}}]}
        end = {"id": "x", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        for event in (head, end):
            await response.write(f"data: {json.dumps(event)}\n\n".encode())
        await response.write(b"data: [DONE]\n\n")
        return response

    with upstream_of(handle) as at, serving(at) as url:
        request = Request(
            f"{url}/chat/completions", json.dumps(asking(stream=True)).encode(), {"Content-Type": "application/json"}
        )
        text = urlopen(request, timeout=10).read().decode()
    assert text.startswith(": keep-alive\n\n")
    assert '"content": "yes"' in text
    assert text.endswith("data: [DONE]\n\n")


def test_what_is_logged_has_no_content(upstream):
    lines: list[str] = []
    with serving(upstream.url, log=lines.append) as url, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda seed: post(url, asking(document(seed))), range(80, 84)))
        post(url, {"secret": "words"}, "/secret\x1b[31m?key=words".replace("\x1b", "%1b"))
    assert len(lines) == 5
    shape = r"POST /v1/chat/completions 200 [\d,]+ ms, \d+ chunks, [\d,]+ prompt tokens"
    assert all(re.fullmatch(shape, line) for line in lines[:4]), lines
    assert "words" not in lines[4]


def test_a_harness_scores_what_the_strict_reader_does():
    """A request as lm-evaluation-harness sends it, for rows whose responses are right, wrong and unreadable."""
    rows = [(seed, code(seed)) for seed in range(200, 320)]
    responses: dict[str, str] = {}

    def model(body: dict) -> str:
        right = finder(body)
        found = tags.read_response(right).answer or ""
        made = (
            right,
            right.replace(f"<answer>\n{found}", "<answer>\nelsewhere"),
            f"It may be {found}.\n{tags.render_response([0], 'not this', 'So no.')}",  # a substring match would score
            f"{right}\n<answer>{found}</answer>",
            right.removesuffix("</answer>"),
        )[int(found[1:6]) % 5]
        responses[found] = made
        return made

    def ask(seed: int) -> str:
        body = {"max_tokens": 32, "temperature": 0, "stop": ["\n\n", "Question:"], "seed": 1234}
        message = {"role": "user", "content": f"{document(seed)}\n\nQuestion: {QUESTION}\nAnswer:", "type": "text"}
        status, answered, _ = post(url, body | {"model": "scripted", "messages": [message]})
        assert status == 200
        return answered["choices"][0]["message"]["content"]

    with (
        openai_server.serve(Settings(reply=model)) as behind,
        serving(behind.url) as url,
        ThreadPoolExecutor(8) as pool,
    ):
        given = list(pool.map(ask, [seed for seed, _ in rows]))
    through_serve = [verify.exact(gold, answer) for (_, gold), answer in zip(rows, given, strict=True)]
    readings = [tags.read_response(responses[gold]) for _, gold in rows]
    strict = [r.parsed and verify.exact(gold, r.answer or "") for (_, gold), r in zip(rows, readings, strict=True)]
    assert through_serve == strict
    assert sum(strict) == len(rows) // 5
