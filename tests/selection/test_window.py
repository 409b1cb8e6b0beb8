from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from datagen.selection import window


@given(st.data(), st.lists(st.integers(0, 50), min_size=1, max_size=30), st.integers(-5, 800), st.text(max_size=3))
def test_any_window(data, costs, room, seed):
    refs = sorted(data.draw(st.sets(st.integers(0, len(costs) - 1), min_size=1, max_size=4)))
    found = window.fit(np.array(costs), refs[0], refs[-1], room, seed)
    if sum(costs[refs[0] : refs[-1] + 1]) > room:
        assert found is None
        return
    assert found is not None
    first, last, tokens = found
    assert 0 <= first <= refs[0] <= refs[-1] <= last < len(costs)
    assert tokens == sum(costs[first : last + 1]) <= room
    if sum(costs) <= room:
        assert (first, last) == (0, len(costs) - 1)
    assert first == 0 or sum(costs[first - 1 : last + 1]) > room
    assert last == len(costs) - 1 or sum(costs[first : last + 2]) > room
    assert found == window.fit(np.array(costs), refs[0], refs[-1], room, seed)


def test_evidence_stands_anywhere_in_its_window():
    windows = [window.fit(np.full(200, 10), 100, 103, 300, str(seed)) for seed in range(1000)]
    places = Counter(100 - found[0] for found in windows if found)
    assert set(places) == set(range(27))  # 30 chunks, 4 of them from the first evidence to the last
    assert max(places.values()) < 4 * min(places.values())


def test_evidence_at_the_end_of_a_document_fills_the_window_from_before():
    costs = np.full(50, 10)
    assert {window.fit(costs, 49, 49, 100, str(seed)) for seed in range(50)} == {(40, 49, 100)}
    assert {window.fit(costs, 0, 0, 100, str(seed)) for seed in range(50)} == {(0, 9, 100)}
