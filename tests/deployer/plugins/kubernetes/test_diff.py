from __future__ import annotations

from typing import Any

import pytest

from deployer.plugins.kubernetes.diff import compare
from deployer.plugins.kubernetes.kinds import Kind
from deployer.plugins.kubernetes.paths import format_path, parse_path
from deployer.plugins.kubernetes.replaced import replaced_fields
from deployer.plugins.kubernetes.settings import Settings
from deployer.plugins.values import UNKNOWN

POD = [("spec", "containers", "*", "image"), ("spec", "hostname")]


def found(old: Any, new: Any, old_inputs: Any = None, **options: Any) -> dict[str, str]:
    differences = compare(old, new, old_inputs=old if old_inputs is None else old_inputs, replaced=POD, **options)
    return {item.text: item.change.value + ("!" if item.replaces else "") for item in differences}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1}, {"a": 1}, {}),
        ({"a": 1}, {"a": 1.0}, {}),
        ({"a": 1}, {"a": True}, {"a": "UPDATE"}),
        ({"a": 1}, {"a": "1"}, {"a": "UPDATE"}),
        ({"a": {"b": 1}}, {"a": {}}, {"a.b": "DELETE"}),
        ({"a": {}}, {"a": {"b.c/d": 1}}, {'a["b.c/d"]': "ADD"}),
        ({"a": [1, 2]}, {"a": [1]}, {"a[1]": "DELETE"}),
        ({"a": [1]}, {"a": [2, 3]}, {"a[0]": "UPDATE", "a[1]": "ADD"}),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, {"a[0].b": "UPDATE"}),
        ({"a": [1]}, {"a": {"b": 1}}, {"a": "UPDATE"}),
        ({"a": 1}, {"a": UNKNOWN}, {"a": "UPDATE"}),
        ({}, {"a": UNKNOWN}, {"a": "ADD"}),
        ({"spec": {"containers": [{"image": "x"}]}}, {"spec": {"containers": [{"image": "y"}]}},
         {"spec.containers[0].image": "UPDATE!"}),
        # Whoever adds or removes a whole adds or removes what is in it.
        ({}, {"spec": {"hostname": "h"}}, {"spec": "ADD!"}),
        ({}, {"spec": {"containers": [{"name": "c"}]}}, {"spec": "ADD"}),
        ({"spec": {"hostname": "h"}}, {"spec": {}}, {"spec.hostname": "DELETE!"}),
    ],
)  # fmt: skip
def test_differences(old: Any, new: Any, expected: dict[str, str]) -> None:
    assert found(old, new) == expected


def test_what_the_server_spelled_differently_is_no_change() -> None:
    inputs = {"cpu": "0.5", "dropped": {"x": 1}, "changed": 1}
    assert found({"cpu": "500m", "changed": 1}, {**inputs, "changed": 2}, inputs) == {"changed": "UPDATE"}


@pytest.mark.parametrize("ignored", ["a", "a.b", "a[*].b"])
def test_ignored(ignored: str) -> None:
    old, new = ({"a": [{"b": n}]} if "*" in ignored else {"a": {"b": n}} for n in (1, 2))
    assert found(old, new, ignored=[ignored]) == {}
    assert found(old, new, ignored=["ab"]) != {}


@pytest.mark.parametrize("path", [("a", "b"), ("a", 0, "c"), ("a", "b.c", "d"), ("a", 'q"q')])
def test_paths_are_read_as_they_are_written(path: tuple[Any, ...]) -> None:
    assert parse_path(format_path(path)) == path


@pytest.mark.parametrize(
    ("kind", "immutable", "settings", "field", "replaces"),
    [
        (Kind("v1", "Secret"), False, Settings(), ("data",), True),
        (Kind("v1", "Secret"), False, Settings(secret_mutable=True), ("data",), False),
        (Kind("v1", "Secret"), True, Settings(secret_mutable=True), ("data",), True),
        (Kind("v1", "Secret"), False, Settings(secret_mutable=True), ("type",), True),
        (Kind("v1", "ConfigMap"), False, Settings(config_map_mutable=True), ("data",), False),
        (Kind("apps/v1", "Deployment"), False, Settings(), ("spec", "selector"), True),
        (Kind("example.com/v1", "Deployment"), False, Settings(), ("spec", "selector"), False),
        (Kind("example.com/v1", "Thing"), False, Settings(), ("metadata", "name"), True),
    ],
)
def test_which_fields_replace(
    kind: Kind,
    immutable: bool,  # noqa: FBT001  # a column of the table
    settings: Settings,
    field: tuple[str, ...],
    replaces: bool,  # noqa: FBT001
) -> None:
    assert (field in replaced_fields(kind, immutable=immutable, settings=settings)) == replaces
