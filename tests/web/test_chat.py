"""Two people chat in two browsers, against the real services."""

from __future__ import annotations

import re
from typing import Any

from tests.web.conftest import MakePerson
from tests.web.person import Person
from tests.web.site import Site


def test_two_people_chat(two: tuple[Person, Person]) -> None:
    """Log in by name, a room, an invitation, words both ways."""
    ada, grace = two
    ada.say("Shall we go to the sea?")
    grace.sees("Shall we go to the sea?")
    grace.say("Yes, on Saturday.")
    ada.sees("Yes, on Saturday.")

    assert ada.texts[-2:] == grace.texts[-2:] == ["Shall we go to the sea?", "Yes, on Saturday."]
    assert "mine" in grace.row("Yes, on").get_attribute("class")
    assert "theirs" in ada.row("Yes, on").get_attribute("class")


def test_the_qr_code_is_the_link(two: tuple[Person, Person]) -> None:
    """As a camera reads it."""
    import zxingcpp

    page = two[0].page
    page.get_by_role("button", name="Invite").click()
    link = page.get_by_label("Link", exact=True).input_value()
    page.get_by_role("img", name="QR code of the link below").wait_for()
    size, squares = page.evaluate(
        """() => { const svg = document.querySelector(".qr svg");
        return [svg.viewBox.baseVal.width, svg.querySelector("path").getAttribute("d")]; }"""
    )
    seen = memoryview(bytearray(b"\xff" * int(size * size * 16))).cast("B", [int(size * 4), int(size * 4)])
    for x, y in re.findall(r"M(\d+) (\d+)", squares):
        for row in range(4):
            for column in range(4):
                seen[(int(y) + 4) * 4 + row, (int(x) + 4) * 4 + column] = 0

    assert [code.text for code in zxingcpp.read_barcodes(seen)] == [link]


def test_who_types_and_who_is_there(two: tuple[Person, Person]) -> None:
    ada, grace = two
    about = ada.page.locator(".about")
    about.get_by_text("Grace").wait_for()
    assert about.inner_text() == "Grace is here"

    grace.page.get_by_label("Message", exact=True).press_sequentially("I")
    ada.page.locator(".about", has_text="Grace is typing").wait_for()
    grace.write("I am")
    ada.page.locator(".about", has_text="Grace is here").wait_for()
    ada.page.get_by_role("button", name="People").click()
    ada.page.get_by_role("heading", name="Here now: 2").wait_for()

    grace.page.close()
    ada.page.keyboard.press("Escape")
    ada.page.locator(".about", has_text="Nobody else here").wait_for()


def test_the_list_tells_what_happens_elsewhere(person: MakePerson) -> None:
    """The last message and how much is unread, in the list and the title; reading takes it away."""
    # People of their own: the title counts what is unread in all of one's rooms.
    ada, grace = person("Adele").log_in(), person("Gretchen")
    grace.log_in(ada.make_room("Road trip"))
    grace.see_room("Road trip")
    ada.page.goto(f"{ada.url}#/")
    grace.say("one")
    grace.say("two")
    link = ada.page.get_by_role("link", name="Road trip").first
    link.locator(".unread", has_text="2").wait_for()
    assert "Gretchen: two" in link.inner_text()
    ada.until("document.title.startsWith('(2)')")

    link.click()
    ada.sees("two")
    link.locator(".unread").wait_for(state="hidden")
    ada.until("document.title.startsWith('Road trip')")
    ada.page.reload()
    ada.see_room("Road trip")
    assert ada.page.locator(".unread:visible").count() == 0


def test_history_comes_as_one_scrolls_up(site: Site, person: MakePerson) -> None:
    """Page by page, in order, and what one reads does not move; at the start it says so."""
    ada, topic = fill(site, person, 150)
    region = ada.page.get_by_role("region", name="Messages")
    region.hover()
    for _ in range(200):
        ada.page.mouse.wheel(0, -1500)
        if ada.page.locator(".top", has_text="This is where the room begins").count():
            break
        ada.page.wait_for_timeout(50)
    numbers = [int(text.split()[-1]) for text in ada.texts]

    assert ada.page.locator(".top").inner_text() == "This is where the room begins."
    assert numbers == sorted(numbers)
    assert numbers[0] == 0
    assert topic


