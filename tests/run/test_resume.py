import pytest

from datagen.errors import StaleStage
from datagen.run.identity import Identity
from datagen.run.resume import check


def of(seed: int, **settings) -> Identity:
    return Identity("judge", 1, "", {"seed": seed, **settings}, {}, {})


def test_what_was_made_otherwise_is_refused_or_kept():
    assert check("place", None, of(1), "if-possible") == []
    assert check("place", of(1), of(1), "if-possible") == []
    with pytest.raises(StaleStage, match=r"place .*\n  seed: 1 there, 2 now$") as e:
        check("place", of(1), of(2), "if-possible")
    assert e.value.stage == "judge"
    assert [change.name for change in check("place", of(1), of(2), "always")] == ["seed"]


def test_a_setting_that_is_new_counts_as_its_default():
    assert check("place", of(1), of(1, **{"cluster.max_clusters": 4}), "if-possible") == []
    with pytest.raises(StaleStage):
        check("place", of(1), of(1, **{"cluster.max_clusters": 5}), "if-possible")


def test_a_fingerprint_under_another_name_is_no_change():
    old, new = (Identity("judge", 1, "", {}, {name: "d" * 64}, {}) for name in ("prompt judge.md", "prompt judge"))
    assert check("place", old, new, "if-possible") == []
