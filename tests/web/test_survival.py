"""What is written is kept, sent once and in order; what ends is said in one sentence, and one goes on."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from services.settings import Secret
from services.tokens import Signer
from tests.web.conftest import MakePerson
from tests.web.crowd import say_many
from tests.web.person import Person
from tests.web.site import Caller, Site

HOUR = 3600
SESSION = "stampchat.session"


def offline(person: Person) -> None:
    person.page.context.set_offline(True)
    person.is_told("No connection just now")


def online(person: Person) -> None:
    person.page.context.set_offline(False)
    person.page.locator(".banner").wait_for(state="hidden")


def kept(person: Person) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(person.page.evaluate("name => localStorage.getItem(name)", SESSION))
    return found


def as_caller(site: Site, person: Person) -> Caller:
    session = kept(person)
    return Caller(site.url, session["token"], session["user"]["identity"])


def test_what_is_written_offline_is_sent_on_return_and_stored_once(
    two: tuple[Person, Person], person: MakePerson
) -> None:
    """In order, and with a second tab that has the same to send."""
    ada, grace = two
    tab = person("Ada", beside=ada)
    tab.page.goto(ada.page.url)
    tab.see_room("Road trip")
    offline(ada)
    for text in ("first", "second", "third"):
        ada.write(text)
    assert ada.page.get_by_text("Waiting to be sent").count() == 3
    tab.row("third").wait_for()
    online(ada)

    grace.sees("third")
    for each in (ada, grace, tab):
        each.sees("third")
        assert each.texts[-3:] == ["first", "second", "third"]
        assert each.page.locator(".waiting").count() == 0
    assert ada.page.evaluate("localStorage.getItem('stampchat.outbox')") is None


def test_a_stamp_that_is_thrown_offline_is_sent_on_return_and_stored_once(
    site: Site, two: tuple[Person, Person], person: MakePerson
) -> None:
    """It lies there at once, in a second tab too, and looks the same when it is stored."""
    ada, grace = two
    ada.say("stamp me")
    grace.sees("stamp me")
    tab = person("Ada", beside=ada)
    tab.page.goto(ada.page.url)
    tab.see_room("Road trip")
    tab.sees("stamp me")
    offline(ada)
    ada.throw("Wow", "stamp me", (0.2, 0.5), hold=0)
    ada.throw("LOL", "stamp me", (0.8, 0.5), hold=400)
    thrown = ada.await_stamps("stamp me", 2)
    assert tab.await_stamps("stamp me", 2) == thrown
    assert ada.page.locator(".stamp.waits").count() == 2
    assert grace.stamps("stamp me") == []
    online(ada)

    assert grace.await_stamps("stamp me", 2) == thrown
    for each in (ada, tab):
        each.until("document.querySelectorAll('.stamp.waits').length === 0")
        # A second tab may hear that one waits no longer a moment before it hears that it is stored.
        assert each.await_stamps("stamp me", 2) == thrown
    assert ada.page.evaluate("localStorage.getItem('stampchat.outbox')") is None
    room = int(ada.page.url.rpartition("/")[2])
    stored = as_caller(site, grace).get(f"/chat/channels/{room}/events")["data"]["messages"][0]["stamps"]
    assert [stamp["word"] for stamp in stored] == ["Wow", "LOL"]


def test_a_stamp_whose_answer_is_lost_is_stored_once(two: tuple[Person, Person]) -> None:
    """It was stored, and the page was loaded anew before it heard so; what is sent again is answered, not stored."""
    ada, grace = two
    ada.say("stamp me")
    grace.sees("stamp me")
    kept = "localStorage.getItem('stampchat.outbox')"
    ada.page.evaluate("WebSocket.prototype.send = () => {}")
    ada.throw("Wow", "stamp me", hold=0)
    ada.await_stamps("stamp me", 1)
    waiting = ada.page.evaluate(kept)
    ada.page.reload()
    grace.await_stamps("stamp me", 1)
    ada.until(f"{kept} === null")
    ada.page.evaluate("waiting => localStorage.setItem('stampchat.outbox', waiting)", waiting)
    ada.page.reload()
    ada.until(f"{kept} === null")
    ada.throw("LOL", "stamp me", hold=0)

    grace.await_stamps("stamp me", 2)
    assert [stamp["word"] for stamp in grace.stamps("stamp me")] == ["Wow", "LOL"]
    assert [stamp["word"] for stamp in ada.await_stamps("stamp me", 2)] == ["Wow", "LOL"]


def test_a_stamp_that_waits_for_a_message_that_is_deleted(two: tuple[Person, Person]) -> None:
    """It falls off, and it is said why."""
    ada, grace = two
    ada.say("soon gone")
    grace.sees("soon gone")
    offline(grace)
    grace.throw("Wow", "soon gone", hold=0)
    ada.row("soon gone").hover()
    ada.row("soon gone").get_by_role("button", name="Delete").click()
    ada.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    ada.sees("This message was deleted.")
    online(grace)

    grace.is_told("That message was deleted.")
    grace.until("localStorage.getItem('stampchat.outbox') === null")
    assert grace.page.locator(".row .stamp").count() == 0


def test_a_change_while_the_room_comes_back_is_made_then(two: tuple[Person, Person]) -> None:
    """The socket is open again, and the room's channel not yet."""
    ada, _ = two
    ada.say("a tpyo")
    ada.page.evaluate(
        """() => {
            const send = WebSocket.prototype.send;
            window.held = [];
            WebSocket.prototype.send = function (data) {
                const go = () => send.call(this, data);
                String(data).includes('"phx_join"') ? window.held.push(go) : go();
            };
            window.release = () => {
                WebSocket.prototype.send = send;
                window.held.forEach(go => go());
            };
        }"""
    )
    offline(ada)
    online(ada)
    ada.until("window.held.length > 0")
    ada.page.keyboard.press("ArrowUp")
    ada.page.get_by_label("Message", exact=True).fill("a typo")
    ada.page.keyboard.press("Enter")
    ada.page.evaluate("window.release()")

    ada.bubble("a typo").get_by_text("edited").wait_for()


