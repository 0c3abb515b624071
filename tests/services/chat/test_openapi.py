"""Hold the description of the public port to what is served."""

from __future__ import annotations

import re

from aiohttp import web

from services.chat import features, routes
from services.chat.openapi import DESCRIPTION


def test_the_description_has_each_call_that_is_served_and_no_other() -> None:
    """Nobody finds a call by accident, or looks for one that is gone; a websocket is no call."""
    app = web.Application()
    routes.add_public_routes(app)
    features.add_routes(app)
    served = {
        (route.method.lower(), route.resource.canonical)
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    }

    described = {(method, path) for path, methods in DESCRIPTION["paths"].items() for method in methods}
    assert described == served - {("get", "/socket/websocket")}


def test_references_lead_somewhere_and_no_schema_is_left_over() -> None:
    """Every type of a body or an answer is described, under its own name."""
    names = set(re.findall(r"#/components/schemas/(\w+)", str(DESCRIPTION)))

    assert names == set(DESCRIPTION["components"]["schemas"])


def test_every_call_that_changes_something_says_that_it_may_be_too_often() -> None:
    """The features' paces answer 429."""
    for operation in features.OPERATIONS:
        if operation.method != "get":
            assert 429 in operation.errors, operation.path
