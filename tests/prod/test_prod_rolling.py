"""Replace every service's pods while people use them; whether anything of theirs is lost is for them to say."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.prod.ground import Ground
from tests.prod.load import under_load

pytestmark = pytest.mark.cluster

REQUESTS = 2000
CHANGED, OLD, NEW = "services/auth/routes.py", '"auth ok"', '"auth is ok"'


def test_a_changed_service_is_rolled_out_without_a_lost_request_or_message(ground: Ground) -> None:
    """New images: each service's three pods are replaced one by one, sockets are told to come back and do."""

    def change() -> Any:
        ground.checkout.change(CHANGED, OLD, NEW)
        ground.load_images()
        return ground.checkout.json("up", "--stack", "prod", "--yes")

    changed, tally = asyncio.run(under_load(ground.site, ground.google.id_token, change, requests=REQUESTS))

    assert changed["changes"]["update"] == 3
    assert tally.lost == []
    assert tally.faults == []
    assert tally.requests >= REQUESTS
    assert tally.messages > 100
    assert tally.reconnects > 0, "no socket was on a pod that was replaced"
