"""For every hand and eye: axe-core finds nothing, keys are enough, focus is where one expects, news is told once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.web.conftest import MakePerson
from tests.web.person import Person
from tests.web.site import Site

LOOKS: list[dict[str, Any]] = [
    {"viewport": {"width": 1100, "height": 800}},
    {"viewport": {"width": 1100, "height": 800}, "color_scheme": "dark"},
    {"viewport": {"width": 320, "height": 640}, "has_touch": True, "is_mobile": True},
    {"viewport": {"width": 320, "height": 640}, "color_scheme": "dark"},
    {"viewport": {"width": 2560, "height": 1300}, "forced_colors": "active"},
]
NAMES = ["wide", "wide-dark", "narrow-touch", "narrow-dark", "huge-forced"]
Judge = Callable[[Person, str], None]


@pytest.fixture
def judge(axe: str) -> Judge:
    """See that axe-core finds nothing, and that nothing needs scrolling sideways."""

    def look(person: Person, state: str) -> None:
        page = person.page
        # What moves is judged where it comes to rest.
        page.evaluate("Promise.all(document.getAnimations().map(each => each.finished.catch(() => {})))")
        page.evaluate(axe)
        found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
        told = [
            {"rule": each["id"], "nodes": [(node["html"][:200], node["failureSummary"]) for node in each["nodes"]]}
            for each in found
        ]
        assert told == [], f"{state}: {json.dumps(told, indent=1)}"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), state

    return look


@pytest.mark.parametrize("look", LOOKS, ids=NAMES)
def test_axe_finds_nothing(person: MakePerson, site: Site, judge: Judge, look: dict[str, Any]) -> None:
    """In every state of the page, in every look."""
    ada = person("Ada", **look)
    ada.page.goto(ada.url)
    ada.page.get_by_label("Your name").wait_for()
    judge(ada, "login")
    newcomer = person(f"Newcomer {NAMES[LOOKS.index(look)]}", **look).log_in()
    newcomer.page.get_by_text("No rooms yet").wait_for()
    judge(newcomer, "no rooms")
    newcomer.page.get_by_role("button", name="New room").click()
    judge(newcomer, "new room")
    newcomer.page.keyboard.press("Escape")
    link = newcomer.make_room("טיול בכביש — رحلة")
    ada.log_in(link)
    ada.see_room("טיול")
    for each, text in ((ada, "שלום לכולם, מה נשמע?"), (newcomer, "hello " * 60), (ada, "line\n" * 40)):
        each.say(text.strip())
        newcomer.sees(text.strip()[:20])
    newcomer.throw("LOL", "שלום", hold=900)
    newcomer.await_stamps("שלום", 1)
    judge(newcomer, "a room")
    newcomer.page.get_by_role("button", name="Wow", exact=True).click()
    judge(newcomer, "a stamp in the hand")
    newcomer.page.keyboard.press("Escape")
    newcomer.row("hello").focus()
    judge(newcomer, "a message with its buttons")
    newcomer.row("hello").get_by_role("button", name="Change").click()
    judge(newcomer, "changing a message")
    newcomer.page.keyboard.press("Escape")
    for name in ("People", "Invite", "Leave"):
        newcomer.page.get_by_role("button", name=name, exact=True).click()
        newcomer.page.get_by_role("dialog").wait_for()
        judge(newcomer, name)
        newcomer.page.keyboard.press("Escape")
    newcomer.page.get_by_role("button", name="People", exact=True).click()
    newcomer.page.get_by_role("button", name="Rename this room").click()
    judge(newcomer, "renaming")
    newcomer.page.keyboard.press("Escape")
    newcomer.page.get_by_role("button", name="About Ada").click()
    about = newcomer.page.get_by_role("dialog", name="Ada")
    about.wait_for()
    judge(newcomer, "about somebody")
    about.get_by_role("button", name="Report").click()
    newcomer.page.get_by_role("dialog", name="Report this person").wait_for()
    judge(newcomer, "reporting")
    newcomer.page.keyboard.press("Escape")
    newcomer.page.keyboard.press("Escape")
    newcomer.page.context.set_offline(True)
    newcomer.write("written offline")
    newcomer.is_told("No connection")
    judge(newcomer, "offline")
    assert site.url


def test_keys_are_enough(person: MakePerson) -> None:
    """From the login to a message that is changed and deleted, with focus where one goes on."""
    ada = person("Ada")
    keyboard = ada.page.keyboard

    def focused() -> str:
        return str(
            ada.page.evaluate("document.activeElement.getAttribute('aria-label') ?? document.activeElement.textContent")
        )

    def tab_to(label: str) -> None:
        for _ in range(40):
            if focused().strip().startswith(label):
                return
            keyboard.press("Tab")
        raise AssertionError(f"Tab never came to {label}")

    ada.page.goto(ada.url)
    ada.page.get_by_label("Your name").wait_for()
    assert ada.page.evaluate("document.activeElement.id") == "name"
    keyboard.type("Ada")
    keyboard.press("Enter")
    ada.page.get_by_role("heading", name="Rooms").wait_for()
    ada.until("document.activeElement.textContent === 'Rooms'")
    tab_to("New room")
    keyboard.press("Enter")
    assert ada.page.evaluate("document.activeElement.id") == "room-name"
    keyboard.type("By keys")
    keyboard.press("Enter")
    ada.see_room("By keys")
    ada.until("document.activeElement.getAttribute('aria-label') === 'Message'")
    keyboard.type("written by keys")
    keyboard.press("Enter")
    ada.sees("written by keys")
    assert focused() == "Message"

    keyboard.press("Shift+Tab")
    for _ in range(40):
        if ada.page.evaluate("document.activeElement.matches('.row')"):
            break
        keyboard.press("Shift+Tab")
    assert "written by keys" in focused()
    tab_to("Change")
    keyboard.press("Enter")
    assert focused() == "Message"
    keyboard.type(", and changed")
    keyboard.press("Enter")
    ada.sees("written by keys, and changed")
    assert "written by keys" in focused()
    tab_to("Delete")
    keyboard.press("Enter")
    assert focused() == "Cancel"
    tab_to("Delete")
    keyboard.press("Enter")
    ada.sees("This message was deleted.")
    assert "This message was deleted." in focused()
    keyboard.press("Escape")
    assert focused() == "Message"


def test_a_dialog_gives_the_focus_back(two: tuple[Person, Person]) -> None:
    ada, _ = two
    for name in ("People", "Invite"):
        ada.page.get_by_role("button", name=name).focus()
        ada.page.keyboard.press("Enter")
        ada.page.get_by_role("dialog").wait_for()
        ada.page.keyboard.press("Escape")
        ada.until("name => document.activeElement.title === name", name)


def test_a_new_message_is_told_once(two: tuple[Person, Person]) -> None:
    """What others say, by name; not one's own, not what history brings, not what one has heard already."""
    ada, grace = two
    ada.say("my own")
    grace.say("good news")
    ada.sees("good news")
    ada.until("document.querySelector('#announcer').textContent.includes('good news')")
    ada.page.context.set_offline(True)
    ada.is_told("No connection")
    ada.page.context.set_offline(False)
    ada.page.locator(".banner").wait_for(state="hidden")
    grace.say("more")
    ada.sees("more")

    assert [text for text in ada.heard() if "good news" in text or "my own" in text] == ["Grace: good news"]
    assert ada.page.locator("#announcer").get_attribute("aria-live") == "polite"


