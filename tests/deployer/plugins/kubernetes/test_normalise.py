from __future__ import annotations

from typing import Any

import pytest

from deployer.plugins.kubernetes.kinds import Kind
from deployer.plugins.kubernetes.normalise import dashed, normalise, underscored
from deployer.plugins.kubernetes.prune import follow, prune
from deployer.plugins.kubernetes.quantity import canonical
from deployer.plugins.values import UNKNOWN

SECRET, POD, OWN = Kind("v1", "Secret"), Kind("v1", "Pod"), Kind("example.com/v1", "Pod")


# Golden: what `resource.Quantity` of k8s.io/apimachinery answers.
@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("0.5", "500m"), ("1", "1"), (1, "1"), (0.1, "100m"), ("1000m", "1"), ("1500m", "1500m"), ("1000", "1k"),
        ("128M", "128M"), ("1024Mi", "1Gi"), ("1.5Gi", "1536Mi"), ("0", "0"), ("0.5Ki", "512"), ("100Mi", "100Mi"),
        ("1e3", "1e3"), (True, True), ("x", "x"), (UNKNOWN, UNKNOWN), ("", ""), (None, None), (".5", "500m"),
    ],
)  # fmt: skip
def test_quantities(given: Any, expected: Any) -> None:
    assert canonical(given) == expected


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        (POD, {"spec": {"a": None, "b": [{"c": None}]}}, {"spec": {"b": [{}]}}),
        (POD, {"metadata": {"name": "n", "uid": "u", "resourceVersion": "1"}}, {"metadata": {"name": "n"}}),
        (POD, {"resources": {"limits": {"cpu": 2, "memory": "1024Mi"}}},
         {"resources": {"limits": {"cpu": "2", "memory": "1Gi"}}}),
        (POD, {"emptyDir": {}, "labels": {}, "args": [], "tty": False, "optional": False},
         {"emptyDir": {}, "optional": False}),
        (OWN, {"labels": {}, "args": []}, {"labels": {}, "args": []}),
        (OWN, {"limits": {"cpu": "0.5"}}, {"limits": {"cpu": "0.5"}}),
        (SECRET, {"stringData": {"a": "1"}, "data": {"b": "Mg==\n"}}, {"data": {"a": "MQ==", "b": "Mg=="}}),
        (SECRET, {"stringData": {"a": UNKNOWN}}, {"stringData": {"a": UNKNOWN}}),
        (SECRET, {"stringData": UNKNOWN}, {"stringData": UNKNOWN}),
        (SECRET, {"data": {"a": "no base64!"}}, {"data": {"a": "no base64!"}}),
        (Kind("v1", "ConfigMap"), {"data": {"limits": "0.5"}}, {"data": {"limits": "0.5"}}),
        (POD, {"metadata": UNKNOWN}, {"metadata": UNKNOWN}),
    ],
)  # fmt: skip
def test_inputs_are_spelled_as_the_server_does(kind: Kind, given: Any, expected: Any) -> None:
    assert normalise(given, kind) == expected


def test_schema_keys_have_dashes_in_the_cluster_alone() -> None:
    state = {"schema": [{"x_kubernetes_preserve_unknown_fields": True, "x_other": 1}]}
    assert dashed(state) == {"schema": [{"x-kubernetes-preserve-unknown-fields": True, "x_other": 1}]}
    assert underscored(dashed(state)) == state


def test_prune_keeps_what_the_shape_has() -> None:
    live = {"a": 1, "b": {"c": 2, "d": 3}, "e": [{"f": 1, "g": 2}, {"f": 3}]}
    assert prune(live, {"b": {"c": 0}, "e": [{"f": 0}], "z": 1}) == {"b": {"c": 2}, "e": [{"f": 1}]}


@pytest.mark.parametrize(
    ("shape", "before", "live", "expected"),
    [
        ({"cpu": "0.5"}, {"cpu": "500m"}, {"cpu": "500m"}, {"cpu": "0.5"}),
        ({"cpu": "0.5"}, {"cpu": "500m"}, {"cpu": "1"}, {"cpu": "1"}),
        ({"gone": 1, "kept": 2}, {"gone": 1, "kept": 2}, {"kept": 2}, {"kept": 2}),
        ({"dropped": {}}, {}, {}, {"dropped": {}}),
        ({"list": [1]}, {"list": [1]}, {"list": [1, 2]}, {"list": [1]}),
    ],
)
def test_a_refresh_takes_what_drifted_and_nothing_else(shape: Any, before: Any, live: Any, expected: Any) -> None:
    assert follow(shape, before, live) == expected
