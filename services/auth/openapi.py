"""Describe the public port of the auth service."""

from __future__ import annotations

import msgspec

from services.auth.routes import LoginRequest
from services.openapi import Operation, build_openapi


class Status(msgspec.Struct):
    """Be the answer of GET /test."""

    status: str


class ChatStatus(msgspec.Struct):
    """Be the answer of GET /test-chat."""

    test: str


class LoginAnswer(msgspec.Struct):
    """Be the answer of POST /login."""

    id: int
    name: str | None
    email: str | None
    picture: str | None
    identity: str
    token: str


class RefreshAnswer(msgspec.Struct):
    """Be the answer of POST /refresh."""

    token: str


class AccountDeleted(msgspec.Struct):
    """Be the answer of DELETE /account.

    Attributes:
        deleted: always true: nobody can use the account any more.
        pending: whether a part of it is still being removed.
    """

    deleted: bool
    pending: bool


OPERATIONS = (
    Operation("get", "/test", "Say that the service answers.", Status),
    Operation("get", "/test-chat", "Say what the chat service's own test answers.", ChatStatus, errors=(502,)),
    Operation("post", "/login", "Log somebody in.", LoginAnswer, body=LoginRequest, errors=(400, 413, 422)),
    Operation("post", "/refresh", "Renew the bearer's session.", RefreshAnswer, bearer=True),
    Operation("delete", "/account", "Delete the bearer's account.", AccountDeleted, bearer=True),
)
DESCRIPTION = build_openapi("StampChat auth", OPERATIONS)
