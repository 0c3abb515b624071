"""Give the tests of stack prod one deployment of it, on ground that is made once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import skip_without_cluster
from tests.prod.ground import Ground, open_ground


@pytest.fixture(scope="session")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """Bring stack prod up by its own commands, the first of which is killed half-way."""
    skip_without_cluster()
    with open_ground(tmp_path_factory.mktemp("prod")) as made:
        made.init_secrets()
        made.load_images()
        made.issuing.await_ready()
        made.kill_an_up()
        made.first = made.up()
        yield made
