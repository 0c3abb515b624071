"""Send spans to an OTLP endpoint; services.tracing imports this only where one is set."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from services.tracing import FLUSH_SECONDS, TRACEPARENT, Attributes, Kind, Span, Tracing

_KINDS = {kind.name.lower(): kind for kind in SpanKind}
logger = logging.getLogger(__name__)


class OtlpSpan(Span):
    """Be a span that is sent.

    Args:
        span: OpenTelemetry's.
    """

    __slots__ = ("_span",)

    def __init__(self, span: trace.Span) -> None:
        self._span = span

    def set(self, name: str, value: str | float) -> None:
        """Say something about what is done."""
        self._span.set_attribute(name, value)

    def event(self, name: str) -> None:
        """Say that something has happened now."""
        self._span.add_event(name)


class OtlpTracing(Tracing):
    """Trace with OpenTelemetry; a collector that is away costs spans and nothing else.

    Args:
        service: service.name of the resource.
    """

    def __init__(self, service: str) -> None:
        self._provider = TracerProvider(resource=Resource.create({"service.name": service}), shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("stampchat")
        self._propagator = TraceContextTextMapPropagator()

    @contextmanager
    def span(
        self, name: str, *, kind: Kind = "internal", parent: str = "", attributes: Attributes | None = None
    ) -> Iterator[Span]:
        """Time what the block does."""
        context = self._propagator.extract({TRACEPARENT: parent}) if parent else None
        with self._tracer.start_as_current_span(
            name,
            context=context,
            kind=_KINDS[kind],
            attributes=attributes,
            # An exception's text may hold what nobody may read.
            record_exception=False,
            set_status_on_exception=False,
        ) as opened:
            try:
                yield OtlpSpan(opened)
            except asyncio.CancelledError:
                raise
            except BaseException as error:
                opened.set_status(Status(StatusCode.ERROR, type(error).__name__))
                raise

    def current(self) -> Span:
        """Return the span of whoever asks."""
        return OtlpSpan(trace.get_current_span())

    def traceparent(self) -> str:
        """Return the header of the current span, or nothing."""
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return carrier.get(TRACEPARENT, "")

    def trace_id(self) -> str:
        """Return the id of the current trace, or nothing."""
        context = trace.get_current_span().get_span_context()
        return trace.format_trace_id(context.trace_id) if context.is_valid else ""

    def close(self) -> None:
        """Send what is left, for a few seconds and no longer."""
        flusher = threading.Thread(target=self._provider.shutdown, daemon=True)
        flusher.start()
        flusher.join(FLUSH_SECONDS)
        if flusher.is_alive():
            logger.warning("the last traces are given up: their collector does not answer")
