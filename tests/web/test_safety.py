"""What others write is text and never markup, and the page asks nobody but its own services."""

from __future__ import annotations

import urllib.request
from typing import Any
from urllib.error import HTTPError

import pytest

from tests.web.conftest import MakePerson
from tests.web.person import Person
from tests.web.site import Site

MARKUP = "<img src=x onerror=alert(1)><script>alert(2)</script>&lt;b&gt;"
BIDI = "abc \u202e\u2066 txet \u200f\u2067 neppilf"
HOSTILE = [
    MARKUP,
    BIDI,
    "שלום עולם 123",
    "Z\u0351\u036b\u0343a\u0329l\u0353g\u0300o" * 20,
    "🏳️‍🌈👩‍👩‍👧‍👦",
    "a" * 10_000,
    "{{constructor.constructor('alert(1)')()}}",
    "\u0000".replace("\u0000", "\ufffd") + "\u2028\u2029",
]
SMALL = 60_000


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_message_is_text(two: tuple[Person, Person], text: str) -> None:
    """The very same characters, in a box of their own, and no element comes of it."""
    ada, grace = two
    alerts: list[Any] = []
    for each in two:
        each.page.on("dialog", lambda dialog: alerts.append(dialog.message))
    ada.write(text)
    ada.say("after it")
    grace.sees("after it")
    shown = "[...document.querySelectorAll('.row .text')].at(-2).textContent"

    assert ada.page.evaluate(shown) == grace.page.evaluate(shown) == text.strip()
    assert grace.page.evaluate("document.querySelectorAll('img, script:not([type=module]), b').length") == 0
    assert alerts == []
    box = grace.page.locator(".row .text").nth(-2)
    grace.looks(box, "unicodeBidi", "plaintext")
    assert grace.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("name", [MARKUP, "\u202eadA", "عائشة", "W" * 100])
def test_a_hostile_name_is_text(two: tuple[Person, Person], person: MakePerson, name: str) -> None:
    """Of a person, a room, a stamp; what stands beside it keeps its place."""
    ada, _ = two
    other = person(name).log_in(ada.invitation())
    other.see_room("Road trip")
    other.page.get_by_label("Your own word").fill(name[:60])
    other.page.keyboard.press("Enter")
    other.page.keyboard.press("Escape")
    ada.say("stamp here")
    other.sees("stamp here")
    other.throw(name[:60], "stamp here", hold=0)
    ada.await_stamps("stamp here", 1)
    other.say("it is me")
    ada.sees("it is me")

    assert ada.row("it is me").locator("bdi").first.text_content() == name
    assert ada.stamps("stamp here")[0]["word"] == name[:60]
    assert ada.page.evaluate("document.querySelectorAll('img').length") == 0
    other.make_room(name)
    assert other.page.locator("#room-heading").text_content() == name
    assert other.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_first_load_is_small_and_asks_nobody_else(browser: Any, site: Site) -> None:
    """As the network counts it, headers included."""
    context = browser.new_context()
    page = context.new_page()
    network = context.new_cdp_session(page)
    network.send("Network.enable")
    asked: list[str] = []
    sizes: list[float] = []
    network.on("Network.requestWillBeSent", lambda event: asked.append(event["request"]["url"]))
    network.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    page.goto(f"{site.url}/", wait_until="networkidle")
    page.get_by_label("Your name").wait_for()

    assert {url.partition("/web/")[0].rstrip("/") for url in asked} == {site.url}
    assert 4 <= len(sizes) == len(asked) <= 6
    assert sum(sizes) < SMALL, sum(sizes)
    # All of it again costs next to nothing.
    sizes.clear()
    page.reload(wait_until="networkidle")
    assert sum(sizes) < 2000
    context.close()


def test_headers(site: Site) -> None:
    """A policy without exceptions; names with a digest are kept for ever, the index is asked about each time."""
    _, index, document = get(site, "/")
    policy = index["Content-Security-Policy"]
    main = next(part for part in document.split('"') if part.startswith("/web/main."))
    _, script, _ = get(site, main)

    assert "unsafe" not in policy
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'")
    assert index["Cache-Control"] == "no-cache"
    assert script["Cache-Control"] == "public, max-age=31536000, immutable"
    assert script["Content-Security-Policy"] == policy
    for path, headers in (("/", index), (main, script)):
        status, again, body = get(site, path, headers["ETag"])
        assert (status, again["ETag"], body) == (304, headers["ETag"], "")


def get(site: Site, path: str, etag: str = "") -> tuple[int, Any, str]:
    request = urllib.request.Request(site.url + path, headers={"If-None-Match": etag} if etag else {})  # noqa: S310
    try:
        with urllib.request.urlopen(request) as answer:  # noqa: S310  # ours
            return answer.status, answer.headers, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.headers, ""
