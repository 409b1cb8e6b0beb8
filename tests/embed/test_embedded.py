import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datagen.clustering import scale
from datagen.config.data import EmbedConfig
from datagen.embed import embedded, encoder

SEA = ["The ship left the harbour with the tide.", "A storm took the ship's mast.", "Sailors mend sails in a harbour."]
SEA += ["The tide and the storm kept the sailors ashore.", "Masts and sails of a ship at sea."]
BREAD = ["Flour, water and salt make a dough.", "The baker kneads the dough twice.", "Loaves rise in a warm oven."]
BREAD += ["An oven must be hot for bread.", "The baker salts the water for his loaves of bread."]
RUSSIAN = [
    "Корабль вышел из гавани с приливом.",
    "Буря сломала мачту корабля.",
    "Матросы чинят паруса в гавани.",
]
RUSSIAN += [
    "Пекарь месит тесто из муки и воды.",
    "Тесто для хлеба печёт пекарь в печи.",
    "Из муки пекут хлеб в печи.",
]
CHINESE = ["船随着潮水离开港口。", "暴风雨折断了船的桅杆。", "水手在港口修补船帆。"]
CHINESE += ["面包师用面粉和水揉面团。", "面包师在烤炉里烤面包。", "面粉、水和盐做成面包。"]


def apart(vectors: np.ndarray, n: int) -> float:
    """By how much the mean similarity within the first n and the others is above that between them."""
    similar = vectors @ vectors.T
    same = [similar[:n, :n][np.triu_indices(n, 1)], similar[n:, n:][np.triu_indices(len(vectors) - n, 1)]]
    return float(np.concatenate(same).mean() - similar[:n, n:].mean())


@pytest.mark.parametrize(("texts", "n", "least"), [(SEA + BREAD, 5, 0.3), (RUSSIAN, 3, 0.2), (CHINESE, 3, 0.1)])
def test_themes_are_told_apart_in_any_script(texts, n, least):
    assert apart(embedded.document(texts)[1], n) > least


def test_vectors_are_of_unit_length_and_as_wide_in_every_document():
    for texts in (
        SEA,
        SEA + BREAD,
        ["One."],
        ["same"] * 9,
        ["same"] * 200,
        (SEA + BREAD) * 20,
        ["", " \n", "—"],
        [str(i) for i in range(500)],
    ):
        _, vectors = embedded.document(texts)
        assert (vectors.shape, vectors.dtype) == ((len(texts), embedded.DIM), np.float32)
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-4)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(max_size=40), min_size=1, max_size=12))
def test_any_texts_have_vectors_and_the_same_have_the_same(texts):
    _, vectors = embedded.document([*texts, texts[0]])
    assert np.isfinite(vectors).all()
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-3)
    assert vectors[-1] @ vectors[0] == pytest.approx(1, abs=1e-3)
    assert vectors.tobytes() == embedded.document([*texts, texts[0]])[1].tobytes()


def test_a_document_without_a_chunk_is_refused():
    with pytest.raises(ValueError, match="without a chunk"):
        embedded.document([])


def test_a_question_is_nearest_to_what_it_is_about():
    space, vectors = embedded.document(SEA + BREAD)
    found = vectors @ space.query(["What does the baker do with the dough?", "Where do sailors mend the sails?"]).T
    assert found.argmax(axis=0).tolist() == [6, 2]


def test_what_is_learnt_from_a_part_serves_the_whole(monkeypatch):
    texts = [f"{sentence} {i}" for i in range(40) for sentence in (SEA[i % 5], BREAD[i % 5])]
    whole = embedded.document(texts)[1]
    monkeypatch.setattr(embedded, "LEARNT", 30)
    monkeypatch.setattr(embedded, "BLOCK", 7)
    heard: list[int] = []
    _, part = embedded.document(texts, heard.append)
    assert sum(heard) == len(texts)
    assert (part @ part.T > 0.3).astype(int).tolist() == (whole @ whole.T > 0.3).astype(int).tolist()


