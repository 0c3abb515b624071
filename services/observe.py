"""Give each request its id, its span, its place in the metrics and its line in the access log."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from http import HTTPStatus

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from services import tracing
from services.logs import REQUEST_ID_HEADER, adopt_request_id
from services.metrics import Metrics

# Probes and scrapes come every few seconds and say nothing new.
MACHINE_PATHS = frozenset({"/livez", "/readyz", "/metrics", "/openapi.json"})
_UNMATCHED = "unmatched"
_MOST_PATH = 200
logger = logging.getLogger(__name__)


def observe(port: str, metrics: Metrics, name_client: Callable[[web.Request], str]) -> Middleware:
    """Make the middleware that stands around all others.

    Args:
        port: public or internal.
        metrics: where answers are counted.
        name_client: says from which address a request came.
    """

    @web.middleware
    async def take_note(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = time.perf_counter()
        request_id = adopt_request_id(request.headers.get(REQUEST_ID_HEADER))
        status = 499  # What nginx says when the client went away before its answer.
        with _server_span(request, request_id) as span:
            try:
                response = await handler(request)
                status = response.status
            finally:
                span.set("http.response.status_code", status)
                seconds = time.perf_counter() - started
                # An upgraded socket lives for hours; its length is not a latency.
                latency = 0.0 if status == HTTPStatus.SWITCHING_PROTOCOLS else seconds
                metrics.observe(port, find_route(request), _method(request), status, latency)
                _log(port, request, name_client(request), status, seconds)
        if not response.prepared:
            response.headers[REQUEST_ID_HEADER] = request_id
            # aiohttp would tell everybody its version and Python's.
            response.headers[hdrs.SERVER] = "stampchat"
        return response

    return take_note


def _server_span(request: web.Request, request_id: str) -> AbstractContextManager[tracing.Span]:
    route = find_route(request)
    # A socket lives for hours, and a span is sent at its end: what is said over it has spans of its own.
    if not tracing.is_on() or route in MACHINE_PATHS or hdrs.UPGRADE in request.headers:
        return tracing.NOTHING
    method = _method(request)
    attributes = {"http.request.method": method, "http.route": route, "stampchat.request_id": request_id}
    parent = request.headers.get(tracing.TRACEPARENT, "")
    return tracing.span(f"{method} {route}", kind="server", parent=parent, attributes=attributes)


def find_route(request: web.Request) -> str:
    """Return the pattern of a request's path, or a word for paths that have none."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else _UNMATCHED


def _method(request: web.Request) -> str:
    return request.method if request.method in hdrs.METH_ALL else "OTHER"


def _log(port: str, request: web.Request, client: str, status: int, seconds: float) -> None:
    route = find_route(request)
    level = logging.DEBUG if route in MACHINE_PATHS else logging.INFO
    if logger.isEnabledFor(level):
        fields = {
            "port": port,
            "method": request.method,
            # A query can hold a token and a path an invitation: a call that exists is named by its pattern.
            "path": request.path[:_MOST_PATH] if route == _UNMATCHED else route,
            "status": status,
            "milliseconds": round(seconds * 1000, 1),
            "client": client,
        }
        logger.log(level, "request", extra={"fields": fields})
