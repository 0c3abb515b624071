"""Say what is wrong with a pod, from what the cluster and the pod itself say of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from deployer.kube import Pod
from deployer.top.figures import Figures
from deployer.top.picture import Condition

# What it is to be on the way, before the first readiness.
STARTING = frozenset({"ContainerCreating", "PodInitializing", "Pending"})
# Checks of its readiness that ask another service.
NEIGHBOURS = frozenset({"auth", "chat", "notifications"})
# Over these a person should look; docs/operations.md says why, and the alerts have the same.
LATE_SECONDS = 60.0
LAG_SECONDS = 0.1
NEARLY_ALL = 0.9


def judge(pod: Pod, problem: str, checks: Mapping[str, str], figures: Figures) -> tuple[Condition, tuple[str, ...]]:
    """Return a pod's condition, and what is wrong with it in a few words each.

    Args:
        pod: as the cluster sees it.
        problem: why it could not be asked, or nothing.
        checks: what its readiness says, by the check's name.
        figures: by name.
    """
    if pod.state == "Terminating":
        return "ok", ("it is leaving",)
    failing = list(_failing(pod, problem, checks))
    warnings = list(_warnings(pod, checks, figures))
    if problem and not failing:
        # It serves; only nobody knows how well.
        warnings.insert(0, problem)
    words = (*failing, *warnings)
    if failing:
        return ("warning" if pod.state in STARTING else "failing"), words
    return ("warning" if warnings else "ok"), words


def _failing(pod: Pod, problem: str, checks: Mapping[str, str]) -> Iterator[str]:
    if pod.state in STARTING:
        yield "it is starting"
        return
    if pod.state != "Running":
        yield f"it is {pod.state}"
    elif not pod.ready:
        yield "it is not ready"
        if problem:
            yield problem
    for name in ("database", "migrations"):
        if checks.get(name, "ok") != "ok":
            yield f"its {name}: {_plain(checks[name])}"
            # What is in a database that does not answer is not known either.
            return


def _warnings(pod: Pod, checks: Mapping[str, str], figures: Figures) -> Iterator[str]:
    if figures.get("bus_up") == 0 or checks.get("bus", "ok") != "ok":
        yield "it does not hear the other replicas: its bus is down"
    for name, word in checks.items():
        if word != "ok" and name in NEIGHBOURS:
            yield f"it misses {name}: {_plain(word)}"
    if figures.get("failures_per_second"):
        yield f"it answers {figures['failures_per_second']:.1f} requests a second with a fault of its own"
    for name, least, what in (
        ("outbox_late_seconds", LATE_SECONDS, "pushes wait to be handed over for {:.0f} s"),
        ("push_oldest_seconds", LATE_SECONDS, "the oldest push waits for {:.0f} s"),
        ("loop_lag_p99_seconds", LAG_SECONDS, "it is short of processor: its loop is {:.2f} s late"),
    ):
        if (figures.get(name) or 0.0) > least:
            yield what.format(figures[name])
    used, most = figures.get("database_used"), figures.get("database_most")
    if used and most and used >= most:
        yield f"all {most:.0f} connections to its database are in use"
    sockets, limit = figures.get("sockets"), figures.get("sockets_most")
    if sockets and limit and sockets >= NEARLY_ALL * limit:
        yield f"{sockets:.0f} of {limit:.0f} sockets are open"
    if pod.restarts and not figures:
        # Of a service the metrics say more.
        yield f"it was started again {pod.restarts} times" if pod.restarts > 1 else "it was started again once"


def _plain(word: str) -> str:
    """Take what the readiness puts before a reason, and what closes it, away."""
    return word.removeprefix("failing: ").rstrip(".")