def fill(site: Site, person: MakePerson, count: int) -> tuple[Person, str]:
    """Have a room with so many messages of somebody else, and look at its end."""
    from tests.web.crowd import say_many

    bob = site.log_in("Bob")
    room = bob.post("/chat/channels", {"channel_name": "Long"})["data"]
    say_many(site, bob, room["topic"], [f"message {number}" for number in range(count)])
    ada = person("Ada").log_in(f"{site.url}/#/join/{room['topic']}")
    ada.see_room("Long")
    ada.sees(f"message {count - 1}")
    return ada, room["topic"]


def test_change_and_delete(two: tuple[Person, Person]) -> None:
    """For both at once; the last one of one's own by the arrow up."""
    ada, grace = two
    ada.say("I bring the sandwitches")
    grace.sees("I bring the sandwitches")
    ada.page.keyboard.press("ArrowUp")
    ada.page.get_by_label("Message", exact=True).fill("I bring the sandwiches")
    ada.page.keyboard.press("Enter")
    for each in two:
        each.bubble("sandwiches").get_by_text("edited").wait_for()
    assert grace.texts[-1] == "I bring the sandwiches"

    ada.row("sandwiches").hover()
    ada.row("sandwiches").get_by_role("button", name="Delete").click()
    ada.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    for each in two:
        each.sees("This message was deleted.")
    assert grace.row("deleted").get_by_role("button").count() == 0


def test_leave(two: tuple[Person, Person]) -> None:
    """It is gone from the list, and the others read it; the invitation leads back."""
    ada, grace = two
    link = ada.invitation()
    rooms = grace.page.locator(".room-list li").count()
    grace.page.get_by_role("button", name="Leave").click()
    grace.page.get_by_role("dialog").get_by_role("button", name="Leave").click()
    grace.page.get_by_role("heading", name="Rooms").wait_for()
    ada.page.locator(".happened", has_text="Grace").last.wait_for()
    grace.until("count => document.querySelectorAll('.room-list li').length === count", rooms - 1)
    grace.page.goto(link)
    grace.see_room("Road trip")


def test_a_list_that_comes_late_takes_no_room_away(person: MakePerson) -> None:
    """It was asked for before the room was made, and answered after."""
    ada = person("Adelheid").log_in()
    held: list[tuple[Any, Any]] = []

    def hold(route: Any) -> None:
        if route.request.method == "GET" and not held:
            held.append((route, route.fetch()))
        else:
            route.continue_()

    ada.page.route("**/chat/channels", hold)
    ada.page.evaluate("dispatchEvent(new Event('offline')), dispatchEvent(new Event('online'))")
    while not held:
        ada.page.wait_for_timeout(50)
    ada.make_room("Early")
    route, answer = held[0]
    with ada.page.expect_response("**/chat/channels"):
        route.fulfill(response=answer)
    ada.say("still here")

    assert ada.page.locator(".note").count() == 0


def test_a_second_tab_agrees(two: tuple[Person, Person], person: MakePerson) -> None:
    """It is logged in already, shows the same, and hears of a log-out."""
    ada, grace = two
    tab = person("Ada", beside=ada)
    tab.page.goto(ada.page.url)
    tab.see_room("Road trip")
    tab.say("from the second tab")
    ada.sees("from the second tab")
    grace.sees("from the second tab")
    assert ada.row("from the second").count() == 1

    tab.page.get_by_role("button", name=re.compile("Ada")).click()
    tab.page.get_by_role("button", name="Log out").click()
    ada.page.get_by_label("Your name").wait_for()


def test_an_invitation_that_leads_nowhere(person: MakePerson, site: Site) -> None:
    ada: Any = person("Ada").log_in(f"{site.url}/#/join/nothing_abcdefgh")

    ada.is_told("That invitation leads nowhere any more.")
