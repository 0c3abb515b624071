"""Thousands of messages cost no more than those that one sees."""

from __future__ import annotations

from tests.web.conftest import MakePerson
from tests.web.crowd import say_many
from tests.web.site import Site

MANY = 2000
# Rows that a window may have; message-list.js says the same.
ROWS = 225


def test_two_thousand_messages(site: Site, person: MakePerson) -> None:
    """As they come, and as one scrolls up through all of them: in order, each once, and a few rows at a time."""
    ada = person("Ada").log_in()
    topic = ada.make_room("Many").rpartition("/")[2]
    bob = site.log_in("Bob")
    bob.post("/chat/channels/join", {"topic": topic})
    ada.page.evaluate(
        """most => { globalThis.most = 0; new MutationObserver(() =>
        (globalThis.most = Math.max(globalThis.most, document.querySelectorAll('.row').length)))
        .observe(document.querySelector('.messages'), {childList: true}); }"""
    )
    say_many(site, bob, topic, [f"number {number}" for number in range(MANY)])
    ada.sees(f"number {MANY - 1}")
    assert ada.page.evaluate("globalThis.most") <= ROWS

    seen: dict[int, None] = {}
    ada.page.get_by_role("region", name="Messages").hover()
    while 0 not in seen:
        ada.page.mouse.wheel(0, -2000)
        ada.page.wait_for_timeout(30)
        numbers = [int(text.split()[1]) for text in ada.texts]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        seen |= dict.fromkeys(numbers)
    assert len(seen) == MANY
    assert ada.page.evaluate("globalThis.most") <= ROWS

    while f"number {MANY - 1}" not in ada.texts:
        ada.page.mouse.wheel(0, 4000)
        ada.page.wait_for_timeout(30)
    ada.page.locator(".top").wait_for(state="attached")
    bob_says = say_many(site, bob, topic, ["the end"])
    ada.page.get_by_role("region", name="Messages").evaluate("each => each.scrollTo(0, each.scrollHeight)")
    ada.sees("the end")
    assert bob_says
