from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.deployer.publisher import Publisher, publisher


@pytest.fixture
def releases(monkeypatch: pytest.MonkeyPatch) -> Iterator[Publisher]:
    """A publisher that is asked directly, whatever proxies this machine has."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    with publisher() as running:
        yield running
