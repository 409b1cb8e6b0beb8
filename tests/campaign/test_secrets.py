"""A run that fails in all ways has the key nowhere: no file that it writes, nothing that it says, in no form.

The servers here repeat the key that they are sent, as it is, URL-quoted and in base64, whole and where a clipped
message ends within it. Without CAMPAIGN the faults are few.
"""

import base64
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from aiohttp import web

from datagen.llm.batch import BatchBackend
from tests.campaign import runs, storage
from tests.campaign.runs import Reference
from tests.servers import misreplies
from tests.servers.faults import ERRORS
from tests.servers.openai_server import serve
from tests.servers.settings import Settings

KEY = "sk-Zx9Wq3_Lm-Vb7Nc5Td1Rf8Yh2Gj6Kp4Su0EaQeHo_wI-"
PIECE = 12  # characters of it that are too many to show
CHAT = ("400", "401", "429 bare", "500", "502 html body", "quota", "garbage", "redirect", "context", "abort", "length")
VECTORS = ("400", "401", "404 model", "500", "502 html body", "quota", "garbage", "redirect")
CALLS = ("POST /v1/files", "POST /v1/batches", "GET /v1/batches/{id}", "GET /v1/files/{id}/content")
ROWS = ("400", "500", "context", "garbage")
FEW = slice(None, None, 1 if "CAMPAIGN" in os.environ else 5)


def forms() -> list[str]:
    """What gives the key away: pieces of it, and of it encoded, wherever in what was encoded it stood."""
    pieces = [KEY[at : at + PIECE] for at in range(0, len(KEY) - PIECE + 1)]
    encoded = [base64.b64encode(b"." * shift + KEY.encode()).decode() for shift in range(3)]
    encoded = [text[at : at + 16] for text in encoded for at in range(4, len(text) - 20)]
    quoted = [q[at : at + PIECE] for q in (quote(KEY), quote(KEY, safe="")) for at in range(0, len(q) - PIECE + 1)]
    return sorted({*pieces, *encoded, *quoted, *(text.replace("+", "-").replace("/", "_") for text in encoded)})


FORMS = forms()


def echo(length: int = 0) -> str:
    """What a careless server says. `length`: so much is said before."""
    basic = base64.b64encode(f"user:{KEY}".encode()).decode()
    return f"{'x' * length}{KEY} {quote(KEY, safe='')} Basic {basic} {base64.b64encode(KEY.encode()).decode()}"


def told(text: str) -> list[str]:
    return [form for form in FORMS if form in text]


def texts(place: Path) -> Iterator[tuple[str, str]]:
    """Every file under a folder, and what stands in the columns and the footer of a parquet file."""
    for path in sorted(place.rglob("*")):
        if path.is_file():
            yield str(path), path.read_bytes().decode("latin-1")
            if path.suffix == ".parquet":
                table = pq.read_table(path)
                yield f"{path}, unpacked", f"{table.to_pylist()} {table.schema.metadata}"


def nowhere(place: Path, said: str) -> None:
    """Nothing under a folder has the key, nor what was said."""
    assert told(said) == [], said
    for where, text in texts(place):
        assert told(text) == [], where


@pytest.fixture(scope="session")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)  # of clients that have gone
    with runs.made(tmp_path_factory.mktemp("reference")) as made:
        yield made


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder that has everything that is written, and a key in the environment."""
    for name in ("HOME", "XDG_CACHE_HOME", "TMPDIR"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("A_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(params=[0, 30, 90, 285], ids="after {}".format)
def careless(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every error repeats the key, after so many characters."""
    said = echo(request.param)
    for name, (status, body) in list(ERRORS.items()):
        if isinstance(body, str):
            monkeypatch.setitem(ERRORS, name, (status, f"<html>{said}</html>"))
        else:
            inner = body.get("error", body)
            inner = inner | {"message": f"{inner['message']} {said}"}
            monkeypatch.setitem(ERRORS, name, (status, {"error": inner} if "error" in body else inner))
    monkeypatch.setattr(misreplies, "garbage", lambda: web.Response(text=said, content_type="text/html"))


def settings(place: Path, url: str, encoder: str, **engine: str) -> Path:
    """The settings for these servers, each of which wants the key."""
    file = runs.settings(place / "s.yaml", url, encoder=encoder, engine=engine)
    whole = yaml.safe_load(file.read_text())
    for section in ("engine", "embed"):
        whole[section]["endpoints"][0]["api_key_env"] = "A_KEY"
    file.write_text(yaml.safe_dump(whole))
    return file


def failing(fault: str) -> Callable[[dict, int], str | None]:
    """Half of the requests have the fault, for ever: something is written down, and something goes on."""
    return lambda body, asked: fault if len(str(body)) % 2 or fault in ("quota", "401") else None


@pytest.mark.parametrize("fault", CHAT[FEW])
def test_of_replies(reference: Reference, place: Path, careless: None, fault: str):
    elsewhere = f"http://127.0.0.1:9/{quote(KEY, safe='')}"
    usual = Settings(reply=runs.reply, faults=failing(fault), elsewhere=elsewhere, answers_as=echo())
    with serve(usual) as bad:
        run = runs.upto(reference, place / "run", "generate")
        said = runs.call("run", "-v", "-o", run, "-c", settings(place, bad.url, reference.encoder.url), traces=True)
        assert f"Bearer {KEY}" in bad.stats.authorizations
    nowhere(place, said.all + runs.call("status", run).all + runs.call("doctor", run).all)


