"""Faults as their callers read them: problem details of RFC 9457, without anything of the request's body."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

MEDIA_TYPE = "application/problem+json"

SCHEMA = {
    "title": "ProblemDetails",
    "description": "RFC 9457. `detail` says what to do about it.",
    "type": "object",
    "properties": {
        "type": {"type": "string", "format": "uri-reference", "default": "about:blank"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
    },
    "required": ["type", "title", "status", "detail"],
}


class ProblemError(Exception):
    """A request that gets no answer but this one."""

    def __init__(self, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})

    def response(self) -> JSONResponse:
        """What is sent."""
        content = {"type": "about:blank", "title": self.status.phrase, "status": self.status, "detail": self.detail}
        return JSONResponse(content, self.status, self.headers, MEDIA_TYPE)


def describe(*statuses: HTTPStatus, headers: Mapping[HTTPStatus, str] | None = None) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries of these faults. headers: a response header that comes with a status."""
    described: dict[int | str, dict[str, Any]] = {}
    for status in statuses:
        example = {"type": "about:blank", "title": status.phrase, "status": int(status), "detail": "…"}
        described[int(status)] = {
            "description": _MEANINGS[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDetails"}, "example": example}},
        }
        header = (headers or {}).get(status)
        if header:
            described[int(status)]["headers"] = {header: {"schema": {"type": "string"}}}
    return described


_MEANINGS = {
    HTTPStatus.BAD_REQUEST: "The body can't be read.",
    HTTPStatus.UNAUTHORIZED: "No key or signature, or a wrong one.",
    HTTPStatus.FORBIDDEN: "The key is another channel's.",
    HTTPStatus.NOT_FOUND: "There is no such channel, feed or member.",
    HTTPStatus.REQUEST_TIMEOUT: "The body came too slowly.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "The body is over the limit; nothing was kept.",
    HTTPStatus.UNPROCESSABLE_ENTITY: "A parameter is wrong.",
    HTTPStatus.TOO_MANY_REQUESTS: "The key's rate is used up; Retry-After says when to come again.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Not now: the disk is full, or nothing is published yet. Nothing was kept.",
}


def answer_problem(request: Request, fault: Exception) -> JSONResponse:
    """Exception handler: `ProblemError`, and the framework's own faults in the same words."""
    match fault:
        case ProblemError():
            return fault.response()
        case RequestValidationError():
            names = sorted({str(error["loc"][-1]) for error in fault.errors()})
            detail = f"Wrong parameter: {', '.join(names)}; see /openapi.json."
            return ProblemError(HTTPStatus.UNPROCESSABLE_ENTITY, detail).response()
        case HTTPException():
            status = HTTPStatus(fault.status_code)
            headers = dict(fault.headers or {})
            if status == HTTPStatus.METHOD_NOT_ALLOWED:
                headers["Allow"] = ", ".join(_methods(request))
            return ProblemError(status, f"{status.description or status.phrase}.", headers).response()
        case _:
            return ProblemError(HTTPStatus.INTERNAL_SERVER_ERROR, "A fault of ours; the log has its place.").response()


def _methods(request: Request) -> list[str]:
    """Of every route of the path: the framework names those of the first one only."""
    path = getattr(request.scope.get("route"), "path_format", "")
    return sorted(method.upper() for method in request.app.openapi()["paths"].get(path, ()))
