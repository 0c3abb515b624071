"""Trace what a request causes in the three services, where an OpenTelemetry endpoint is set; else do nothing.

The environment is OpenTelemetry's own (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/):
OTEL_EXPORTER_OTLP_ENDPOINT, or …_TRACES_ENDPOINT, says where traces go, over HTTP with protobuf. Without either nothing
of OpenTelemetry is imported. As with logging, what traces is the process's: whatever is called finds it here.

No attribute holds a token, a topic, a name or a text; an exception is named by its type alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Literal, Self, TypeAlias

from services.errors import StartError

Kind: TypeAlias = Literal["internal", "server", "client", "producer", "consumer"]
Attributes: TypeAlias = Mapping[str, str | int | float | bool]

TRACEPARENT = "traceparent"
# How long a stopping process goes on sending what it has.
FLUSH_SECONDS = 3.0
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class Span:
    """Be a span that nobody records, and the block that it would time."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    def set(self, name: str, value: str | float) -> None:
        """Say something about what is done."""

    def event(self, name: str) -> None:
        """Say that something has happened now."""


class Tracing:
    """Trace nothing."""

    def span(
        self, name: str, *, kind: Kind = "internal", parent: str = "", attributes: Attributes | None = None
    ) -> AbstractContextManager[Span]:
        """Time what the block does."""
        del name, kind, parent, attributes
        return NOTHING

    def current(self) -> Span:
        """Return the span of whoever asks."""
        return NOTHING

    def traceparent(self) -> str:
        """Return the W3C header that makes another service's spans children of the current one, or nothing."""
        return ""

    def trace_id(self) -> str:
        """Return the id of the current trace, or nothing."""
        return ""

    def close(self) -> None:
        """Send what is left."""


NOTHING = Span()
_OFF = Tracing()
_active = _OFF


def span(
    name: str, *, kind: Kind = "internal", parent: str = "", attributes: Attributes | None = None
) -> AbstractContextManager[Span]:
    """Time what the block does, as a child of the current span.

    Args:
        name: of few values, so that traces can be grouped by it.
        kind: the part that we play in it.
        parent: a traceparent header that came in; it then takes the current span's place.
        attributes: what is known at the beginning.
    """
    if _active is _OFF:
        return NOTHING
    return _active.span(name, kind=kind, parent=parent, attributes=attributes)


def is_on() -> bool:
    """Say whether anything is traced, before attributes are gathered for it."""
    return _active is not _OFF


def current() -> Span:
    """Return the current span, to say something about it elsewhere, later."""
    return _active.current()


def traceparent() -> str:
    """Return the header that hands the current trace on, or nothing."""
    return _active.traceparent()


def trace_id() -> str:
    """Return the id of the current trace, or nothing."""
    return _active.trace_id()


@contextmanager
def tracing(service: str, environ: Mapping[str, str]) -> Iterator[Tracing]:
    """Trace for as long as the block runs, if the environment names an endpoint.

    Args:
        service: auth, chat or notifications.
        environ: OpenTelemetry's variables; its exporter reads the rest of them from the process's own.

    Raises:
        StartError: an endpoint is named, and OpenTelemetry cannot be used.
    """
    global _active  # noqa: PLW0603  # as the root logger is: one a process
    before = _active
    asked = any(environ.get(name, "").strip() for name in _ENDPOINTS)
    disabled = environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    _active = _open(service, environ) if asked and not disabled else _OFF
    try:
        yield _active
    finally:
        opened, _active = _active, before
        opened.close()


def _open(service: str, environ: Mapping[str, str]) -> Tracing:
    try:
        from services.tracing_otlp import OtlpTracing

        return OtlpTracing(environ.get("OTEL_SERVICE_NAME", "").strip() or f"stampchat-{service}")
    except (ImportError, ValueError) as error:
        raise StartError(f"Traces are asked for and cannot be sent: {error}.") from error
