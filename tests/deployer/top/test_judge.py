"""What is wrong with a pod is said in plain words, and what fails and is slow stands first."""

from __future__ import annotations

import datetime as dt

import pytest

from deployer.kube import Pod
from deployer.top.errors import ProbeError
from deployer.top.figures import Figures
from deployer.top.judge import judge
from deployer.top.picture import Condition, Row, in_order
from deployer.top.watch import judge_certificate, parse_readiness

FINE = {"database": "ok", "migrations": "ok", "notifications": "ok"}


def pod(*, ready: bool = True, state: str = "Running", restarts: int = 0) -> Pod:
    return Pod("stampchat", "chat-1", "stamp-chat-channels", ready, state, restarts, "", "", "", internal_port=4010)


@pytest.mark.parametrize(
    ("seen", "problem", "checks", "figures", "expected"),
    [
        (pod(), "", FINE, {"sockets": 3.0, "sockets_most": 100.0}, ("ok", "")),
        (pod(ready=False), "", FINE | {"database": "failing: no answer in time"}, {}, ("failing", "no answer in time")),
        (pod(ready=False, state="CrashLoopBackOff"), "", {}, {}, ("failing", "CrashLoopBackOff")),
        (pod(ready=False, state="ContainerCreating"), "", {}, {}, ("warning", "it is starting")),
        (pod(ready=False, state="Terminating"), "its metrics cannot be reached", {}, {}, ("ok", "it is leaving")),
        # It serves; only nobody knows how well.
        (pod(), "its metrics did not come within 3 s", {}, {}, ("warning", "did not come within 3 s")),
        (pod(ready=False), "its metrics did not come within 3 s", {}, {}, ("failing", "did not come within 3 s")),
        (pod(), "", FINE | {"notifications": "failing: refused"}, {}, ("warning", "it misses notifications: refused")),
        (pod(), "", FINE, {"bus_up": 0.0}, ("warning", "its bus is down")),
        (pod(), "", FINE, {"failures_per_second": 0.5}, ("warning", "answers 0.5 requests a second")),
        (pod(), "", FINE, {"outbox_late_seconds": 61.0}, ("warning", "handed over for 61 s")),
        (pod(), "", FINE, {"outbox_late_seconds": 59.0}, ("ok", "")),
        (pod(), "", FINE, {"loop_lag_p99_seconds": 0.5}, ("warning", "short of processor")),
        (pod(), "", FINE, {"database_used": 10.0, "database_most": 10.0}, ("warning", "all 10 connections")),
        (pod(), "", FINE, {"sockets": 91.0, "sockets_most": 100.0}, ("warning", "91 of 100 sockets")),
    ],
)
def test_a_pod_is_judged_by_what_it_and_the_cluster_say(
    seen: Pod, problem: str, checks: dict[str, str], figures: Figures, expected: tuple[Condition, str]
) -> None:
    condition, words = judge(seen, problem, checks, figures)

    assert condition == expected[0]
    assert expected[1] in "; ".join(words)
    assert bool(words) == bool(expected[1])


def row(name: str, condition: Condition, **figures: float) -> Row:
    return Row(name, "stampchat", "chat", "Running", True, 0, condition, (), {}, dict(figures))  # ready


def test_the_failing_come_first_and_then_the_slowest() -> None:
    rows = [
        row("quick", "ok", request_p99_seconds=0.1),
        row("slow", "ok", message_p99_seconds=0.2),
        row("warned", "warning"),
        row("failing", "failing"),
        row("unknown", "ok"),
    ]

    assert [each.pod for each in in_order(rows)] == ["failing", "warned", "slow", "quick", "unknown"]


@pytest.mark.parametrize("text", ["", "ok", "[]", '{"status": "ready"}', '{"checks": ["database"]}', "<html>"])
def test_a_readiness_that_is_something_else_is_told(text: str) -> None:
    with pytest.raises(ProbeError, match="/readyz answers with something else"):
        parse_readiness(text)


def test_a_certificate_has_so_many_days() -> None:
    now = dt.datetime(2026, 11, 28, 12, tzinfo=dt.UTC)

    assert judge_certificate("2026-12-08T12:00:00Z", "", now).days == 10
    assert judge_certificate("2026-11-27T12:00:00Z", "", now).days == -1
    assert judge_certificate("", "There is no Certificate of ours yet.", now).days is None
