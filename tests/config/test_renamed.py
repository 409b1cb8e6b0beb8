from typing import Any

import pytest

from datagen.config import model, renamed
from datagen.errors import ConfigError


def test_every_new_name_is_a_setting():
    for new in renamed.RENAMED.values():
        section, *rest = new.split(".")
        kind: Any = model.Config.model_fields[section].annotation
        for name in rest:
            assert name in kind.model_fields
            kind = kind.model_fields[name].annotation


def test_an_old_name_is_read_with_a_warning_that_says_the_new_one():
    with pytest.warns(
        renamed.RenamedSetting, match=r"my\.yaml: judge\.max_rereads .* judge\.max_parse_retries"
    ) as said:
        config = model.parse("judge:\n  max_rereads: 5\n", "my.yaml")
    assert len(said) == 1
    assert config.judge.max_parse_retries == 5


def test_both_names_at_once_are_refused():
    with pytest.raises(ConfigError, match="judge\\.max_rereads"):
        model.parse("judge: {max_rereads: 5, max_parse_retries: 4}", "my.yaml")


def test_a_name_is_followed_into_a_renamed_section(monkeypatch):
    monkeypatch.setattr(renamed, "RENAMED", {"old": "new.home"})
    assert renamed.current("old.leaf") == "new.home.leaf"
    assert renamed.current("older.leaf") == "older.leaf"
    with pytest.warns(renamed.RenamedSetting):
        assert renamed.apply({"old": {"leaf": 1}, "new": {"a": 2}}, "x") == {"new": {"a": 2, "home": {"leaf": 1}}}


def test_what_is_no_section_is_left_for_the_model_to_refuse():
    assert renamed.apply({"judge": 3}, "x") == {"judge": 3}


def test_what_this_program_saved_is_read_in_silence(recwarn):
    assert model.parse("judge:\n  max_rereads: 5\n", "own", saved=True).judge.max_parse_retries == 5
    assert not recwarn.list
