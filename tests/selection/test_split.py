"""Which documents are held out: a share of the rows, whole documents."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from datagen.selection import split
from datagen.selection.split import off_share, validation_documents

documents = st.dictionaries(st.text(max_size=4), st.integers(1, 9), max_size=7)


@given(documents, st.floats(0, 1), st.integers(0, 99))
def test_no_other_choice_comes_closer(rows, fraction, seed):
    held_out = validation_documents(rows, fraction, seed)
    assert held_out == validation_documents(dict(sorted(rows.items())[::-1]), fraction, seed)
    if len(rows) < 2 or fraction == 0:
        assert not held_out
        return
    assert 0 < len(held_out) < len(rows)
    wanted = fraction * sum(rows.values())
    others = (sum(chosen) for n in range(1, len(rows)) for chosen in combinations(rows.values(), n))
    off = abs(sum(rows[d] for d in held_out) - wanted)
    assert off <= min(abs(other - wanted) for other in others) + 1e-9


def test_the_smallest_of_three_books_is_held_out():
    assert validation_documents({"a": 6, "b": 4, "c": 3}, 0.1, 0) == {"c"}


def test_documents_are_drawn():
    rows = {str(i): 1 for i in range(100)}
    draws = [validation_documents(rows, 0.1, seed) for seed in range(50)]
    assert {len(draw) for draw in draws} == {10}
    assert len(set.union(*draws)) > 90


def test_many_rows_are_exact_too(monkeypatch):
    rows = {str(i): i % 7 + 1 for i in range(2000)}
    for rest in (10, split.REST):
        monkeypatch.setattr(split, "REST", rest)
        assert sum(rows[d] for d in validation_documents(rows, 0.25, 3)) == round(sum(rows.values()) * 0.25)


def test_a_share_that_is_far_off_is_said():
    assert off_share(90, 10, 0.1) is None
    assert off_share(8, 2, 0.1) is None
    assert off_share(6, 0, 0.0) is None
    said = off_share(6, 7, 0.1)
    assert said
    assert "7 of 13 rows (54%)" in said
