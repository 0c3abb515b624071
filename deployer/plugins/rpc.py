"""Serve a Pulumi plugin over gRPC as the engine expects it.

A plugin's `__main__` calls `bare.lighten()`, then `serve(...)`. A servicer raises DeployError (or
PartialError) and the edge here turns it into the status that the engine shows. Property values are
translated in `values`.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, NoReturn

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped,unused-ignore]  # ships stubs in some releases

from deployer.errors import DeployError
from deployer.plugins.values import encode

# A refresh sends every Read at once and an await may hold its thread for minutes: threads are made on demand only.
_THREADS = 512
_UNBOUNDED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
_PARENT_CHECK = 1.0

Severity = Literal["debug", "info", "warning", "error"]


class PartialError(DeployError):
    """Report a resource that was created or updated but did not become ready; the engine keeps it in state.

    Args:
        what: one sentence that says what failed.
        id: the resource's id.
        properties: its outputs as they are now, for the state.
        inputs: its inputs.
        reasons: one line each, shown under the error.
    """

    def __init__(
        self,
        what: str,
        *,
        id: str,  # noqa: A002  # the protocol's word
        properties: Mapping[str, Any],
        inputs: Mapping[str, Any],
        reasons: list[str],
    ) -> None:
        super().__init__(what, said="\n".join(reasons))
        self.id = id
        self.properties = properties
        self.inputs = inputs
        self.reasons = reasons


class EngineLog:
    """Send lines to the engine's diagnostics, beside the resource that they are about.

    Args:
        address: the engine's address, the plugin's first argument.
    """

    def __init__(self, address: str) -> None:
        self._address = address
        self._lock = threading.Lock()
        self._stub: Any = None

    def log(self, message: str, *, urn: str = "", severity: Severity = "info", ephemeral: bool = False) -> None:
        """Show a message; an engine that is gone already is no error.

        Args:
            message: what to say.
            urn: the resource it is about.
            severity: how loud.
            ephemeral: a status that the next one replaces, not kept after the update.
        """
        if not self._address:
            return
        from pulumi.runtime.proto import engine_pb2

        level = engine_pb2.LogSeverity.Value(severity.upper())
        request = engine_pb2.LogRequest(severity=level, message=message, urn=urn, ephemeral=ephemeral)
        try:
            self._connect().Log(request, timeout=5)
        except grpc.RpcError:
            return

    def _connect(self) -> Any:
        from pulumi.runtime.proto import engine_pb2_grpc

        with self._lock:
            if self._stub is None:
                self._stub = engine_pb2_grpc.EngineStub(grpc.insecure_channel(self._address, options=_UNBOUNDED))
            return self._stub


def serve(
    make: Callable[[str], Any],
    add: Callable[[Any, grpc.Server], None],
    *,
    on_exit: Callable[[], None] | None = None,
) -> NoReturn:
    """Print the port, answer until the engine is gone, and leave without waiting for anything.

    Args:
        make: builds the servicer from the engine's address ("" when there is none).
        add: the generated function that registers it, such as add_ResourceProviderServicer_to_server.
        on_exit: runs before the process leaves, for children to be ended.
    """
    parent = os.getppid()
    leaving = _leave(on_exit)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: leaving())
    server, port = start(make(sys.argv[1] if len(sys.argv) > 1 else ""), add)
    print(port, flush=True)  # noqa: T201  # the protocol: the engine reads the port from our output
    _wait_for_end(parent)
    server.stop(None)
    leaving()


def start(servicer: Any, add: Callable[[Any, grpc.Server], None]) -> tuple[grpc.Server, int]:
    """Start a server on a free port of this machine's loopback and return both."""
    pool = ThreadPoolExecutor(max_workers=_THREADS)
    server = grpc.server(pool, interceptors=[_Edge()], options=_UNBOUNDED)
    add(servicer, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, port


class _Edge(grpc.ServerInterceptor):  # type: ignore[misc,unused-ignore]  # grpc ships no types
    """Turn what a servicer raised into the status that the engine shows: the only place that catches."""

    def intercept_service(self, continuation: Callable[[Any], Any], handler_call_details: Any) -> Any:
        handler = continuation(handler_call_details)
        if handler is None or handler.unary_unary is None:
            return handler
        return grpc.unary_unary_rpc_method_handler(
            _guard(handler.unary_unary),
            request_deserializer=handler.request_deserializer,
            response_serializer=handler.response_serializer,
        )


def _guard(method: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def call(request: Any, context: Any) -> Any:
        try:
            return method(request, context)
        except NotImplementedError:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, "not implemented")
        except PartialError as failure:
            context.set_trailing_metadata((("grpc-status-details-bin", _details(failure)),))
            context.abort(grpc.StatusCode.UNKNOWN, str(failure))
        except DeployError as error:
            context.abort(grpc.StatusCode.UNKNOWN, str(error))
        except Exception as error:
            if context.code() is not None:  # the method itself called abort
                raise
            traceback.print_exc(file=sys.stderr)
            context.abort(grpc.StatusCode.UNKNOWN, f"{type(error).__name__}: {error}")

    return call


def _details(failure: PartialError) -> bytes:
    from pulumi.runtime.proto import provider_pb2

    detail = provider_pb2.ErrorResourceInitFailed(
        id=failure.id,
        properties=encode(failure.properties),
        inputs=encode(failure.inputs),
        reasons=failure.reasons,
    )
    packed = AnyMessage()
    packed.Pack(detail)
    status = Status(code=grpc.StatusCode.UNKNOWN.value[0], message=failure.what, details=[packed])
    return bytes(status.SerializeToString())


def _leave(on_exit: Callable[[], None] | None) -> Callable[[], NoReturn]:
    def leave() -> NoReturn:
        if on_exit is not None:
            on_exit()
        # Threads in an await and gRPC's own must not hold the process, nor print tracebacks while it ends.
        # No flush: a signal may have come in the middle of a write, and the port is flushed as it is printed.
        os._exit(0)

    return leave


def _wait_for_end(parent: int) -> None:
    """Return when the process that started us has ended: an engine killed by a signal leaves no orphan of ours."""
    try:
        watch = os.pidfd_open(parent)
    except (AttributeError, OSError):  # not Linux, or an old kernel
        while os.getppid() == parent:
            time.sleep(_PARENT_CHECK)
        return
    if os.getppid() == parent:
        poller = select.poll()
        poller.register(watch, select.POLLIN)
        poller.poll()
