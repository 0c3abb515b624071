"""Record each program once, for every test that reads it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from stacks.program import deploy
from tests.infra.configs import DEV, IMAGES, OPTIONS, PROD, PROD_GATEWAY_API
from tests.infra.recording import Recording, record

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stand in for a checkout whose images are built."""
    root = tmp_path_factory.mktemp("checkout")
    (root / ".stampchat").mkdir()
    (root / ".stampchat" / "images.json").write_text(json.dumps(IMAGES), encoding="utf-8")
    shutil.copy(ROOT / "versions.toml", root)
    return root


@pytest.fixture(scope="session")
def dev(checkout: Path) -> Recording:
    """Record stack dev."""
    return record(lambda: deploy(checkout), DEV, stack="dev")


@pytest.fixture(scope="session")
def prod(checkout: Path) -> Recording:
    """Record stack prod with Ambassador."""
    return record(lambda: deploy(checkout), PROD, stack="prod")


@pytest.fixture(scope="session")
def prod_gateway_api(checkout: Path) -> Recording:
    """Record stack prod with Gateway API."""
    return record(lambda: deploy(checkout), PROD_GATEWAY_API, stack="prod")


@pytest.fixture(scope="session")
def full(checkout: Path) -> Recording:
    """Record prod with Ambassador and everything that is off by default."""
    return record(lambda: deploy(checkout), {**PROD, **OPTIONS}, stack="prod")


@pytest.fixture(scope="session")
def full_gateway_api(checkout: Path) -> Recording:
    """Record prod with Gateway API and everything that is off by default."""
    return record(lambda: deploy(checkout), {**PROD_GATEWAY_API, **OPTIONS}, stack="prod")


@pytest.fixture(params=["dev", "prod", "prod_gateway_api", "full"])
def recording(request: pytest.FixtureRequest) -> Recording:
    """Give each program in turn."""
    recorded: Recording = request.getfixturevalue(request.param)
    return recorded
