"""Every error of the API as ``application/problem+json`` (RFC 9457); the one place where errors become statuses."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import singledispatch
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from pipeline.sources.url import redact
from service.errors_base import (
    Conflict,
    Forbidden,
    InvalidRequest,
    NotFound,
    NotJson,
    Outdated,
    RangeBeyondFile,
    ServiceError,
    TooLarge,
    TooManyTries,
    Unauthorized,
    Unavailable,
    WrongHost,
    shown,
)
from service.storage.database import StoreError

log = logging.getLogger(__name__)

_SECRET_FIELDS = frozenset({"url", "password", "old_password", "username", "headers", "secret"})
MEDIA_TYPE = "application/problem+json"


class FieldError(BaseModel):
    """What is wrong with one part of a request."""

    field: str = Field(examples=["actions.jogging"])
    expected: str = Field(examples=["a threshold in 0..1"])
    got: str = Field(examples=["1.5"])


class ProblemBody(BaseModel):
    """RFC 9457. ``type`` is always ``about:blank``: ``status`` says the kind, ``detail`` and ``errors`` the rest."""

    type: str = "about:blank"
    title: str = Field(examples=["Unprocessable Entity"])
    status: int = Field(examples=[422])
    detail: str = Field(examples=["actions.jogging: expected a threshold in 0..1, got 1.5"])
    instance: str | None = Field(None, description="path of the request", examples=["/v1/streams"])
    errors: list[FieldError] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Problem:
    """An error as HTTP tells it. ``errors`` name each field with what was expected and what came."""

    status: int
    detail: str
    errors: Sequence[FieldError] = ()
    headers: Mapping[str, str] | None = None


def _sentence(error: FieldError) -> str:
    return f"{error.field}: expected {error.expected}, got {error.got}"


def problem_body(problem: Problem, instance: str | None) -> dict[str, Any]:
    body = ProblemBody(
        title=HTTPStatus(problem.status).phrase,
        status=problem.status,
        detail=problem.detail,
        instance=None if instance is None else shown(instance),
        errors=list(problem.errors),
    )
    return body.model_dump(exclude_none=True)


def problem_response(problem: Problem, instance: str | None) -> JSONResponse:
    return JSONResponse(problem_body(problem, instance), problem.status, problem.headers, MEDIA_TYPE)


def install(app: FastAPI, methods_at: Callable[[str], Sequence[str]]) -> None:
    """Makes every error of the application a problem. ``methods_at`` says what a path knows, for 405's ``Allow``."""

    async def on_error(request: Request, error: Exception) -> JSONResponse:
        problem = to_problem(error)
        if problem.status == HTTPStatus.METHOD_NOT_ALLOWED:
            path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
            allowed = methods_at(path)
            problem = replace(problem, headers={"Allow": ", ".join(allowed)}) if allowed else problem
        return problem_response(problem, request.url.path)

    for kind in (HTTPException, RequestValidationError, ServiceError, Exception):
        app.add_exception_handler(kind, on_error)


@singledispatch
def to_problem(error: Exception) -> Problem:
    """Any exception → what the client is told; nothing of an unexpected one leaves but the log line."""
    log.error("a request failed", exc_info=error)
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "an error of the service; its log says more")


@to_problem.register
def _(error: HTTPException) -> Problem:
    return Problem(error.status_code, _http_detail(error), headers=error.headers)


@to_problem.register
def _(error: RequestValidationError) -> Problem:
    return _validation_problem(error.errors())


@to_problem.register
def _(error: InvalidRequest) -> Problem:
    fields = [FieldError(field=each.field, expected=each.expected, got=each.got) for each in error.wrong]
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, str(error), fields)


@to_problem.register
def _(error: NotFound) -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, str(error))


@to_problem.register
def _(error: Conflict) -> Problem:
    return Problem(HTTPStatus.CONFLICT, str(error))


@to_problem.register
def _(error: Outdated) -> Problem:
    return Problem(HTTPStatus.PRECONDITION_FAILED, str(error))


@to_problem.register
def _(error: Forbidden) -> Problem:
    return Problem(HTTPStatus.FORBIDDEN, str(error))


@to_problem.register
def _(error: Unauthorized) -> Problem:
    return Problem(HTTPStatus.UNAUTHORIZED, str(error), headers={"WWW-Authenticate": 'Bearer realm="actoscope"'})


@to_problem.register
def _(error: TooManyTries) -> Problem:
    return Problem(HTTPStatus.TOO_MANY_REQUESTS, str(error), headers={"Retry-After": str(error.retry_after_s)})