@pytest.mark.parametrize("change", ["edited", "deleted"])
def test_a_page_that_is_older_than_a_change(two: tuple[Person, Person], change: str) -> None:
    """What one comes back to was asked for before the change, and arrives after one heard of it."""
    ada, grace = two
    ada.say("a tpyo")
    grace.sees("a tpyo")
    held: list[Any] = []
    grace.page.route("**/events*", lambda route: held.append((route, route.fetch())))
    offline(grace)
    online(grace)
    while not held:
        grace.page.wait_for_timeout(20)
    if change == "edited":
        ada.page.keyboard.press("ArrowUp")
        ada.page.get_by_label("Message", exact=True).fill("a typo")
        ada.page.keyboard.press("Enter")
        grace.bubble("a typo").get_by_text("edited").wait_for()
    else:
        ada.row("a tpyo").hover()
        ada.row("a tpyo").get_by_role("button", name="Delete").click()
        ada.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
        grace.sees("This message was deleted.")
    before = grace.texts
    (route, answer), *_ = held
    assert "a tpyo" in answer.text()
    with grace.page.expect_response("**/events*"):
        route.fulfill(response=answer)
    grace.page.unroute("**/events*")
    ada.say("and on")

    grace.sees("and on")
    assert grace.texts == [*before, "and on"]


def test_a_change_that_fails_is_not_lost(two: tuple[Person, Person]) -> None:
    """It needs a connection; what was written is still in the field."""
    ada, _ = two
    ada.say("a tpyo")
    offline(ada)
    ada.page.keyboard.press("ArrowUp")
    ada.page.get_by_label("Message", exact=True).fill("a typo")
    ada.page.keyboard.press("Enter")

    ada.is_told("You are offline, so that could not be done just now.")
    assert ada.page.get_by_label("Message", exact=True).input_value() == "a typo"
    online(ada)
    ada.until("document.querySelector('.row .text') !== null")
    ada.page.get_by_label("Message", exact=True).press("Enter")
    ada.bubble("a typo").get_by_text("edited").wait_for()


def test_what_is_written_survives_the_tab(two: tuple[Person, Person]) -> None:
    """A page that is loaded anew sends what the one before could not."""
    ada, grace = two
    ada.page.evaluate("WebSocket.prototype.send = () => {}")
    ada.write("before the reload")
    ada.page.get_by_text("Waiting to be sent").wait_for()
    ada.page.reload()

    grace.sees("before the reload")
    ada.sees("before the reload")
    assert grace.row("before the reload").count() == 1


