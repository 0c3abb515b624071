"""Describe the public port of the chat service."""

from __future__ import annotations

from services.chat.features import OPERATIONS as FEATURES
from services.chat.routes import (
    Departure,
    Invitation,
    NewRoom,
    PageAnswer,
    RoomAnswer,
    RoomsAnswer,
    Success,
    TestAnswer,
)
from services.openapi import Operation, build_openapi

_BODY = (400, 413, 422)

OPERATIONS = (
    Operation("get", "/test", "Say that the service answers.", TestAnswer),
    Operation("get", "/channels", "List the caller's channels.", RoomsAnswer, bearer=True),
    Operation("post", "/channels", "Make a channel.", RoomAnswer, body=NewRoom, bearer=True, errors=_BODY),
    Operation(
        "post", "/channels/join", "Join by invitation.", Success, body=Invitation, bearer=True, errors=(*_BODY, 404)
    ),
    Operation(
        "post", "/channels/leave", "Leave a channel.", Success, body=Departure, bearer=True, errors=(*_BODY, 404)
    ),
    Operation(
        "get",
        "/channels/{id}/events",
        "Return a page of a channel's history.",
        PageAnswer,
        bearer=True,
        query=(("last_message_id", "integer"),),
        errors=(404, 422),
    ),
)
DESCRIPTION = build_openapi("StampChat chat", (*OPERATIONS, *FEATURES))
