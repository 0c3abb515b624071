from __future__ import annotations

from typing import Any

import pytest

from infra import catalogue
from infra.applications import settings as deployed
from infra.config import validate_stack
from services.auth import settings as auth
from services.auth.__main__ import SERVICE as AUTH
from services.chat import settings as chat
from services.chat.__main__ import SERVICE as CHAT
from services.notifications import settings as notifications
from services.notifications.__main__ import SERVICE as NOTIFICATIONS
from services.serve import Service
from services.settings import Source
from tests.infra.configs import DEV, PAST_POOLER, PROD, WITH_NATS

ELSEWHERE = ("/run/stampchat/", catalogue.PAGE_FOLDER)
SERVICES = [(catalogue.AUTH, AUTH), (catalogue.CHAT, CHAT), (catalogue.NOTIFICATIONS, NOTIFICATIONS)]


@pytest.mark.parametrize("config", [DEV, PROD, WITH_NATS, PAST_POOLER], ids=["dev", "prod", "nats", "pooler"])
@pytest.mark.parametrize(("application", "service"), SERVICES, ids=lambda value: getattr(value, "name", None))
def test_each_service_reads_all_that_it_is_told_and_is_told_all_that_it_needs(
    application: catalogue.Application, service: Service[Any], config: dict[str, str]
) -> None:
    """What is left are mounted files and the image's own, which are not on this machine."""
    source = Source(deployed(application, validate_stack(config)))
    service.load_settings(source)

    assert source.unread() == ()
    assert [problem for problem in source.problems if not any(place in problem for place in ELSEWHERE)] == []


def test_the_ports_are_the_same_on_both_sides() -> None:
    """They stand once in infra and once in each service."""
    assert [(application.public_port, application.internal_port) for application, _ in SERVICES] == [
        (module.PUBLIC_PORT, module.INTERNAL_PORT) for module in (auth, chat, notifications)
    ]
