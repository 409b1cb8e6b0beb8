"""Why a request gets no answer, in the shape in which OpenAI's API says so."""

from __future__ import annotations

from typing import Any


class Refused(Exception):
    """A request that is not answered: the HTTP status, what is wrong, and OpenAI's code for it, where it has one.

    retry_after: seconds after which to try again, as the server behind says.
    """

    def __init__(self, status: int, message: str, code: str | None = None, retry_after: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.code, self.retry_after = status, message, code, retry_after

    def body(self) -> dict[str, Any]:
        """The object that is sent."""
        kind = {401: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}.get(self.status)
        kind = kind or ("invalid_request_error" if self.status < 500 else "server_error")
        return {"error": {"message": self.message, "type": kind, "param": None, "code": self.code}}
