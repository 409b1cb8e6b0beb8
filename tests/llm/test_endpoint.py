"""The key for a server, and the body of a request to it."""

import pytest

from datagen.config.llm import EndpointConfig
from datagen.errors import ConfigError
from datagen.llm import endpoint
from datagen.llm.base import Request

SCHEMA = {"type": "object"}
REQUEST = Request("m", [{"role": "user", "content": "Hi"}], {"max_tokens": 9, "temperature": 0.0}, SCHEMA)


def test_an_address_has_no_slash_at_its_end():
    assert endpoint.address(EndpointConfig(base_url="http://there/v1/")) == "http://there/v1"
    assert endpoint.address(EndpointConfig()) == endpoint.OPENAI


@pytest.mark.parametrize("key", [None, "  ", "sk-sécret"])
def test_a_key_that_is_missing_or_none_is_named(monkeypatch, key):
    monkeypatch.delenv("KEY_ONE", raising=False)
    if key is not None:
        monkeypatch.setenv("KEY_ONE", key)
    with pytest.raises(ConfigError, match="KEY_ONE") as e:
        endpoint.api_key(EndpointConfig(base_url="http://there/v1", api_key_env="KEY_ONE"))
    assert "sk-" not in str(e.value)


def test_openai_needs_its_own_key_and_nobody_else_gets_it(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-openai")
    assert endpoint.api_key(EndpointConfig()) == "sk-openai"
    assert endpoint.api_key(EndpointConfig(base_url="http://there/v1")) == endpoint.NO_KEY
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ConfigError, match="OPENAI_API_KEY") as e:
        endpoint.api_key(EndpointConfig())
    assert "--base-url" in str(e.value)


def test_keys_are_taken_out_of_a_text(monkeypatch):
    monkeypatch.setenv("KEY_ONE", "sk-one")
    clean = endpoint.key_cleaner(
        [EndpointConfig(base_url="http://a", api_key_env="KEY_ONE"), EndpointConfig(base_url="http://b")]
    )
    assert clean("refused: sk-one; none") == "refused: …; none"


def test_a_body_leaves_out_what_the_server_lacks():
    whole = endpoint.payload(REQUEST)
    assert whole["max_tokens"] == 9
    assert whole["response_format"]["json_schema"]["schema"] == SCHEMA
    less = endpoint.payload(REQUEST, {"max_tokens", "json_schema"})
    assert less == {"model": "m", "messages": REQUEST.messages, "temperature": 0.0, "max_completion_tokens": 9}


def test_a_word_that_serves_as_a_key_stays_in_replies(monkeypatch):
    monkeypatch.setenv("A_KEY", "ollama")
    here = EndpointConfig(base_url="http://localhost:11434/v1", api_key_env="A_KEY")
    assert endpoint.key_cleaner([here])("ollama refuses") == "… refuses"
    assert endpoint.key_cleaner([here], endpoint.NO_WORD)({"text": ["the ollama project"]}) == {
        "text": ["the ollama project"]
    }
    monkeypatch.setenv("A_KEY", "a-key-that-is-no-word")
    reply = {"text": ["it is a-key-that-is-no-word"], "a-key-that-is-no-word": 1}
    assert endpoint.key_cleaner([here], endpoint.NO_WORD)(reply) == {"text": ["it is …"], "a-key-that-is-no-word": 1}