def test_right_to_left(two: tuple[Person, Person], person: MakePerson) -> None:
    """A message runs in its own direction; what stands beside a name does not turn around."""
    ada, _ = two
    other = person("سعاد").log_in(ada.invitation())
    other.see_room("Road trip")
    other.say("مرحبا بكم (3)")
    ada.sees("مرحبا بكم (3)")
    row = ada.row("مرحبا").last

    ada.looks(row.locator(".text"), "direction", "rtl")
    name, time = (row.locator(part).bounding_box()["x"] for part in (".name", "time"))
    assert name < time
    assert ada.page.locator(".about").inner_text().endswith("are here")


def test_on_320_pixels_one_sees_one_thing_at_a_time(person: MakePerson) -> None:
    """The list, or a room with a way back to it."""
    ada = person("Ada", viewport={"width": 320, "height": 568})
    ada.log_in()
    ada.make_room("Narrow")
    assert not ada.page.get_by_role("navigation", name="Rooms").is_visible()
    ada.page.get_by_role("button", name="All rooms").click()
    link = ada.page.get_by_role("link", name="Narrow").first
    link.wait_for()
    assert ada.page.evaluate("document.activeElement.getAttribute('href').startsWith('#/room/')")
    assert ada.page.evaluate("document.documentElement.scrollWidth") == 320
    link.click()
    ada.see_room("Narrow")
    ada.page.go_back()
    ada.page.get_by_role("heading", name="Rooms").wait_for()
