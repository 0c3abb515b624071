"""Describe a service's public port as an OpenAPI 3.1 document, from the very types that it reads and writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

import msgspec

# Any call can meet these: too many calls, a mistake of ours, and a database that is away.
_ALWAYS = (429, 500, 503)
# Any body can be broken, slow, too large, of another type than JSON, or of the wrong shape.
_BODY = (400, 408, 413, 415, 422)
_WAIT = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
_CHALLENGE = {"WWW-Authenticate": {"description": "Bearer.", "schema": {"type": "string"}}}
_HEADERS = {401: _CHALLENGE, 429: _WAIT, 503: _WAIT}
_MEANING = {
    status: HTTPStatus(status).phrase for status in (400, 401, 403, 404, 408, 409, 413, 415, 422, 429, 500, 502, 503)
}


class ErrorDetail(msgspec.Struct):
    """Say what went wrong.

    Attributes:
        code: a snake_case word for programs.
        message: one sentence for people.
    """

    code: str
    message: str


class ErrorAnswer(msgspec.Struct):
    """Be the one shape that errors have."""

    error: ErrorDetail


@dataclass(frozen=True)
class Operation:
    """Describe one call.

    Attributes:
        method: in lower case.
        path: with parameters in braces.
        summary: one sentence.
        answer: the type of the 200 answer.
        body: the type of the request's body.
        body_required: whether a request without a body is refused.
        bearer: whether it asks for a session token.
        query: optional query parameters, each with its JSON type.
        errors: the statuses of its error answers, besides those that any call, any body and any bearer can have.
    """

    method: Literal["get", "post", "delete", "patch", "put"]
    path: str
    summary: str
    answer: Any
    body: Any = None
    body_required: bool = True
    bearer: bool = False
    query: tuple[tuple[str, str], ...] = ()
    errors: tuple[int, ...] = ()


def build_openapi(title: str, operations: Sequence[Operation]) -> dict[str, Any]:
    """Build the document.

    Args:
        title: the service's name.
        operations: every call of its public port.
    """
    types = [ErrorAnswer, *(kind for call in operations for kind in (call.answer, call.body) if kind is not None)]
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    by_type = dict(zip(map(str, types), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for call in operations:
        paths.setdefault(call.path, {})[call.method] = _describe(call, by_type)
    bearer = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1"},
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": {"bearer": bearer}},
    }


def _describe(call: Operation, schemas: dict[str, Any]) -> dict[str, Any]:
    def content(kind: Any) -> dict[str, Any]:
        return {"application/json": {"schema": schemas[str(kind)]}}

    usual = (*_ALWAYS, *((401,) if call.bearer else ()), *(_BODY if call.body is not None else ()))
    failures: dict[str, Any] = {}
    for status in sorted({*call.errors, *usual}):
        failures[str(status)] = {"description": f"{_MEANING[status]}.", "content": content(ErrorAnswer)}
        if status in _HEADERS:
            failures[str(status)]["headers"] = _HEADERS[status]
    described: dict[str, Any] = {
        "summary": call.summary,
        "responses": {"200": {"description": "Done.", "content": content(call.answer)}, **failures},
    }
    if call.body is not None:
        described["requestBody"] = {"required": call.body_required, "content": content(call.body)}
    if call.bearer:
        described["security"] = [{"bearer": []}]
    names = [part[1:-1] for part in call.path.split("/") if part.startswith("{")]
    parameters = [{"name": name, "in": "path", "required": True, "schema": {"type": "integer"}} for name in names]
    parameters += [{"name": name, "in": "query", "schema": {"type": kind}} for name, kind in call.query]
    if parameters:
        described["parameters"] = parameters
    return described