def test_near_duplicates_are_near_in_the_fixed_space_whatever_else_there_is():
    question = "In which year did the harbour master of Strake close the northern mole?"
    texts = [question, f"  {question.upper()} !", "Who baked the bread of the town in that year?", ""]
    vectors = embedded.fixed(texts)
    assert vectors.shape == (4, embedded.HASHED)
    assert vectors[0] @ vectors[1] > 0.95 > 0.6 > vectors[0] @ vectors[2]
    assert vectors[0] @ vectors[3] < 0.3
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-4)
    assert embedded.fixed(texts[:1]).tobytes() == vectors[:1].tobytes()


def test_documents_do_not_know_of_each_other():
    heard: list[int] = []
    found = encoder.encode_documents({"a": SEA, "b": BREAD}, EmbedConfig(), heard.append)
    assert list(found) == ["a", "b"]
    assert sum(heard) == 10
    vectors, usable = found["b"]
    assert usable.all()
    assert vectors.dtype == np.float16
    assert vectors.tobytes() == encoder.encode_documents({"b": BREAD}, EmbedConfig())["b"][0].tobytes()
    (query,) = encoder.encode_queries(["How hot must the oven be?"], BREAD, EmbedConfig()).astype(np.float32)
    assert (vectors.astype(np.float32) @ query).argmax() == 3


def test_it_needs_no_torch_and_no_device():
    settings = EmbedConfig(device="cuda:9")
    encoder.check(settings)
    assert not encoder.main_process_only(settings)
    assert not encoder.names_gpu(settings)


def unlike(seed: int) -> tuple[list[str], np.ndarray]:
    """Chunks of two words of their theme and ten of all themes, 8 themes of 25 chunks after each other; the themes."""
    drawn = np.random.default_rng(seed)
    words = ["".join(drawn.choice(list("abcdefghijklmnoprstuvwz"), 6)) for _ in range(8 * 30 + 40)]
    texts = []
    for theme in range(8):
        for _ in range(25):
            own = [words[theme * 30 + i] for i in drawn.integers(0, 30, 2)]
            texts.append(" ".join([*own, *(words[8 * 30 + i] for i in drawn.integers(0, 40, 10))]))
    return texts, np.repeat(np.arange(8), 25)


def of_one_theme(vectors: np.ndarray, themes: np.ndarray) -> float:
    """The share of the chunks whose nearest neighbour is of their own theme."""
    similar = vectors @ vectors.T
    np.fill_diagonal(similar, -2)
    return float((themes[similar.argmax(axis=1)] == themes).mean())


@pytest.mark.parametrize("seed", range(3))
def test_order_tells_what_the_themes_are_and_chance_order_tells_nothing(seed, monkeypatch):
    texts, themes = unlike(seed)
    ordered = of_one_theme(embedded.document(texts)[1], themes)
    at_random = np.random.default_rng(seed).permutation(len(texts))
    _, shuffled = embedded.document([texts[i] for i in at_random])
    monkeypatch.setattr(embedded, "ORDERED", len(texts) + 1)
    without = of_one_theme(embedded.document(texts)[1], themes)
    assert ordered > without + 0.15
    assert of_one_theme(shuffled, themes[at_random]) == pytest.approx(without, abs=0.1)
    assert scale.told_apart(shuffled) < 0.65


def test_a_question_is_nearest_to_what_it_is_about_where_themes_are_learnt():
    texts, themes = unlike(0)
    space, vectors = embedded.document(texts)
    assert space.themes.shape == (len(texts) // embedded.PER_AXIS,) * 2
    asked = [" ".join(text.split()[0] for text in texts[theme * 25 : theme * 25 + 8]) for theme in range(8)]
    assert (themes[(space.query(asked) @ vectors.T).argmax(axis=1)] == np.arange(8)).all()
