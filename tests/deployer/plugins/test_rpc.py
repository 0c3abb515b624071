from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped,unused-ignore]  # as in rpc.py
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, provider_pb2, provider_pb2_grpc

from deployer.errors import DeployError
from deployer.plugins.rpc import EngineLog, PartialError, start
from deployer.plugins.values import Secret, decode
from deployer.workspace import ROOT


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """Fails in the way that the id of the request names."""

    def __init__(self) -> None:
        self.together = threading.Barrier(40)

    def Delete(self, request: Any, context: Any) -> Empty:  # noqa: N802  # the protocol's name
        if request.id == "said":
            raise DeployError("the pod crashed", said="panic: x", advice="Look.")
        if request.id == "bug":
            raise KeyError("missing")
        if request.id == "aborted":
            context.abort(grpc.StatusCode.NOT_FOUND, "gone")
        if request.id == "partial":
            raise PartialError("not ready", id="ns/x", properties={"k": Secret("v")}, inputs={"i": 1}, reasons=["a"])
        self.together.wait(60)
        return Empty()


@pytest.fixture
def stub() -> Iterator[Any]:
    server, port = start(Provider(), provider_pb2_grpc.add_ResourceProviderServicer_to_server)
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield provider_pb2_grpc.ResourceProviderStub(channel)
    server.stop(None).wait()


def fail(stub: Any, identity: str) -> Any:
    with pytest.raises(grpc.RpcError) as caught:
        stub.Delete(provider_pb2.DeleteRequest(id=identity))
    return caught.value


@pytest.mark.parametrize(
    ("identity", "code", "text"),
    [
        ("said", grpc.StatusCode.UNKNOWN, "the pod crashed\n  | panic: x\nLook."),
        ("bug", grpc.StatusCode.UNKNOWN, "KeyError: 'missing'"),
        ("aborted", grpc.StatusCode.NOT_FOUND, "gone"),
    ],
)
def test_what_a_servicer_raises_is_what_the_engine_shows(
    stub: Any, identity: str, code: grpc.StatusCode, text: str
) -> None:
    error = fail(stub, identity)

    assert (error.code(), error.details()) == (code, text)


def test_a_call_that_is_not_there_is_unimplemented(stub: Any) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        stub.Cancel(Empty())

    error: Any = caught.value
    assert error.code() == grpc.StatusCode.UNIMPLEMENTED


def test_a_partial_failure_carries_the_resource(stub: Any) -> None:
    error = fail(stub, "partial")

    status = Status.FromString(dict(error.trailing_metadata())["grpc-status-details-bin"])
    detail = provider_pb2.ErrorResourceInitFailed()
    assert status.details[0].Unpack(detail)
    assert (detail.id, list(detail.reasons)) == ("ns/x", ["a"])
    assert decode(detail.properties) == {"k": Secret("v")}
    assert decode(detail.inputs) == {"i": 1}


def test_forty_calls_that_wait_for_each_other_all_end(stub: Any) -> None:
    calls = [stub.Delete.future(provider_pb2.DeleteRequest(id="wait")) for _ in range(40)]

    assert [call.result(timeout=60) for call in calls] == [Empty()] * 40


def test_lines_reach_the_engine_and_a_gone_engine_is_no_error() -> None:
    heard: list[Any] = []

    class Engine(engine_pb2_grpc.EngineServicer):
        def Log(self, request: Any, context: Any) -> Empty:  # noqa: ARG002, N802  # the protocol's
            heard.append(request)
            return Empty()

    server, port = start(Engine(), engine_pb2_grpc.add_EngineServicer_to_server)
    log = EngineLog(f"127.0.0.1:{port}")
    log.log("waiting", urn="urn:x", severity="warning", ephemeral=True)
    server.stop(None).wait()
    log.log("nobody hears this")
    EngineLog("").log("nor this")

    assert [(line.message, line.urn, line.ephemeral) for line in heard] == [("waiting", "urn:x", True)]
    assert heard[0].severity == engine_pb2.WARNING


@pytest.mark.parametrize("plugin", ["language", "random"])
def test_a_plugin_starts_without_loading_the_sdk(plugin: str) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from deployer.plugins import rpc; "
        "rpc.serve = lambda make, add, **_: make('');"
        f"from deployer.plugins.{plugin}.__main__ import main; main();"
        "print(sorted(n for n in sys.modules if n.startswith('pulumi.') and 'proto' not in n),"
        " [n for n in ('pulumi_random', 'kubernetes', 'urllib.request') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=False)

    assert done.stdout == "['pulumi.runtime'] []\n", done.stderr
