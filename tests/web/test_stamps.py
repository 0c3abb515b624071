"""Pick a word, throw it onto a message, hold longer for more strength: by mouse, touch and keys, for everybody."""

from __future__ import annotations

from typing import Any

from tests.web.conftest import MakePerson
from tests.web.crowd import say_many, stamp_many
from tests.web.person import Person
from tests.web.site import Site

TEXT = "Here is a message to stamp on"


def number(value: str) -> float:
    return float(value.rstrip("%deg"))


def is_near(seen: float, wanted: float, most: float = 0.01) -> bool:
    return abs(seen - wanted) <= most


def test_a_stamp_lands_where_it_was_dropped_for_everybody(two: tuple[Person, Person]) -> None:
    """Same place, turn, size and ink in both browsers, and after loading the page anew."""
    ada, grace = two
    ada.say(TEXT)
    grace.sees(TEXT)
    grace.throw("LOL", TEXT, (0.8, 0.25))
    (seen,) = ada.await_stamps(TEXT, 1)

    assert seen == grace.await_stamps(TEXT, 1)[0]
    assert seen["word"] == "LOL"
    assert is_near(number(seen["--x"]), 80, 1.5)
    assert is_near(number(seen["--y"]), 25, 4)
    ada.page.reload()
    ada.see_room("Road trip")
    assert ada.await_stamps(TEXT, 1) == [seen]
    assert "Stamped: LOL, by Grace." in ada.bubble(TEXT).inner_text()


def test_holding_longer_makes_it_stronger(two: tuple[Person, Person]) -> None:
    """It is turned further and larger."""
    ada, grace = two
    ada.say(TEXT)
    ada.throw("Wow", TEXT, (0.2, 0.5), hold=0)
    ada.await_stamps(TEXT, 1)
    ada.throw("Wow", TEXT, (0.8, 0.5), hold=1600)
    weak, strong = grace.await_stamps(TEXT, 2)

    assert number(weak["--size"]) < number(strong["--size"])
    assert is_near(number(strong["--size"]), 2)
    assert abs(number(weak["--turn"])) < abs(number(strong["--turn"]))


def test_a_word_is_dragged_from_the_tray(two: tuple[Person, Person]) -> None:
    ada, grace = two
    ada.say(TEXT)
    box = ada.page.get_by_role("button", name="Nope", exact=True).bounding_box()
    ada.page.mouse.move(box["x"] + 10, box["y"] + 10)
    ada.page.mouse.down()
    ada.page.mouse.move(box["x"] + 10, box["y"] - 40, steps=4)
    ada.page.mouse.move(*ada.point(TEXT, 0.4, 0.5), steps=4)
    ada.page.mouse.up()

    (seen,) = grace.await_stamps(TEXT, 1)
    assert seen["word"] == "Nope"
    assert is_near(number(seen["--x"]), 40, 2)
    assert ada.page.locator(".ghost, .armed, .aimed").count() == 0


def test_a_word_of_one_s_own_and_what_is_put_back(two: tuple[Person, Person]) -> None:
    """It stays in the tray; Escape, and letting go far from any message, throw nothing."""
    ada, grace = two
    ada.say(TEXT)
    ada.page.get_by_label("Your own word").fill("  Ahoi!  ")
    ada.page.keyboard.press("Enter")
    ada.page.keyboard.press("Escape")
    assert ada.page.locator(".armed").count() == 0
    ada.page.get_by_role("button", name="Ahoi!", exact=True).click()
    ada.page.mouse.move(*ada.point(TEXT, 0.5, 0.5))
    ada.page.mouse.down()
    ada.page.mouse.move(200, 90, steps=3)
    ada.page.mouse.up()
    ada.page.keyboard.press("Escape")
    ada.throw("Ahoi!", TEXT, hold=0)

    assert [stamp["word"] for stamp in grace.await_stamps(TEXT, 1)] == ["Ahoi!"]