def test_a_service_that_is_killed(site: Site, two: tuple[Person, Person]) -> None:
    """A quiet banner, and then all of it, in order and once."""
    ada, grace = two
    ada.say("before")
    serving = site.count("chat", "serving")
    site.kill("chat")
    for number in range(5):
        ada.write(f"meanwhile {number}")
    site.await_line("chat", "serving", serving + 1)

    grace.sees("meanwhile 4")
    ada.sees("meanwhile 4")
    expected = ["before", *(f"meanwhile {number}" for number in range(5))]
    assert ada.texts[-6:] == grace.texts[-6:] == expected
    ada.page.locator(".banner").wait_for(state="hidden")


def test_the_gap_is_filled(site: Site, two: tuple[Person, Person]) -> None:
    """With what was said, changed, deleted and stamped while one was away."""
    ada, grace = two
    ada.say("it stays")
    ada.say("it is changed")
    ada.say("it is deleted")
    grace.sees("it is deleted")
    offline(grace)
    ada.throw("Wow", "it stays")
    ada.await_stamps("it stays", 1)
    ada.row("it is changed").hover()
    ada.row("it is changed").get_by_role("button", name="Change").click()
    ada.page.keyboard.type(", indeed")
    ada.page.keyboard.press("Enter")
    ada.sees("it is changed, indeed")
    ada.row("it is deleted").hover()
    ada.row("it is deleted").get_by_role("button", name="Delete").click()
    ada.page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    ada.sees("This message was deleted.")
    ada.say("and on")
    online(grace)

    grace.sees("and on")
    grace.sees("This message was deleted.")
    grace.sees("it is changed, indeed")
    grace.await_stamps("it stays", 1)
    assert grace.texts == ada.texts
    assert site.url


def test_a_gap_of_hundreds(site: Site, two: tuple[Person, Person]) -> None:
    """More than a join replays: the pages have it."""
    ada, grace = two
    ada.say("before the flood")
    grace.sees("before the flood")
    topic = ada.invitation().rpartition("/")[2]
    offline(grace)
    bob = site.log_in("Bob")
    bob.post("/chat/channels/join", {"topic": topic})
    say_many(site, bob, topic, [f"flood {number}" for number in range(260)])
    online(grace)

    grace.sees("flood 259")
    region = grace.page.get_by_role("region", name="Messages")
    region.hover()
    seen: list[str] = []
    while "before the flood" not in seen:
        grace.page.mouse.wheel(0, -900)
        grace.page.wait_for_timeout(40)
        seen = grace.texts
    numbers = [int(text.split()[1]) for text in seen if text.startswith("flood")]
    assert numbers == list(range(len(numbers)))


def test_a_token_is_renewed_in_time(two: tuple[Person, Person]) -> None:
    """When half of its life is over, by this device's own measure; nobody notices."""
    ada, grace = two
    before = kept(ada)
    ada.page.evaluate(
        """name => { const kept = JSON.parse(localStorage.getItem(name));
        localStorage.setItem(name, JSON.stringify({...kept, at: kept.at - 40 * 60_000})); }""",
        SESSION,
    )
    ada.page.wait_for_timeout(1100)
    ada.page.reload()
    ada.see_room("Road trip")
    ada.until("([name, token]) => JSON.parse(localStorage.getItem(name)).token !== token", [SESSION, before["token"]])
    ada.say("still here")

    grace.sees("still here")
    assert kept(ada)["user"] == before["user"]


def test_a_token_that_expired_while_asleep(site: Site, two: tuple[Person, Person]) -> None:
    """One logs in again and is in the same room, with what one was about to say."""
    ada, grace = two
    address = ada.page.url
    offline(ada)
    ada.write("said before sleep")
    expired = expire(site, kept(ada))
    ada.page.evaluate("([name, kept]) => localStorage.setItem(name, JSON.stringify(kept))", [SESSION, expired])
    ada.page.context.set_offline(False)
    ada.page.reload()
    ada.page.locator(".why", has_text="You were away for a long time, so please log in again.").wait_for()

    assert ada.page.get_by_label("Your name").input_value() == "Ada"
    ada.page.get_by_role("button", name="Come in").click()
    ada.see_room("Road trip")
    assert ada.page.url == address
    grace.sees("said before sleep")
    ada.sees("said before sleep")


