from __future__ import annotations

import pytest

from deployer.env import shorten_path


def test_the_shell_s_own_path_is_named_and_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")

    assert shorten_path({"PATH": "/engine:/plugins:/usr/bin:/bin", "A": "b"}) == {
        "PATH": "/engine:/plugins:$PATH",
        "A": "b",
    }
