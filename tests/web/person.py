"""Be somebody with a browser: what people do on the page, by what they see and hear."""

from __future__ import annotations

import re
import time
from typing import Any

# Milliseconds, on a machine that does other things too.
PATIENCE = 120_000
Point = tuple[float, float]


class Person:
    """Hold one tab of one person.

    Args:
        page: the tab.
        url: the page's address.
        name: to log in by.
    """

    def __init__(self, page: Any, url: str, name: str) -> None:
        self.page, self.url, self.name = page, url, name
        self.errors: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.set_default_navigation_timeout(PATIENCE)
        page.on("pageerror", lambda error: self.errors.append(f"{error}\n{getattr(error, 'stack', '')}"))
        page.on("console", self._listen)

    def _listen(self, message: Any) -> None:
        # What the network refuses is logged by the browser itself, and is no fault of the page.
        if message.type == "error" and not re.search("WebSocket|Failed to load resource|ERR_", message.text):
            self.errors.append(message.text)

    def log_in(self, address: str = "") -> Person:
        self.page.goto(address or self.url)
        self.page.get_by_label("Your name").fill(self.name)
        self.page.get_by_role("button", name="Come in").click()
        # On a narrow screen the list hides behind a room that opens at once.
        self.page.get_by_role("navigation", name="Rooms", include_hidden=True).wait_for(state="attached")
        return self

    def make_room(self, name: str) -> str:
        """Make a room and return its invitation."""
        self.page.get_by_role("button", name="New room").click()
        self.page.get_by_label("What is it called?").fill(name)
        self.page.get_by_role("button", name="Make it").click()
        self.see_room(name)
        return self.invitation()

    def invitation(self) -> str:
        self.page.get_by_role("button", name="Invite").click()
        dialog = self.page.get_by_role("dialog", name="Invite people")
        link = str(dialog.get_by_label("Link", exact=True).input_value())
        dialog.get_by_role("button", name="Close").click()
        dialog.wait_for(state="detached")
        return link

    def see_room(self, name: str) -> None:
        self.page.locator("#room-heading", has_text=name).wait_for()
        self.until("(document.querySelector('.top')?.textContent ?? 'Loading…') !== 'Loading…'")

    def until(self, fact: str, argument: object = None) -> None:
        """Wait until a script's value is true; Playwright's own wait needs `eval`, which the page's policy forbids."""
        deadline = time.monotonic() + PATIENCE / 1000
        while not self.page.evaluate(fact, argument):
            assert time.monotonic() < deadline, fact
            self.page.wait_for_timeout(50)

    def looks(self, part: Any, name: str, value: str) -> None:
        """Wait until a part has a style; one that was drawn anew between finding and asking has none at all."""
        deadline = time.monotonic() + PATIENCE / 1000
        while (found := part.evaluate("(each, name) => getComputedStyle(each)[name]", name)) != value:
            assert time.monotonic() < deadline, f"{name} is {found!r}"
            self.page.wait_for_timeout(50)

    def write(self, text: str) -> None:
        self.page.get_by_label("Message", exact=True).fill(text)
        self.page.get_by_role("button", name="Send").click()

    def say(self, text: str) -> None:
        """Say something, and see it stored."""
        self.write(text)
        self.sees(text)

    def sees(self, text: str) -> None:
        self.row(text).and_(self.page.locator(".row:not(.waiting)")).last.wait_for()

    def row(self, text: str) -> Any:
        return self.page.locator(".row", has=self.page.locator(".text", has_text=text))

    def bubble(self, text: str) -> Any:
        return self.row(text).last.locator(".bubble")

    @property
    def texts(self) -> list[str]:
        return [str(text) for text in self.page.locator(".text").all_inner_texts()]

    def is_told(self, text: str) -> None:
        """See a short note, or the quiet line at the top."""
        self.page.locator(".note, .banner", has_text=text).first.wait_for()

    def point(self, text: str, x: float, y: float) -> Point:
        """Return where on the screen a part of a message is."""
        self.bubble(text).scroll_into_view_if_needed()
        box = self.bubble(text).bounding_box()
        return box["x"] + x * box["width"], box["y"] + y * box["height"]

    def throw(self, word: str, text: str, at: Point = (0.5, 0.5), *, hold: int = 300) -> None:
        """Pick a word and press it onto a message with the mouse."""
        self.page.get_by_role("group", name="Stamps").get_by_role("button", name=word, exact=True).click()
        self.page.mouse.move(*self.point(text, *at))
        self.page.mouse.down()
        self.page.wait_for_timeout(hold)
        self.page.mouse.up()

    def stamps(self, text: str) -> list[dict[str, Any]]:
        """Return what lies on a message, as it is drawn: word, place, turn, size and ink."""
        found: list[dict[str, Any]] = self.bubble(text).evaluate(
            """bubble => [...bubble.querySelectorAll(".stamps .stamp")].map(each => ({
                word: each.textContent,
                ...Object.fromEntries(["--x", "--y", "--turn", "--size"].map(
                    name => [name, each.style.getPropertyValue(name)])),
                ink: each.className.match(/ink-\\d/)[0],
            }))"""
        )
        return found

    def await_stamps(self, text: str, count: int) -> list[dict[str, Any]]:
        self.until(
            """([text, count]) => [...document.querySelectorAll(".row")].findLast(row =>
                row.querySelector(".text")?.textContent.includes(text))
                    .querySelectorAll(".stamps .stamp").length >= count""",
            [text, count],
        )
        return self.stamps(text)

    def heard(self) -> list[str]:
        """Return what a screen reader was given to say."""
        return [str(text) for text in self.page.locator("#announcer p").all_inner_texts()]
