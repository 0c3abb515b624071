"""Differences as lines."""

from __future__ import annotations

import pytest

from deployer.difference import MOST_CHARACTERS, difference

OLD = {"metadata": {"labels": {"a.b": "1"}}, "spec": {"containers": [{"image": "x:1"}], "replicas": 3}}
NEW = {"metadata": {"labels": {"a.b": "2"}}, "spec": {"containers": [{"image": "x:2"}], "paused": True}}


@pytest.mark.parametrize(
    ("path", "kind", "expected"),
    [
        ("spec.containers[0].image", "update", ["- spec.containers[0].image: x:1", "+ spec.containers[0].image: x:2"]),
        ('metadata.labels["a.b"]', "update", ['- metadata.labels["a.b"]: 1', '+ metadata.labels["a.b"]: 2']),
        ("spec.replicas", "delete", ["- spec.replicas: 3"]),
        ("spec.paused", "add", ["+ spec.paused: true"]),
        ("spec.paused", "add-replace", ["+ spec.paused: true (replaces)"]),
        ("status.phase", "update", ["  status.phase"]),
        ("spec.containers[7].image", "update", ["  spec.containers[7].image"]),
    ],
)
def test_a_path_shows_what_was_and_what_will_be(path: str, kind: str, expected: list[str]) -> None:
    """As far as both know it."""
    assert difference("update", OLD, NEW, {path: {"kind": kind}}) == expected


def test_what_is_made_or_deleted_is_shown_whole() -> None:
    """Without the engine's own keys, and without a program's worth of text."""
    made = difference("create", {}, {"__defaults": [], "data": {"main.py": "x" * 1000}}, {})

    assert made == ["+ data:", f"+   main.py: {'x' * MOST_CHARACTERS}… (1000 characters)"]
    assert difference("delete", {"data": {"k": "v"}}, {}, {}) == ["- data:", "-   k: v"]
    assert difference("delete", {}, {}, {}) == []


def test_a_masked_secret_that_differs_is_named_once() -> None:
    """Both sides read [secret]."""
    masked = {"data": {"k": "[secret]"}}

    assert difference("update", masked, masked, {"data.k": {"kind": "update"}}) == ["  data.k: [secret]"]
