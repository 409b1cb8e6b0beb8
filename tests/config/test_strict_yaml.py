"""YAML read as settings: with the lines they stand in, and nothing twice."""

import pytest

from datagen.config import strict_yaml
from datagen.errors import ConfigError

TEXT = """chunk:
  max_tokens: 64
engine:
  endpoints:
    - base_url: a
    - base_url: b
"""


def test_a_file_is_read_with_its_lines():
    data, node = strict_yaml.read(TEXT, "x.yaml")
    assert data == {"chunk": {"max_tokens": 64}, "engine": {"endpoints": [{"base_url": "a"}, {"base_url": "b"}]}}
    assert strict_yaml.find(node, ("chunk", "max_tokens")) == (2, 2)
    assert strict_yaml.find(node, ("engine", "endpoints", 1, "base_url")) == (4, 6)
    assert strict_yaml.find(node, ("engine", "endpoints", 1, "price")) == (3, 6)  # as far as it goes
    assert strict_yaml.find(node, ("seed",)) == (0, None)


def test_nothing_is_read_as_no_settings():
    assert strict_yaml.read("# a remark\n", "x.yaml") == ({}, None)


@pytest.mark.parametrize(
    ("text", "line", "fact"),
    [
        ("seed: 1\nchunk: {}\nseed: 2\n", 3, "'seed' is set twice"),
        ("chunk:\n  max_tokens: 1\n  max_tokens: 2\n", 3, "'max_tokens' is set twice"),
        ("seed: [1\n", 2, "not valid YAML"),
        ("a: 1\n[b]: 2\n", 2, "a setting's name"),
        ("day: 2020-13-01\n", 1, "2020-13-01"),
        ("\nday: !!timestamp soon\n", 2, "soon"),
        ("a: !!map x\n", 1, "!!map is no kind of value"),  # PyYAML makes an empty mapping of it
        ("a:\n  b: !!binary aGk=\n", 2, "!!binary is no kind of value"),
        ("a: !!set {b, c}\n", 1, "!!set is no kind of value"),
        ("a: !!python/object/apply:os.getcwd []\n", 1, "!!python/object/apply:os.getcwd is no kind of value"),
        ("a: [1, <<]\n", 1, "a text goes in quotes"),
        (f"a: 0x{'f' * 6000}\n", 1, "a number of 6,002 digits"),
        (f"a: 1{':59' * 100_000}\n", 1, "a number of 300,001 digits"),  # in base 60: 4 s, and growing with the square
    ],
)
def test_a_mistake_is_named_with_its_line(text, line, fact):
    with pytest.raises(ConfigError, match=rf"^x\.yaml:{line}: ") as e:
        strict_yaml.read(text, "x.yaml")
    assert fact in str(e.value)


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words", "a: &a [*a]"])
def test_what_holds_no_settings_is_refused(text):
    with pytest.raises(ConfigError, match=r"^x\.yaml"):
        strict_yaml.read(text, "x.yaml")


@pytest.mark.parametrize(
    ("text", "expected"), [("0.5", 0.5), ("yes", True), ("'yes'", "yes"), ("[a, 1]", ["a", 1]), ("", None)]
)
def test_one_value(text, expected):
    assert strict_yaml.value(text, "--set") == expected


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join(['*' + a] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


def test_aliases_that_stand_for_too_much_are_refused_before_they_are_written_out():
    for read in (strict_yaml.read, strict_yaml.value):
        with pytest.raises(ConfigError, match=r"^x\.yaml: its aliases stand for more than 100,000 values"):
            read(BOMB, "x.yaml")
    assert strict_yaml.read("a: &a [1, 2]\nb: *a\n", "x.yaml")[0] == {"a": [1, 2], "b": [1, 2]}
