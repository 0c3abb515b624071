"""Stand in for an OpenTelemetry collector, over HTTP with protobuf."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.services.stand_in import serving


@dataclass(frozen=True)
class Received:
    """Be a span as a collector sees it."""

    service: str
    name: str
    kind: int
    trace: str
    id: str
    parent: str
    attributes: dict[str, Any]
    events: list[str]
    is_error: bool


@dataclass
class Collector:
    """Stand where an OpenTelemetry collector stands, over HTTP with protobuf."""

    url: str = ""
    spans: list[Received] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.Response:
        """Answer POST /v1/traces."""
        assert request.content_type == "application/x-protobuf"
        decoded = ExportTraceServiceRequest.FromString(await request.read())
        for group in decoded.resource_spans:
            resource = {entry.key: entry.value.string_value for entry in group.resource.attributes}
            for scope in group.scope_spans:
                self.spans += [self.read(resource["service.name"], span) for span in scope.spans]
        return web.Response(content_type="application/x-protobuf")

    @staticmethod
    def read(service: str, span: Any) -> Received:
        """Decode one span."""
        values = ((entry.key, entry.value) for entry in span.attributes)
        return Received(
            service=service,
            name=span.name,
            kind=span.kind,
            trace=span.trace_id.hex(),
            id=span.span_id.hex(),
            parent=span.parent_span_id.hex(),
            attributes={key: getattr(value, str(value.WhichOneof("value"))) for key, value in values},
            events=[event.name for event in span.events],
            is_error=span.status.code == 2,
        )

    def find(self, service: str, name: str) -> Received:
        """Return the one span of a name."""
        (found,) = [span for span in self.spans if (span.service, span.name) == (f"stampchat-{service}", name)]
        return found


@asynccontextmanager
async def collecting() -> AsyncIterator[Collector]:
    """Serve a collector on a free port."""
    double = Collector()
    app = web.Application()
    app.router.add_post("/v1/traces", double.take)
    async with serving(app) as url:
        double.url = url
        yield double