@pytest.mark.parametrize("fault", VECTORS[FEW])
def test_of_vectors(reference: Reference, place: Path, careless: None, fault: str):
    usual = Settings(faults=failing(fault), elsewhere=f"http://127.0.0.1:9/{quote(KEY, safe='')}")
    with serve(usual) as bad:
        run = runs.upto(reference, place / "run", "embed")
        told = settings(place, reference.server.url, bad.url)
        said = runs.call("cluster", "-v", "-o", run, "-c", told, traces=True)
        assert f"Bearer {KEY}" in bad.stats.authorizations
    nowhere(place, said.all)


@pytest.mark.parametrize("fault", [*ROWS[FEW], *CALLS[FEW]])
def test_of_batches(reference: Reference, place: Path, careless: None, fault: str, monkeypatch):
    monkeypatch.setitem(BatchBackend.__init__.__kwdefaults__, "polls", (0.01, 0.1))
    of_rows = failing(fault) if fault in ROWS else ()
    usual = Settings(reply=runs.reply, faults=of_rows, api_faults=lambda call, nth: "500" if call == fault else None)
    with serve(usual) as bad:
        run = runs.upto(reference, place / "run", "generate")
        told = settings(place, bad.url, reference.encoder.url, kind="openai-batch")
        said = runs.call("generate", "-v", "-o", run, "-c", told, traces=True)
        assert f"Bearer {KEY}" in bad.stats.authorizations
    nowhere(place, said.all)


@pytest.mark.parametrize("file", ["generate-journal", "judge", "settings", "layout"])
def test_of_damaged_files(reference: Reference, place: Path, file: str):
    with serve(Settings(reply=runs.reply)) as server:
        run = runs.upto(reference, place / "run", "")
        path = settings(place, server.url, reference.encoder.url)
        said = [runs.call("run", "-v", "-o", run, "-c", path)]
        storage.damage("cut", run / storage.FILES[file], run / storage.FILES[file])
        said += [runs.call("run", "-v", "-o", run, traces=True), runs.call("doctor", run, "--repair")]
        said += [runs.call("run", "-v", "-o", run, "-c", path, "--max-cost", "0", traces=True)]
    nowhere(place, "".join(each.all for each in said))


WRONG_PLACES = {
    "an address's user": "engine: {endpoints: [{base_url: 'https://me:KEY@there/v1'}]}",
    "an address's query": "engine: {endpoints: [{base_url: 'https://there/v1?api-key=KEY'}]}",
    "an address's query, in one word": "engine: {endpoints: [{base_url: 'https://there/v1?apikey=KEY'}]}",
    "an address's parameter": "engine: {endpoints: [{base_url: 'https://there/v1;token=KEY'}]}",
    "an address's fragment": "engine: {endpoints: [{base_url: 'https://there/v1#access_token=KEY'}]}",
    "an address's path": "engine: {endpoints: [{base_url: 'https://there/KEY/v1'}]}",
    "an address": "engine: {endpoints: [{base_url: 'KEY'}]}",
    "another address": "embed: {model: m, endpoints: [{base_url: 'https://there/v1;token=KEY'}]}",
    "a setting of its own": "engine: {api_key: 'KEY'}",
    "a setting of the server's": "engine: {endpoints: [{api_key: 'KEY'}]}",
    "the name of a variable": "engine: {endpoints: [{api_key_env: 'KEY'}]}",
    "a section": "api_key: 'KEY'",
    "a model's name": "engine: {model: 'KEY'}",
    "a parameter of requests": "generate: {sampling: {extra: {api_key: 'KEY'}}}",
    "a header among parameters": "generate: {sampling: {extra: {extra_headers: {Authorization: 'Bearer KEY'}}}}",
    "an argument of vLLM": "engine: {vllm: {hf_token: 'KEY'}}",
    "the input": "input: {path: 'https://there/d.jsonl?token=KEY'}",
    "a benchmark": "select: {decontaminate: ['https://there/b.jsonl;token=KEY']}",
    "a number": "engine: {timeout: 'KEY'}",
    "a choice": "engine: {kind: 'KEY'}",
    "the name of a setting": "engine: {'KEY': 1}",
}


@pytest.mark.parametrize("where", WRONG_PLACES)
def test_given_in_a_wrong_place(reference: Reference, place: Path, where: str):
    (place / "s.yaml").write_text(WRONG_PLACES[where].replace("KEY", KEY))
    run = place / "run"
    given = () if where == "the input" else ("--input", reference.root / "documents")
    said = runs.call("run", "-v", "-o", run, "-c", place / "s.yaml", *given, traces=True)
    assert said.code == 2, said.all
    (place / "s.yaml").unlink()
    nowhere(place, said.all)
    assert not run.exists()


@pytest.mark.parametrize(
    "given",
    [
        ("--base-url", KEY),
        ("--base-url", f"https://{KEY}@there/v1"),
        ("--model", KEY),
        ("--set", f"engine.api_key={KEY}"),
        ("--set", f"api_key={KEY}"),
        ("--set", f"engine.model={KEY}"),
        ("--set", KEY),
        ("-c", KEY),
    ],
    ids=lambda given: " ".join(given).replace(KEY, "KEY"),
)
def test_given_by_a_wrong_option(reference: Reference, place: Path, given: tuple[str, ...]):
    run = place / "run"
    shutil.rmtree(run, ignore_errors=True)
    said = runs.call("run", "-v", "-o", run, "--input", reference.root / "documents", *given, traces=True)
    assert said.code == 2, said.all
    nowhere(place, said.all)
    assert not run.exists()


def test_what_is_searched_for_would_be_found(tmp_path):
    assert told(echo())
    assert told(base64.b64encode(f"x:{KEY}".encode()).decode())
    assert told(quote(KEY, safe=""))
    pq.write_table(pa.table({"a": [KEY]}), tmp_path / "a.parquet", compression="zstd")
    assert [where for where, text in texts(tmp_path) if told(text)][-1].endswith("unpacked")
    with pytest.raises(AssertionError):
        nowhere(tmp_path, "")
