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
from services.logs import REQUEST_ID_HEADER, adopt_request_id, say
from services.metrics import Metrics

# Probes and scrapes come every few seconds and say nothing new.
MACHINE_PATHS = frozenset({"/livez", "/readyz", "/metrics", "/openapi.json"})
# Where the port's answers are told from the internal one's.
PUBLIC = "public"
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
                route, client = find_route(request), name_client(request)
                # A query can hold a token and a path an invitation: a call that exists is named by its pattern.
                path = request.path[:_MOST_PATH] if route == _UNMATCHED else route
                metrics.observe(port, route, _method(request), status, _latency(status, seconds))
                level = logging.DEBUG if route in MACHINE_PATHS else logging.INFO
                _log(level, port, request.method, path, client=client, status=status, seconds=seconds)
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


def note_upgrade(metrics: Metrics, route: str, client: str, seconds: float) -> None:
    """Count and log a socket that was opened without a request of aiohttp's, as one with it is.

    Args:
        metrics: where answers are counted.
        route: the pattern of its path.
        client: its address.
        seconds: that the handshake took.
    """
    status = HTTPStatus.SWITCHING_PROTOCOLS.value
    metrics.observe(PUBLIC, route, hdrs.METH_GET, status, _latency(status, seconds))
    _log(logging.INFO, PUBLIC, hdrs.METH_GET, route, client=client, status=status, seconds=seconds)


def _latency(status: int, seconds: float) -> float:
    """An upgraded socket of aiohttp's lives for hours; its length is not a latency."""
    return 0.0 if status == HTTPStatus.SWITCHING_PROTOCOLS else seconds


def _log(level: int, port: str, method: str, path: str, *, client: str, status: int, seconds: float) -> None:
    fields = {
        "port": port,
        "method": method,
        "path": path,
        "status": status,
        "milliseconds": round(seconds * 1000, 1),
        "client": client,
    }
    say(logger, level, "request", fields)
