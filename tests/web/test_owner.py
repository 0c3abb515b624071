"""What one may do about others: block and report; and as a room's owner rename it, renew its invitation, remove."""

from __future__ import annotations

from typing import Any

from tests.web.conftest import MakePerson
from tests.web.person import Person


def open_about(person: Person, name: str) -> Any:
    person.page.get_by_role("button", name="People", exact=True).click()
    person.page.get_by_role("button", name=f"About {name}").click()
    dialog = person.page.get_by_role("dialog", name=name)
    dialog.wait_for()
    return dialog


def test_block_and_unblock(person: MakePerson) -> None:
    """What somebody said and stamped goes, and comes back with what they said meanwhile; they notice nothing."""
    ada, eve = person("Adele").log_in(), person("Eve")
    eve.log_in(ada.make_room("Loud"))
    eve.see_room("Loud")
    ada.say("nice weather")
    eve.say("buy my things")
    eve.throw("Nope", "nice weather", hold=0)
    ada.sees("buy my things")
    ada.await_stamps("nice weather", 1)

    open_about(ada, "Eve").get_by_role("button", name="Block").click()
    ada.is_told("Eve is blocked.")
    ada.page.locator(".people li", has_text="Eve").get_by_text("blocked").wait_for()
    ada.page.keyboard.press("Escape")
    ada.row("buy my things").wait_for(state="detached")
    eve.say("are you there?")
    eve.say("hello?")
    ada.say("quiet here")
    assert "are you there?" not in ada.texts
    assert ada.stamps("nice weather") == []
    eve.sees("quiet here")

    open_about(ada, "Eve").get_by_role("button", name="Unblock").click()
    ada.is_told("Eve is no longer blocked.")
    ada.page.keyboard.press("Escape")
    ada.sees("are you there?")
    ada.await_stamps("nice weather", 1)


def test_report(two: tuple[Person, Person]) -> None:
    """A message and a person, each with what is wrong; one's own words cannot be reported."""
    ada, grace = two
    ada.say("mine")
    grace.say("something bad")
    ada.sees("something bad")
    ada.row("mine").last.hover()
    assert ada.row("mine").last.get_by_role("button", name="Report").count() == 0
    ada.row("something bad").hover()
    ada.row("something bad").get_by_role("button", name="Report").click()
    ada.page.get_by_role("dialog", name="Report this message").get_by_label("What is wrong?").fill("It is bad.")
    ada.page.keyboard.press("Tab")
    ada.page.keyboard.press("Tab")
    ada.page.keyboard.press("Enter")
    ada.is_told("Reported; thank you.")
    open_about(ada, "Grace").get_by_role("button", name="Report").click()
    ada.page.get_by_label("What is wrong?").fill("She says bad things.")
    ada.page.get_by_role("dialog", name="Report this person").get_by_role("button", name="Report").click()
    ada.page.get_by_role("dialog", name="Report this person").wait_for(state="detached")
    ada.is_told("Reported; thank you.")


def test_rename_and_renew(two: tuple[Person, Person], person: MakePerson) -> None:
    """Everybody sees the name at once; the old link lets nobody in, and the new one does."""
    ada, grace = two
    for each in two:
        each.page.get_by_role("button", name="People", exact=True).click()
    assert grace.page.get_by_role("button", name="Rename this room").count() == 0
    ada.page.get_by_role("button", name="Rename this room").click()
    ada.page.get_by_label("What is it called?").fill("Sea trip")
    ada.page.keyboard.press("Enter")
    ada.page.get_by_role("dialog", name="Rename this room").wait_for(state="detached")
    for each in two:
        each.page.keyboard.press("Escape")
    for each in two:
        each.page.locator("#room-heading", has_text="Sea trip").wait_for()
        each.page.get_by_role("link", name="Sea trip").wait_for()

    old = ada.invitation()
    ada.page.get_by_role("button", name="Invite").click()
    ada.page.get_by_role("button", name="Make a new link").click()
    ada.page.get_by_role("dialog", name="Make a new link?").get_by_role("button", name="Make it").click()
    ada.is_told("From now on this link leads here.")
    new = str(ada.page.get_by_label("Link", exact=True).input_value())
    ada.page.keyboard.press("Escape")
    assert new != old
    late = person("Late").log_in(old)
    late.is_told("That invitation leads nowhere any more.")
    late.page.goto(new)
    late.see_room("Sea trip")
    late.say("here at last")
    for each in two:
        each.sees("here at last")


def test_remove(two: tuple[Person, Person]) -> None:
    """Only the owner may; whoever is removed is told, and the others read it."""
    ada, grace = two
    assert open_about(grace, "Ada").get_by_role("button", name="Remove from room").count() == 0
    open_about(ada, "Grace").get_by_role("button", name="Remove from room").click()
    ada.page.get_by_role("dialog", name="Remove Grace?").get_by_role("button", name="Remove").click()

    grace.is_told("You are no longer in Road trip.")
    ada.is_told("Grace is no longer in this room.")
    ada.page.keyboard.press("Escape")
    ada.page.locator(".happened", has_text="Grace").last.wait_for()
