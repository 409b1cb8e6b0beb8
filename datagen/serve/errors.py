"""What a client is told when something is wrong, in the shape in which OpenAI tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

TOO_LONG = "context_length_exceeded"  # the code, as OpenAI has it


class Refused(Exception):
    """A request that gets no answer: the HTTP status, a sentence, and what else OpenAI's errors have."""

    def __init__(
        self,
        status: int,
        message: str,
        *,
        type: str = "invalid_request_error",
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status, self.message, self.type, self.code, self.param = status, message, type, code, param
        self.headers = dict(headers or {})

    @property
    def body(self) -> dict[str, Any]:
        """The error as JSON."""
        error = {"message": self.message, "type": self.type, "param": self.param, "code": self.code}
        return {"error": error}


def too_long(message: str) -> Refused:
    """A prompt that the upstream's context window does not hold."""
    return Refused(400, message, code=TOO_LONG, param="messages")


def bad_gateway(message: str, status: int = 502) -> Refused:
    """The upstream did not do its part."""
    return Refused(status, message, type="server_error", code="upstream_error")
