"""Give the tests of the page the real services and a real browser, once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from deployer.errors import DeployError
from deployer.report import Silent
from deployer.web.modules import fetch_packages
from deployer.workspace import ROOT, load_workspace
from tests.web.chromium import add_playwright, find_chromium
from tests.web.person import Person
from tests.web.site import Site

HERE = ROOT / "tests" / "web"
# The first of them fetches the browser.
TIMEOUT = 1800
HOW = "Chromium comes by apt-get and Playwright by pip; where apt has none: install a `chromium` on PATH"
# What the page's policy stops is a fault of the page.
REPORT = "addEventListener('securitypolicyviolation', (event) => console.error('policy: ' + event.violatedDirective))"
MakePerson = Callable[..., Person]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give all of them time for a browser that is yet to be fetched, on a machine that does other things too."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.timeout(TIMEOUT))


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    made = Site()
    try:
        made.start()
        yield made
    finally:
        made.stop()


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    try:
        chromium = find_chromium()
        add_playwright()
    except DeployError as error:
        pytest.skip(f"NOT TESTED: the web page, for want of a browser. {HOW}. {error}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(chromium.program),
            env=chromium.environ,
            # Measured and tested without a graphics card, which makes no difference to what the page does.
            args=["--disable-gpu", "--enable-precise-memory-info"],
        )
        yield browser
        browser.close()


@pytest.fixture
def person(site: Site, browser: Any) -> Iterator[MakePerson]:
    """Make people, each with a browser of their own, and see at the end that no page of theirs had a fault."""
    made: list[Person] = []

    def make(name: str, *, beside: Person | None = None, **settings: Any) -> Person:
        context = (
            browser.new_context(**{"viewport": {"width": 1000, "height": 760}, **settings})
            if beside is None
            else beside.page.context
        )
        context.add_init_script(REPORT)
        made.append(Person(context.new_page(), f"{site.url}/", name))
        return made[-1]

    yield make
    faults = [fault for each in made for fault in each.errors]
    for each in made:
        each.page.context.close()
    assert faults == []


@pytest.fixture
def two(person: MakePerson) -> tuple[Person, Person]:
    """Have two people in one room."""
    ada = person("Ada").log_in()
    link = ada.make_room("Road trip")
    grace = person("Grace").log_in(link)
    grace.see_room("Road trip")
    return ada, grace


@pytest.fixture(scope="session")
def axe() -> str:
    """Return axe-core's source."""
    folder = fetch_packages(HERE / "npm", ROOT / "web" / "node.txt", cache=load_workspace().cache, report=Silent())
    return (folder / "axe-core" / "axe.min.js").read_text(encoding="utf-8")
