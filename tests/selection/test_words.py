import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.selection import words

texts = st.text(st.sampled_from("abAB é ß 1_-.\n、中文ไ'’\u0301"), max_size=40) | st.text(max_size=20)


def shown(text: str) -> list[str]:
    found = words.read(text)
    return [found.show(i, 1) for i in range(len(found))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Who was it?", ["who", "was", "it"]),
        ("  'Tis—THE  end;\nreally! ", ["tis", "the", "end", "really"]),
        ("Straße, ﬁne, ＡＢＣ", ["strasse", "fine", "abc"]),
        ("e\u0301te\u0301", ["été"]),
        ("他是谁 abc东京x", ["他", "是", "谁", "abc", "东", "京", "x"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("...", []),
        ("", []),
    ],
)
def test_words(text, expected):
    assert shown(text) == expected


@given(texts, texts)
def test_equal_words_have_equal_hashes_and_no_others(a, b):
    x, y = words.read(a), words.read(b)
    assert (x.hashes[:, None] == y.hashes[None]).tolist() == [[p == q for q in shown(b)] for p in shown(a)]


@given(texts, texts, st.integers(1, 5))
def test_runs(a, b, longest):
    def plain(text: str, n: int) -> list[tuple[str, ...]]:
        found = shown(text)
        return [tuple(found[i : i + n]) for i in range(len(found) - n + 1)]

    found = [list(words.runs(words.read(text), longest)) for text in (a, b)]
    assert [len(runs) for runs in found] == [min(longest, len(shown(text))) for text in (a, b)]
    for n, (x, y) in enumerate(zip(*found, strict=False), 1):
        assert (x[:, None] == y[None]).tolist() == [[p == q for q in plain(b, n)] for p in plain(a, n)]


@given(st.lists(st.lists(st.lists(st.integers(0, 30)), max_size=3), max_size=4), st.lists(st.integers(0, 40)))
def test_sets(files, asked):
    spread = words._characters()[1]  # numbers that look drawn at random, as hashes do
    known = words.sets([[spread[np.array(part, int)] for part in parts] for parts in files])
    which, of = known.find(spread[np.array(asked, int)])
    first = {n: file for file, parts in reversed(list(enumerate(files))) for part in parts for n in part}
    expected = {i: first[n] for i, n in enumerate(asked) if n in first}
    assert dict(zip(which.tolist(), of.tolist(), strict=True)) == expected


def test_a_lone_surrogate_is_a_character_like_others():
    assert len(words.read("a \ud800 b")) == 2
