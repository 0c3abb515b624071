"""Build the body of one send, within FCM's size.

https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages
"""

from __future__ import annotations

import bisect
import time
from collections.abc import Callable
from typing import Any

import msgspec

from services.notifications.push import Delivery, Payload

# FCM takes 4096 bytes; its own keys of a message need a few of them.
MAX_MESSAGE_BYTES = 4000
# What is kept of a text until it is sent: more could never fit.
MAX_BODY_BYTES = 4000
MAX_TITLE_BYTES = 512
# APNs allows no more for an id that collapses.
MAX_COLLAPSE_BYTES = 64
_ELLIPSIS = "…"


def trim(title: str, body: str, data: dict[str, str]) -> Payload:
    """Cut texts to what could fit, so that nothing longer is stored."""
    return Payload(cut(title, MAX_TITLE_BYTES), cut(body, MAX_BODY_BYTES), data)


def build_message(delivery: Delivery) -> bytes:
    """Return the JSON of one send, its text cut where it would be too long."""
    title, body = delivery.payload.title, delivery.payload.body
    if _size(delivery, title, body) > MAX_MESSAGE_BYTES:
        if _size(delivery, title, "") > MAX_MESSAGE_BYTES:
            title = _fit(title, lambda text: _size(delivery, text, ""))
        body = _fit(body, lambda text: _size(delivery, title, text))
    return msgspec.json.encode({"message": _message(delivery, title, body)})


def _size(delivery: Delivery, title: str, body: str) -> int:
    """Return how many bytes FCM would count."""
    return len(msgspec.json.encode({**_message(delivery, title, body), "token": ""}))


def _fit(text: str, size: Callable[[str], int]) -> str:
    """Cut a text to the most with which a message fits; JSON writes some characters in six bytes, so it is tried."""
    lengths = range(len(text.encode(errors="replace")))
    fitting = bisect.bisect_right(lengths, MAX_MESSAGE_BYTES, key=lambda most: size(cut(text, most)))
    return cut(text, max(0, fitting - 1))


def cut(text: str, most: int) -> str:
    """Cut a text to a number of UTF-8 bytes, between characters, and show that it was cut."""
    encoded = text.encode(errors="replace")
    if len(encoded) <= most:
        return encoded.decode()
    kept = encoded[: max(0, most - len(_ELLIPSIS.encode()))].decode(errors="ignore")
    return kept + _ELLIPSIS if kept else ""


def _message(delivery: Delivery, title: str, body: str) -> dict[str, Any]:
    seconds = max(0, int(delivery.seconds_left))
    shown: dict[str, Any] = {}
    android: dict[str, Any] = {"priority": "HIGH", "ttl": f"{seconds}s"}
    headers = {"apns-priority": "10", "apns-expiration": str(int(time.time()) + seconds)}
    aps: dict[str, Any] = {}
    if delivery.collapse_key:
        # Off line, the device gets the last of them; on line, the last one takes the place of the one before.
        android["collapse_key"] = shown["tag"] = delivery.collapse_key
        headers["apns-collapse-id"] = aps["thread-id"] = delivery.collapse_key
    if delivery.badge is not None:
        aps["badge"] = delivery.badge
        if delivery.badge > 0:
            shown["notification_count"] = delivery.badge
    if shown:
        android["notification"] = shown
    return {
        "token": delivery.token,
        "notification": {"title": title, "body": body},
        "data": delivery.payload.data,
        "android": android,
        "apns": {"headers": headers, "payload": {"aps": aps}},
    }