def test_by_touch(site: Site, person: MakePerson, two: tuple[Person, Person]) -> None:
    """A finger picks a word, presses, holds and lets go; the conversation does not scroll under it."""
    ada, _ = two
    link = ada.invitation()
    phone = person("Edsger", viewport={"width": 360, "height": 680}, has_touch=True, is_mobile=True).log_in(link)
    phone.see_room("Road trip")
    ada.say(TEXT)
    phone.sees(TEXT)
    phone.page.get_by_role("button", name="Yes!", exact=True).tap()
    x, y = phone.point(TEXT, 0.6, 0.5)
    fingers = phone.page.context.new_cdp_session(phone.page)
    touch(fingers, "touchStart", (x, y))
    phone.page.wait_for_timeout(500)
    touch(fingers, "touchMove", (x + 3, y - 3))
    phone.page.wait_for_timeout(300)
    touch(fingers, "touchEnd")

    (seen,) = ada.await_stamps(TEXT, 1)
    assert seen["word"] == "Yes!"
    assert is_near(number(seen["--x"]), 61, 4)
    assert number(seen["--size"]) > 1.3
    assert site.url


def touch(fingers: Any, kind: str, *points: tuple[float, float]) -> None:
    fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})


def test_by_keyboard(two: tuple[Person, Person]) -> None:
    """Enter on a word, arrows to a message, hold Space, arrows for the place, let go; focus stays on the message."""
    ada, grace = two
    ada.say("the first")
    ada.say(TEXT)
    ada.page.get_by_role("button", name="Same", exact=True).focus()
    ada.page.keyboard.press("Enter")
    assert "in hand" in ada.heard()[-1]
    ada.page.keyboard.press("ArrowUp")
    ada.page.keyboard.down(" ")
    ada.page.wait_for_timeout(400)
    ada.page.keyboard.press("ArrowLeft")
    ada.page.keyboard.press("ArrowLeft")
    ada.page.keyboard.up(" ")

    (seen,) = grace.await_stamps("the first", 1)
    assert seen["word"] == "Same"
    assert is_near(number(seen["--x"]), 30)
    assert "the first" in ada.page.evaluate("document.activeElement.textContent")
    assert ada.heard()[-1].startswith("Thrown: Same, at ")
    assert ada.page.get_by_role("button", name="Same", exact=True).get_attribute("aria-pressed") == "false"


def test_on_a_message_that_is_deleted(two: tuple[Person, Person]) -> None:
    """While the stamp was in the hand: it is said in one sentence, and on one goes."""
    ada, grace = two
    ada.say(TEXT)
    grace.sees(TEXT)
    grace.page.get_by_role("button", name="Love it", exact=True).click()
    grace.page.mouse.move(*grace.point(TEXT, 0.5, 0.5))
    grace.page.mouse.down()
    ada.row(TEXT).hover()
    ada.row(TEXT).get_by_role("button", name="Delete").click()
    ada.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    grace.sees("This message was deleted.")
    grace.page.mouse.up()

    grace.is_told("That message was deleted.")
    ada.say("and on we go")
    grace.throw("Love it", "and on we go", hold=0)
    ada.await_stamps("and on we go", 1)


def test_a_hundred_stamps(site: Site, two: tuple[Person, Person]) -> None:
    """All of them lie there, each once, and a screen reader is told how many of what."""
    ada, _ = two
    ada.say(TEXT)
    bob = site.log_in("Bob")
    topic = ada.invitation().rpartition("/")[2]
    bob.post("/chat/channels/join", {"topic": topic})
    (target,) = say_many(site, bob, topic, ["a target for many"])
    some = [
        {"word": ("Boo", "Yay")[n % 2], "xPos": n / 100, "yPos": 0.5, "strength": 0.5, "messageId": target}
        for n in range(100)
    ]
    stamp_many(site, bob, topic, some)

    for each in two:
        assert len(each.await_stamps("a target for many", 100)) == 100
        each.until("document.body.textContent.includes('100 in all: Boo 50 times, Yay 50 times')")


def test_without_motion_nothing_moves(two: tuple[Person, Person], person: MakePerson) -> None:
    ada, _ = two
    still = person("Barbara", reduced_motion="reduce").log_in(ada.invitation())
    still.see_room("Road trip")
    ada.say(TEXT)
    still.sees(TEXT)
    ada.throw("Done", TEXT)
    still.await_stamps(TEXT, 1)

    assert still.bubble(TEXT).locator(".stamps .stamp").evaluate("each => each.getAnimations().length") == 0
    still.looks(still.bubble(TEXT).locator(".stamps .stamp"), "animationName", "none")
