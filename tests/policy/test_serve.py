"""The pack as the engine talks to it, without an engine."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from deployer.workspace import ROOT
from infra.builders.objects import namespace
from policy.pack import EXCEPTIONS, RULES
from policy.relations import STACK_RULES

TYPE = "kubernetes:core/v1:Namespace"


@pytest.fixture
def pack() -> Iterator[Any]:
    """Start the pack by a shell that stands for the engine, and return a client; it ends with its engine."""
    command = ["sh", "-c", '"$@"; :', "sh", sys.executable, str(ROOT / "policy")]
    engine = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert engine.stdout is not None
        with grpc.insecure_channel(f"127.0.0.1:{int(engine.stdout.readline())}") as channel:
            yield analyzer_pb2_grpc.AnalyzerStub(channel)
        engine.kill()
        # The output ends when nobody holds it any more.
        engine.communicate(timeout=60)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(engine.pid, signal.SIGKILL)


def loose() -> Struct:
    """Return a namespace that lets anything in."""
    manifest = namespace("here")
    manifest["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] = "privileged"
    struct = Struct()
    struct.update(manifest)
    return struct


def configured(level: Any) -> Any:
    """Set the level of one rule."""
    config = {"namespace-restricted": analyzer_pb2.PolicyConfig(enforcementLevel=level)}
    return analyzer_pb2.ConfigureAnalyzerRequest(policyConfig=config)


def test_the_pack_says_its_rules_and_judges(pack: Any) -> None:
    info = pack.GetAnalyzerInfo(Empty())
    judged = pack.Analyze(analyzer_pb2.AnalyzeRequest(type=TYPE, name="here", urn="urn", properties=loose()))
    resource = analyzer_pb2.AnalyzerResource(type=TYPE, name="here", urn="urn", properties=loose())
    together = pack.AnalyzeStack(analyzer_pb2.AnalyzeStackRequest(resources=[resource]))

    assert [policy.name for policy in info.policies] == [rule.name for rule in (*RULES, *STACK_RULES)] + [EXCEPTIONS]
    assert {policy.enforcementLevel for policy in info.policies[:-1]} == {analyzer_pb2.MANDATORY}
    (diagnostic,) = judged.diagnostics
    assert diagnostic.policyName == "namespace-restricted"
    assert diagnostic.enforcementLevel == analyzer_pb2.MANDATORY
    assert diagnostic.message.startswith(f"{diagnostic.description}\nhere: ")
    assert list(together.diagnostics) == []
    pack.Configure(configured(analyzer_pb2.ADVISORY))
    (advised,) = pack.Analyze(
        analyzer_pb2.AnalyzeRequest(type=TYPE, name="here", urn="urn", properties=loose())
    ).diagnostics
    assert advised.enforcementLevel == analyzer_pb2.ADVISORY
    pack.Configure(configured(analyzer_pb2.DISABLED))
    silenced = pack.Analyze(analyzer_pb2.AnalyzeRequest(type=TYPE, name="here", urn="urn", properties=loose()))
    assert not silenced.diagnostics
    assert not pack.Remediate(analyzer_pb2.AnalyzeRequest(type=TYPE, properties=loose())).remediations
