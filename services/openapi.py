"""Describe a service's public port as an OpenAPI 3.1 document, from the very types that it reads and writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

# Any call can meet these: a database that is away, and a mistake of ours.
_ALWAYS = (500, 503)


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
        errors: the statuses of its error answers, besides 500 and 503.
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

    statuses = sorted({*call.errors, *((401,) if call.bearer else ()), *_ALWAYS})
    failures = {str(status): {"description": "An error.", "content": content(ErrorAnswer)} for status in statuses}
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
