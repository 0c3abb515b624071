from __future__ import annotations

from pathlib import Path

import pytest

from tests.deployer.plugins.engine_project import EngineProject, make_project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> EngineProject:
    """An empty project, run by the real engine with our plugins."""
    return make_project(tmp_path, monkeypatch)
