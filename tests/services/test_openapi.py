from __future__ import annotations

import re
from typing import Any

import pytest
from aiohttp import web

from services.auth import openapi as auth
from services.auth import routes as auth_routes
from services.notifications import openapi as notifications
from services.notifications import routes as notifications_routes


def served(app: web.Application) -> set[tuple[str, str]]:
    """Return what an application serves."""
    return {
        (route.method.lower(), re.sub(r"\{(\w+):[^}]*\}", r"{\1}", route.resource.canonical))
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }


@pytest.mark.parametrize(
    ("description", "add_routes"),
    [
        (auth.DESCRIPTION, auth_routes.add_routes),
        (notifications.DESCRIPTION, notifications_routes.add_public_routes),
    ],
)
def test_the_description_has_each_call_that_is_served_and_no_other(
    description: dict[str, Any], add_routes: Any
) -> None:
    """Nobody finds a call by accident, or looks for one that is gone."""
    app = web.Application()
    add_routes(app)

    described = {(method, path) for path, methods in description["paths"].items() for method in methods}
    assert described == served(app)


def test_references_lead_somewhere() -> None:
    """A document with a dangling reference is refused by every tool."""
    for description in (auth.DESCRIPTION, notifications.DESCRIPTION):
        names = set(re.findall(r"#/components/schemas/(\w+)", str(description)))
        assert names == set(description["components"]["schemas"])
        assert "ErrorAnswer" in names
