"""Errors as HTTP answers: the same JSON that ``--json`` prints, with a fitting status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from usufruct.errors import (
    AlreadyExists,
    BadInput,
    NotAllowed,
    NotFound,
    Unavailable,
    UsageError,
    UsufructError,
    VerificationError,
)

_STATUS: Mapping[type[UsufructError], int] = {
    NotAllowed: 403,
    NotFound: 404,
    AlreadyExists: 409,
    BadInput: 400,
    UsageError: 400,
    Unavailable: 503,
    VerificationError: 422,
}


class Refusal(Exception):
    """Ends a request with an error and a status that its type alone does not give.

    Parameters
    ----------
    wait
        Seconds after which the caller may try again, for ``Retry-After``.
    """

    def __init__(
        self,
        error: UsufructError,
        status: int,
        *,
        wait: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(error.message)
        self.error = error
        self.status = status
        self.headers = dict(headers or {})
        if wait is not None:
            self.headers["retry-after"] = str(max(1, min(3600, int(wait + 0.999))))


def status_of(error: UsufructError) -> int:
    """Return the status that stands for an error; 500 for what is no caller's business."""
    for kind in type(error).__mro__:
        if kind in _STATUS:
            return _STATUS[kind]
    return 500


def answer_of(error: Exception) -> tuple[int, dict[str, Any], dict[str, str]]:
    """Return status, document and headers of the answer to a request that failed."""
    if isinstance(error, Refusal):
        return error.status, error.error.as_dict(), error.headers
    if isinstance(error, UsufructError):
        status = status_of(error)
        if status == 500:
            # what is damaged here, and where it lies, is the operator's business
            return status, _INTERNAL, {}
        if status == 503:
            document = {"error": type(error).__name__, "message": _AWAY, "hint": "try again"}
            return status, document, {"retry-after": "2"}
        return status, error.as_dict(), {}
    return 500, _INTERNAL, {}


def method_or_path(status: int) -> tuple[dict[str, Any], int]:
    """Return document and status of the answer to what no route takes."""
    if status == 405:
        wrong = BadInput("this method is not for this path", hint="see /openapi.json")
        return wrong.as_dict(), 405
    if status == 404:
        return NotFound("there is nothing at this path", hint="see /openapi.json").as_dict(), 404
    return BadInput("the request cannot be understood").as_dict(), 400


_INTERNAL = {
    "error": "Damaged",
    "message": "the node has a fault, which is in its log",
    "hint": "tell its operator",
}
_AWAY = "the node cannot do this at the moment: something it needs is away"