def expire(site: Site, session: dict[str, Any]) -> dict[str, Any]:
    """Return a session whose token is of yesterday, signed by the site's own key."""
    key = Secret((site.home / "local" / "secrets" / "private_key").read_text().strip())
    now = int(time.time())
    user = session["user"] | {"email": None, "picture": None}
    token = Signer(key).mint(user, auth_time=now - 26 * HOUR, expires=now - 25 * HOUR, now=now - 26 * HOUR)
    return {**session, "token": token, "at": session["at"] - 26 * HOUR * 1000}


def test_an_account_that_is_deleted_elsewhere(site: Site, person: MakePerson) -> None:
    """The page says so, and somebody new may log in."""
    eve = person("Eve").log_in()
    eve.make_room("Eve's")
    as_caller(site, eve).delete("/auth/account")

    eve.page.locator(".why", has_text="This account was deleted.").wait_for()
    eve.page.get_by_label("Your name").fill("Eve again")
    eve.page.get_by_role("button", name="Come in").click()
    eve.page.get_by_role("heading", name="Rooms").wait_for()


def test_an_account_that_one_deletes(person: MakePerson) -> None:
    mallory = person("Mallory").log_in()
    mallory.make_room("Short")
    mallory.page.get_by_role("button", name="Mallory", exact=True).click()
    mallory.page.get_by_role("button", name="Delete account").click()
    mallory.page.get_by_role("dialog", name="Delete your account?").get_by_role("button", name="Delete account").click()

    mallory.page.locator(".why", has_text="Your account was deleted.").wait_for()


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_is_an_hour_off(two: tuple[Person, Person], person: MakePerson, hours: int) -> None:
    """It is said once and quietly; times are the server's, and nothing is renewed over and over."""
    ada, _ = two
    wrong = person("Niklaus")
    wrong.page.add_init_script(
        f"""{{ const real = Date, off = {hours * HOUR * 1000};
        globalThis.Date = class extends real {{
            constructor(...all) {{ if (all.length) super(...all); else super(real.now() + off); }}
            static now() {{ return real.now() + off; }}
        }}; }}"""
    )
    asked: list[str] = []
    wrong.page.on("request", lambda request: asked.append(request.url))
    wrong.log_in(ada.invitation())
    wrong.see_room("Road trip")
    wrong.is_told("This device's clock is wrong; the times shown here are right.")
    ada.say("what time is it?")
    wrong.sees("what time is it?")
    wrong.say("look")

    shown = "row => row.querySelector('time').dateTime"
    assert wrong.row("what time").evaluate(shown) == ada.row("what time").evaluate(shown)
    assert [url for url in asked if url.endswith("/refresh")] == []


def test_a_room_one_was_removed_from(site: Site, two: tuple[Person, Person]) -> None:
    """It says so, shows the list, and what one had still to say there is not kept for ever."""
    ada, grace = two
    room = int(ada.page.url.rpartition("/")[2])
    owner = as_caller(site, ada)
    (channel,) = [each for each in owner.get("/chat/channels")["data"] if each["id"] == room]
    (member,) = [each["id"] for each in channel["members"] if each["user"]["friendly_name"] == "Grace"]
    owner.post(f"/chat/channels/{room}/remove", {"member_id": member})

    grace.is_told("You are no longer in Road trip.")
    grace.page.get_by_role("heading", name="Rooms").wait_for()
    grace.until("location.hash === '#/'")
    ada.say("she is gone")


def test_an_invitation_that_is_renewed(site: Site, two: tuple[Person, Person]) -> None:
    """Whoever is in the room stays, and goes on without noticing."""
    ada, grace = two
    room = int(ada.page.url.rpartition("/")[2])
    before = ada.invitation()
    as_caller(site, ada).post(f"/chat/channels/{room}/renew", {})
    grace.say("still here")

    ada.sees("still here")
    assert ada.invitation() != before


def test_a_message_that_is_refused(two: tuple[Person, Person]) -> None:
    """It says why, and can be sent again or discarded."""
    ada, grace = two
    text = "x" * 10_001
    ada.page.get_by_label("Message", exact=True).fill(text)
    ada.page.get_by_text("1 characters too many; a message has at most 10,000.").wait_for()
    assert ada.page.get_by_role("button", name="Send").is_disabled()
    ada.page.get_by_label("Message", exact=True).fill(text[1:])
    ada.page.get_by_role("button", name="Send").click()

    grace.sees(text[1:])
    assert grace.bubble("xxx").get_by_role("button", name="Show all of it").is_visible()
