"""Who watches: what may be said of it, and what is wrong told all at once."""

from __future__ import annotations

from typing import Any

import pytest

from infra.config import ConfigError, validate_stack
from infra.observability.config import ObservabilityConfig
from tests.infra.configs import PROD


def read(**values: Any) -> ObservabilityConfig:
    return validate_stack({**PROD, "stampchat:observability": values}).observability


def test_it_is_off_by_default() -> None:
    assert read() == ObservabilityConfig(kind="off", namespace="monitoring", labels={}, runbooks="docs/alerts")


def test_what_is_asked_for_is_read() -> None:
    found = read(
        kind="prometheus-operator",
        namespace="watching",
        labels={"release": "stack", "monitoring.stampchat.app/team": "chat"},
        runbooks="https://git.stampchat.app/docs/alerts/",
    )

    assert found.kind == "prometheus-operator"
    assert found.labels == {"release": "stack", "monitoring.stampchat.app/team": "chat"}
    assert found.runbooks == "https://git.stampchat.app/docs/alerts"


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"kind": "datadog"}, "observability.kind is 'datadog', not one of off, prometheus-operator"),
        ({"namespace": "Monitoring"}, "observability.namespace is 'Monitoring', not the name of a namespace"),
        ({"labels": ["release"]}, "observability.labels is not a mapping of words to words"),
        ({"labels": {"release": 1}}, "observability.labels is not a mapping of words to words"),
        ({"labels": {"re lease": "a"}}, "observability.labels holds re lease: 'a', which is no label"),
        ({"labels": {"release": "a b"}}, "observability.labels holds release: 'a b', which is no label"),
        ({"namspace": "a"}, "observability.namspace is not a key that this program knows; did you mean namespace?"),
    ],
)
def test_what_is_wrong_is_told(values: Any, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(**values)

    assert [problem for problem in caught.value.problems if told in problem]
    assert len(caught.value.problems) == 1


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        read(kind="datadog", namespace="A", labels={"a b": "c"})

    assert len(caught.value.problems) == 3
