"""Answer the engine in Pulumi's protocol for policy packs.

Pulumi's own package for it reads every resource once for each policy, where here it is read once for all of them; and
it needs the whole SDK, where this needs the protocol alone.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc, plugin_pb2

from policy.pack import EXCEPTIONS, EXCEPTIONS_DESCRIPTION, RULES, Pack, Shown, Violation
from policy.relations import STACK_RULES
from policy.values import read

_NAME, _VERSION = "stampchat", "0.0.1"
# A Secret or a ConfigMap has up to a megabyte, and a stack's rules get all of them in one message.
_UNBOUNDED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
_PARENT_CHECK = 1.0


class Analyzer(analyzer_pb2_grpc.AnalyzerServicer):
    """Have the pack judge what the engine shows; what is not answered here the engine does without."""

    def __init__(self) -> None:
        self._pack = Pack()
        self._levels: dict[str, Any] = {}

    def GetAnalyzerInfo(self, request: Any, context: Any) -> Any:  # noqa: ARG002, D102, N802
        mandatory, advisory = analyzer_pb2.MANDATORY, analyzer_pb2.ADVISORY
        resource, stack = analyzer_pb2.POLICY_TYPE_RESOURCE, analyzer_pb2.POLICY_TYPE_STACK
        inform: Callable[..., Any] = analyzer_pb2.PolicyInfo
        policies = [
            *(_info(inform, rule.name, rule.description, mandatory, resource) for rule in RULES),
            *(_info(inform, rule.name, rule.description, mandatory, stack) for rule in STACK_RULES),
            _info(inform, EXCEPTIONS, EXCEPTIONS_DESCRIPTION, advisory, stack),
        ]
        return analyzer_pb2.AnalyzerInfo(name=_NAME, version=_VERSION, supportsConfig=True, policies=policies)

    def Configure(self, request: Any, context: Any) -> Any:  # noqa: ARG002, D102, N802
        self._levels = {name: config.enforcementLevel for name, config in request.policyConfig.items()}
        return Empty()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: ARG002, D102, N802
        return plugin_pb2.PluginInfo(version=_VERSION)

    def Analyze(self, request: Any, context: Any) -> Any:  # noqa: ARG002, D102, N802
        return self._response(self._pack.judge(_shown(request)))

    def AnalyzeStack(self, request: Any, context: Any) -> Any:  # noqa: ARG002, D102, N802
        return self._response(self._pack.judge_all([_shown(resource) for resource in request.resources]))

    def Remediate(self, request: Any, context: Any) -> Any:  # noqa: ARG002, D102, N802
        return analyzer_pb2.RemediateResponse()  # no rule of ours changes anything

    def _response(self, violations: Iterable[Violation]) -> Any:
        found = ((violation, self._level(violation)) for violation in violations)
        told = [_diagnostic(violation, level) for violation, level in found if level != analyzer_pb2.DISABLED]
        return analyzer_pb2.AnalyzeResponse(diagnostics=told)

    def _level(self, violation: Violation) -> Any:
        """Return how far a violation goes: as far as its rule, unless whoever runs the engine says otherwise."""
        own = analyzer_pb2.ADVISORY if violation.advisory else analyzer_pb2.MANDATORY
        configured = self._levels.get(violation.rule, own)
        return configured if configured == analyzer_pb2.DISABLED or not violation.advisory else own


def serve() -> None:
    """Print the port and answer until whoever started this is gone."""
    parent = os.getppid()
    # That is how the engine ends it; a traceback would show among the diagnostics.
    signal.signal(signal.SIGINT, lambda *_: os._exit(0))
    server = grpc.server(ThreadPoolExecutor(max_workers=4), options=_UNBOUNDED)
    analyzer_pb2_grpc.add_AnalyzerServicer_to_server(Analyzer(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    while os.getppid() == parent:
        time.sleep(_PARENT_CHECK)


def _info(inform: Callable[..., Any], name: str, description: str, level: int, kind: int) -> Any:
    return inform(name=name, description=description, enforcementLevel=level, policy_type=kind)


def _shown(resource: Any) -> Shown:
    return Shown(resource.urn, resource.type, resource.name, partial(read, resource.properties))


def _diagnostic(violation: Violation, level: Any) -> Any:
    return analyzer_pb2.AnalyzeDiagnostic(
        policyName=violation.rule,
        policyPackName=_NAME,
        policyPackVersion=_VERSION,
        description=violation.description,
        # The engine shows this alone.
        message=f"{violation.description}\n{violation.text}",
        enforcementLevel=level,
    )
