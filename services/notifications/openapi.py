"""Describe the public port of the notifications service."""

from __future__ import annotations

import msgspec

from services.notifications.routes import RegisterRequest, UnregisterRequest
from services.openapi import Operation, build_openapi


class Status(msgspec.Struct):
    """Be the answer of GET /test."""

    status: str


class DeviceAnswer(msgspec.Struct):
    """Be the answer of POST /register."""

    id: int
    inserted_at: str | None
    identity: str
    fcm_token: str


OPERATIONS = (
    Operation("get", "/test", "Say that the service answers.", Status),
    Operation(
        "post",
        "/register",
        "Make a device the caller's.",
        DeviceAnswer,
        body=RegisterRequest,
        bearer=True,
        errors=(400, 413, 422),
    ),
    Operation(
        "post",
        "/unregister",
        "Forget one device of the caller, or all of them.",
        bool,
        body=UnregisterRequest,
        body_required=False,
        bearer=True,
        errors=(400, 413, 422),
    ),
)
DESCRIPTION = build_openapi("StampChat notifications", OPERATIONS)
