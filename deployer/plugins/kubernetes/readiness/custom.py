"""Judge any object by pulumi.com/waitFor: `jsonpath={…}[=value]`, `condition=Type[=Status]`, or a list of them."""

from __future__ import annotations

import json
from collections.abc import Callable

from deployer.plugins.kubernetes.api import Manifest
from deployer.plugins.kubernetes.errors import KubernetesError
from deployer.plugins.kubernetes.readiness.jsonpath import select
from deployer.plugins.kubernetes.readiness.subject import Subject, condition, observed
from deployer.plugins.kubernetes.readiness.verdict import READY, Verdict

_Test = Callable[[Manifest], str]  # returns what is still missing, empty when nothing is


def make_judge(annotation: str) -> Callable[[Manifest, Subject], Verdict]:
    """Return a judge for what the annotation asks.

    Raises:
        KubernetesError: the annotation is not understood.
    """
    tests = [_make_test(expression) for expression in _expressions(annotation)]

    def judge(live: Manifest, _: Subject) -> Verdict:
        missing = next(filter(None, (test(live) for test in tests)), "")
        return Verdict(ready=False, status=f"waiting for {missing}") if missing else READY

    return judge


def _expressions(annotation: str) -> list[str]:
    try:
        values = json.loads(annotation)
    except ValueError:
        values = [annotation]
    if not isinstance(values, list) or not values:
        raise KubernetesError(f"The annotation pulumi.com/waitFor names no condition: {annotation!r}.")
    return [str(value) for value in values]


def _make_test(expression: str) -> _Test:
    if expression.startswith("condition="):
        kind, _, status = expression.removeprefix("condition=").partition("=")
        return _condition_test(kind, status or "True")
    if expression.startswith("jsonpath="):
        return _path_test(expression.removeprefix("jsonpath="))
    raise KubernetesError(
        f'The annotation pulumi.com/waitFor must begin with "jsonpath=" or "condition=", not {expression!r}.'
    )


def _condition_test(kind: str, status: str) -> _Test:
    def test(live: Manifest) -> str:
        found = condition(live, kind)
        if str(found.get("status")).lower() == status.lower() and _current(live, found.get("observedGeneration")):
            return ""
        why = found.get("message") or found.get("reason")
        return f"condition {kind}={status}" + (f" ({why})" if why else "")

    return test


def _path_test(text: str) -> _Test:
    path, bracket, value = text.partition("}")
    if not path.startswith("{") or not bracket or (value and not value.startswith("=")):
        raise KubernetesError(f"The annotation pulumi.com/waitFor should be jsonpath={{.path}}[=value], not {text!r}.")
    wanted = value.removeprefix("=")

    def test(live: Manifest) -> str:
        found = (
            select(live, path[1:]) if observed(live) or "observedGeneration" not in (live.get("status") or {}) else []
        )
        if found and (not wanted or _spoken(found[0]) == wanted):
            return ""
        return text + (f" (it is {_spoken(found[0])!r})" if found else "")

    return test


def _spoken(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _current(live: Manifest, seen: object) -> bool:
    generation = (live.get("metadata") or {}).get("generation")
    return not isinstance(seen, int) or not isinstance(generation, int) or seen >= generation
