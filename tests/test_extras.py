import sys

import pytest

from datagen import extras
from datagen.errors import MissingExtra


def test_what_is_installed_is_no_error():
    extras.require("train", "train", "json", "numpy")


def test_what_is_missing_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingExtra, match=r"^train\.lora needs peft, no_such: .*'longrlvr-data\[train\]'$"):
        extras.require("train.lora", "train", "peft", "json", "no_such")
