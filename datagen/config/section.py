"""What every section of the configuration has in common.

A field marked RUNTIME says how the work is done, or where something is whose content counts by itself, such as a
prompt: its value is no part of any stage's identity. One marked LLM counts only where the section's method asks a
language model.
"""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from datagen.errors import KEY_LIKE

RUNTIME: dict[str, Any] = {"runtime": True}
LLM: dict[str, Any] = {"llm": True}
Fraction = Annotated[float, Field(ge=0, le=1)]
_SECRET = re.compile(r"(?i)(^|[_.-])(api)?(key|token|secret|password|passwd|pwd|auth|sig|signature|credential)s?$")
_PARAMETER = re.compile(r"[?&;#]([^?&;#=]+)=")
_NAMED = re.compile(r"(?i)^((x-)?api[_-]?key|authorization|password|secret|(hf|auth|access|api)[_-]token)$")


def _without_credentials(address: str) -> str:
    """An address is written to files, and shown: what it holds must not be a secret."""
    names = map(unquote, _PARAMETER.findall(address))
    if "://" in address and ("@" in urlsplit(address).netloc or any(map(_SECRET.search, names))):
        raise PydanticCustomError(SECRET, "an address with a key or a password in it would be written to files")
    return address


def _holds_key(value: Any) -> bool:
    """Whether a key is in a value, by its looks or by its name."""
    if isinstance(value, dict):
        return any(_holds_key(v) or _holds_key(k) or (v and _NAMED.match(str(k))) for k, v in value.items())
    if isinstance(value, list | tuple):
        return any(map(_holds_key, value))
    return isinstance(value, str) and bool(KEY_LIKE.search(value))


SECRET = "secret"  # the type of an error whose value must not be shown
Address = Annotated[str, AfterValidator(_without_credentials)]


class Section(BaseModel):
    """A group of settings: frozen, and strict about unknown names."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @classmethod
    def implied(cls, given: dict[str, Any]) -> dict[str, Any]:
        """The defaults that depend on other settings, for the settings that are given."""
        return {}

    @model_validator(mode="before")
    @classmethod
    def _with_implied(cls, given: Any) -> Any:
        return cls.implied(given) | given if isinstance(given, dict) else given

    @property
    def asks_model(self) -> bool:
        """Whether the settings marked LLM count."""
        return True

    def counted(self, name: str) -> Any:
        """The part of a setting's value that counts for an identity."""
        return getattr(self, name)

    @field_validator("*", mode="before")
    @classmethod
    def _no_key(cls, value: Any, info: ValidationInfo) -> Any:
        kind = str(cls.model_fields[info.field_name or ""].annotation)
        if _holds_key(value) and ("Config" not in kind or isinstance(value, str)):  # a section looks for itself
            what = "a key belongs in an environment variable, which endpoints.api_key_env names: settings are kept"
            raise PydanticCustomError(SECRET, what)
        return value

    @field_validator("*", mode="before")
    @classmethod
    def _no_switch(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool) and cls.model_fields[info.field_name or ""].annotation is not bool:
            raise ValueError("yes or no is not what this setting takes")  # 'limit: yes' would read as 1
        return value