@to_problem.register
def _(error: WrongHost) -> Problem:
    return Problem(HTTPStatus.MISDIRECTED_REQUEST, str(error))


@to_problem.register
def _(error: NotJson) -> Problem:
    return Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, str(error))


@to_problem.register
def _(error: TooLarge) -> Problem:
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, str(error))


@to_problem.register
def _(error: RangeBeyondFile) -> Problem:
    headers = {"Content-Range": f"bytes */{error.size}"}
    return Problem(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, str(error), headers=headers)


@to_problem.register
def _(error: Unavailable) -> Problem:
    headers = {"Retry-After": str(error.retry_after_s)}
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, redact(str(error)), headers=headers)


@to_problem.register
def _(error: StoreError) -> Problem:
    log.error("%s", error)
    detail = "the database does not answer now; try again"
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, detail, headers={"Retry-After": "2"})


def unreadable_body(error: ServiceError) -> HTTPException:
    """→ what to raise while a body is read: FastAPI hands on no other exception of one that cannot be."""
    problem = to_problem(error)
    return HTTPException(problem.status, problem.detail)


def _http_detail(error: HTTPException) -> str:
    texts = {
        HTTPStatus.NOT_FOUND: "there is nothing at this path",
        HTTPStatus.METHOD_NOT_ALLOWED: "this path does not know this method; the Allow header lists those it does",
    }
    default = HTTPStatus(error.status_code).phrase
    return texts.get(HTTPStatus(error.status_code), default) if error.detail == default else shown(error.detail)


def _validation_problem(items: Sequence[Any]) -> Problem:
    errors = [_field_error(item) for item in items]
    detail = "; ".join(_sentence(error) for error in errors[:5])
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail or "the request is not valid", errors)


def _field_error(item: Any) -> FieldError:
    """One entry of pydantic's list → field, expected, got. Values of fields that may hold a secret are not repeated."""
    place = [str(part) for part in item["loc"] if part not in ("body", "query", "path", "header")]
    field = shown(".".join(place) or "body")
    if item["type"] == "json_invalid":
        return FieldError(
            field="body", expected="JSON", got=f"text that ends being JSON at character {item['loc'][-1]}"
        )
    if item["type"] == "extra_forbidden":
        return FieldError(field=field, expected="only known fields", got="an unknown one")
    if item["type"] == "missing":
        return FieldError(field=field, expected="a value", got="nothing")
    message = str(item["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")
    got = _kind(item.get("input")) if _may_hold_secret(place, item.get("input")) else shown(item.get("input"))
    return FieldError(
        field=field, expected=redact(message[:1].lower() + message[1:]).removeprefix("expected "), got=got
    )


def _may_hold_secret(place: Sequence[str], value: object) -> bool:
    whole_config = "config" in place and isinstance(value, (dict, list))
    return not place or whole_config or not _SECRET_FIELDS.isdisjoint(place)


def _kind(value: object) -> str:
    names = {dict: "an object", list: "a list", str: "a text", int: "a number", float: "a number", bool: "a boolean"}
    return "nothing" if value is None else names.get(type(value), "something else")


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """→ ``responses=`` of a route: these statuses answer with a problem."""
    return {status: _documented(status) for status in statuses}


_EXAMPLES = {
    401: "nobody is logged in: log in at /login, or send Authorization: Bearer with an API token",
    403: "this needs streams:write, which you may not",
    404: "there is no stream str_0123456789abcdef",
    409: "there are 16 streams, which is the limit that the operator set",
    412: "the zones were changed since they were read: read them again",
    416: "expected a range within 0..1048575",
    415: "expected a body of application/json, got text/plain",
    422: "actions.jogging: expected a threshold in 0..1, got 1.5",
    429: "too many failed tries: try again in 41 s",
    500: "an error of the service; its log says more",
    503: "no picture within 5 s: connecting, starting",
}


def _documented(status: int) -> dict[str, Any]:
    phrase = HTTPStatus(status).phrase
    example: dict[str, Any] = {"type": "about:blank", "title": phrase, "status": status, "detail": _EXAMPLES[status]}
    if status == HTTPStatus.UNPROCESSABLE_ENTITY:
        example["errors"] = [{"field": "actions.jogging", "expected": "a threshold in 0..1", "got": "1.5"}]
    schema = {"$ref": "#/components/schemas/ProblemBody"}
    return {"description": phrase, "content": {MEDIA_TYPE: {"schema": schema, "example": example}}}
