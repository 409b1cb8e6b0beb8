import hashlib
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.errors import DamagedFile
from datagen.run import identity
from datagen.run.identity import Identity

HERE = Identity(
    stage="cluster",
    version=1,
    schema="a" * 64,
    settings={"cluster.min_samples": 2, "seed": 0, "embed.revision": None},
    fingerprints={"prompt": "b" * 64, "sizes": (1, 2)},
    upstream={"chunk": "c" * 64},
)
plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text("abü\n\0"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abü", max_size=3), inner, max_size=3),
    max_leaves=8,
)


def turned(value):
    """The same value with every mapping in another order."""
    if isinstance(value, dict):
        return {key: turned(value[key]) for key in reversed(value)}
    return [turned(v) for v in value] if isinstance(value, list) else value


@given(plain)
def test_a_digest_does_not_depend_on_order(value):
    assert identity.digest(value) == identity.digest(turned(value))


def test_a_digest_is_the_same_in_every_process():
    code = "from datagen.run import identity; print(identity.digest({'b': [1, 2.5, None], 'a': 'ü'}))"
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert there == identity.digest({"a": "ü", "b": (1, 2.5, None)})
    assert there == hashlib.sha256('{"a":"ü","b":[1,2.5,null]}'.encode()).hexdigest()


@pytest.mark.parametrize("one", [1, 1.0, True, "1", [1], {"1": 1}, None, "", [], {}])
def test_different_values_have_different_digests(one):
    others = [1, 1.0, True, "1", [1], {"1": 1}, None, "", [], {}]
    assert sum(identity.digest(one) == identity.digest(other) for other in others) == 1


@pytest.mark.parametrize("value", [{1}, b"x", np.float32(1), np.ones(2), object, float("nan"), float("inf"), "\ud800"])
def test_a_value_without_a_stable_serialisation_raises(value):
    with pytest.raises(TypeError):
        identity.digest({"setting": [value]})
    with pytest.raises(TypeError):
        _ = replace(HERE, settings={"setting": value}).digest


def test_every_part_changes_the_digest():
    others = {
        "stage": "x",
        "version": 2,
        "schema": "x",
        "settings": {},
        "fingerprints": {},
        "upstream": {},
        "mixed": [{}],
    }
    digests = {replace(HERE, **{part: value}).digest for part, value in others.items()}
    assert len(digests | {HERE.digest}) == len(others) + 1


def test_changes_name_what_differs():
    there = replace(
        HERE,
        version=2,
        schema="d" * 64,
        settings={"cluster.min_samples": 3, "cluster.new": True, "seed": 0},
        fingerprints={"prompt": "e" * 64, "sizes": (1, 2)},
        upstream={"chunk": "f" * 64},
        mixed=[{"seed": 1}],
    )
    assert [str(change) for change in identity.changes(HERE, there)] == [
        "cluster.min_samples: 2 there, 3 now",
        "cluster.new: not set there, True now",
        "prompt: bbbbbbbbbbbb there, eeeeeeeeeeee now",
        "version of the cluster stage's code: 1 there, 2 now",
        "columns of cluster: aaaaaaaaaaaa there, dddddddddddd now",
        "output of chunk: cccccccccccc there, ffffffffffff now",
    ]
    assert [change.name for change in identity.changes(HERE, HERE)] == []
    assert [change.name for change in identity.changes(HERE, replace(HERE, mixed=[{"seed": 1}]))] == []


@pytest.mark.parametrize("name", ["engine.vllm", "judge.policy_engine.vllm"])
def test_a_setting_that_there_was_not_yet_counts_as_its_default(name):
    there = replace(HERE, settings={**HERE.settings, name: {}})
    assert identity.changes(HERE, there) == []
    there.settings[name] = {"quantization": "fp8"}
    assert [change.name for change in identity.changes(HERE, there)] == [name]


def test_a_setting_that_counts_no_longer_is_no_change():
    now = replace(HERE, settings={"cluster.min_samples": 2, "embed.revision": None})
    assert identity.changes(HERE, now) == []


def test_a_section_that_is_left_out_is_a_change():
    before = replace(HERE, settings={"judge.policy_engine.model": "m", "judge.policy_engine.revision": None})
    now = replace(HERE, settings={"judge.policy_engine": None})
    assert [str(change) for change in identity.changes(before, now)] == [
        "judge.policy_engine.model: m there, not set now"
    ]


def test_a_long_value_is_cut_short():
    longer = replace(HERE, fingerprints={"prompt": "word " * 40, "sizes": (1, 2)})
    [change] = identity.changes(HERE, longer)
    assert str(change) == f"prompt: bbbbbbbbbbbb there, {('word ' * 40)[:57]}… now"


def test_parts_that_are_not_those_of_the_hash_are_noticed(tmp_path):
    identity.save(str(tmp_path), HERE)
    file = tmp_path / "stage.json"
    sound = json.dumps(json.loads(file.read_text()))
    for before, now in (('"version": 1', '"version": 3'), ('"seed": 0', '"seed": 1'), ("c" * 64, "c" * 63 + "d")):
        assert sound.count(before) == 1
        file.write_text(sound.replace(before, now))
        with pytest.raises(DamagedFile, match="its hash is not that of its parts"):
            identity.load(str(tmp_path))


def test_what_is_saved_is_loaded(tmp_path):
    assert identity.load(str(tmp_path)) is None
    here = replace(HERE, mixed=[{"version": 1, "settings": {"seed": 3}}])
    identity.save(str(tmp_path), here)
    loaded = identity.load(str(tmp_path))
    assert loaded is not None
    assert loaded.digest == here.digest
    assert identity.changes(loaded, here) == []
    assert loaded.mixed == here.mixed
    first = (tmp_path / "stage.json").read_bytes()
    identity.save(str(tmp_path), loaded)
    assert (tmp_path / "stage.json").read_bytes() == first
