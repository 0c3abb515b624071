from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.deployer.plugins.engine_project import EngineProject, make_project


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineProject]:
    """A project for all tests of a file: a run of the engine takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        yield make_project(tmp_path_factory.mktemp("stack"), patch)
