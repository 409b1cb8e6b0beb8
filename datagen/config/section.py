"""What every section of the configuration has in common.

A field marked RUNTIME says how the work is done, or where something is whose content counts by itself, such as a
prompt: its value is no part of any stage's identity. One marked LLM counts only where the section's method asks a
language model.
"""

from __future__ import annotations

import re
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

RUNTIME: dict[str, Any] = {"runtime": True}
LLM: dict[str, Any] = {"llm": True}
Fraction = Annotated[float, Field(ge=0, le=1)]
_SECRET = re.compile(r"(?i)(^|[_-])(key|token|secret|password|sig|signature|credential)s?$")


def _without_credentials(address: str) -> str:
    """An address is written to files, and shown: what it holds must not be a secret."""
    parts = urlsplit(address)
    if "://" in address and ("@" in parts.netloc or any(_SECRET.search(name) for name, _ in parse_qsl(parts.query))):
        raise PydanticCustomError(SECRET, "an address with a key or a password in it would be written to files")
    return address


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
    def _no_switch(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool) and cls.model_fields[info.field_name or ""].annotation is not bool:
            raise ValueError("yes or no is not what this setting takes")  # 'limit: yes' would read as 1
        return value
