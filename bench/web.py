"""Measure the web page in a real browser against the real services, and take its picture for the README.

It runs services, database and gateway of its own, as `./stampchat local` does, and Debian's Chromium without a screen:

    .venv/bin/python -m bench.web                       the figures, as a table
    .venv/bin/python -m bench.web --picture docs/page.png
"""

from __future__ import annotations

import argparse
import base64
import json
import statistics
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from deployer.report import Silent
from deployer.web.modules import fetch_packages
from deployer.workspace import ROOT, load_workspace
from tests.web.chromium import add_playwright, find_chromium
from tests.web.crowd import say_many, stamp_many
from tests.web.person import Person
from tests.web.site import Site

KEYS = 200
STAMPS = 100
CROWD = 2_000
MESSAGES = 10_000
BATCH = 500
# A frame that takes longer than two of a screen with 60 of them a second is one that an eye may notice.
SLOW_FRAME = 34.0
WIDE = {"width": 980, "height": 700}
PHONE = {"width": 375, "height": 700}
Row = tuple[str, str]

NOTE_KEYS = """() => { globalThis.pressed = [];
addEventListener("keydown", (event) => {
    if (event.key === "Enter") globalThis.pressed.push(performance.timeOrigin + event.timeStamp);
}, {capture: true}); }"""
# A frame callback after the one in which a row is drawn runs when that has been painted.
NOTE_PAINTS = """() => { globalThis.painted = [];
new MutationObserver((changes) => {
    const rows = changes.flatMap((change) => [...change.addedNodes]).filter((node) => node.matches?.(".row"));
    if (rows.length) requestAnimationFrame(() => requestAnimationFrame(() => {
        for (const row of rows) globalThis.painted.push([row.querySelector(".text")?.textContent,
            performance.timeOrigin + performance.now()]);
    }));
}).observe(document.querySelector(".messages"), {childList: true}); }"""
NOTE_FRAMES = """() => { globalThis.frames = []; let last = performance.now();
const next = (now) => {
    globalThis.frames?.push(now - last);
    last = now;
    if (globalThis.frames) requestAnimationFrame(next);
};
requestAnimationFrame(next); }"""
TAKE_FRAMES = "() => { const told = globalThis.frames.slice(1); globalThis.frames = null; return told; }"
# One notch of a wheel in each frame, until the room's beginning is in sight.
SCROLL_UP = """() => new Promise((done) => {
const scroller = document.querySelector(".scroller");
const next = () => {
    if (document.querySelector(".top").textContent.includes("begins") && scroller.scrollTop < 1) done();
    else { scroller.scrollTop -= 120; requestAnimationFrame(next); }
};
next(); })"""


def main() -> None:
    """Measure, or take the picture."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--picture", type=Path, help="write a picture of two people who chat, and measure nothing")
    options = parser.parse_args()
    chromium = find_chromium()
    add_playwright()
    from playwright.sync_api import sync_playwright

    site = Site()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(chromium.program), env=chromium.environ)
        try:
            site.start()
            if options.picture:
                take_picture(browser, site, options.picture)
            else:
                print("| what | measured |\n| --- | --- |")
                for what, said in chain(first_load(browser, site), with_two(browser, site)):
                    print(f"| {what} | {said} |", flush=True)
        finally:
            browser.close()
            site.stop()


def first_load(browser: Any, site: Site) -> list[Row]:
    """Count what a browser that has nothing fetches until one can log in."""
    context = browser.new_context()
    page = context.new_page()
    network = context.new_cdp_session(page)
    network.send("Network.enable")
    sizes: list[float] = []
    network.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    page.goto(f"{site.url}/", wait_until="networkidle")
    first, count = sum(sizes), len(sizes)
    sizes.clear()
    page.reload(wait_until="networkidle")
    context.close()
    return [
        ("first load, bytes as sent, headers included", f"{first:,.0f} in {count} requests"),
        ("a later load", f"{sum(sizes):,.0f} bytes"),
    ]


def with_two(browser: Any, site: Site) -> Iterator[Row]:
    """Measure what takes two people."""
    ada = Person(browser.new_context(viewport=WIDE).new_page(), f"{site.url}/", "Ada").log_in()
    link = ada.make_room("Measured")
    grace = Person(browser.new_context(viewport=WIDE).new_page(), f"{site.url}/", "Grace").log_in(link)
    grace.see_room("Measured")
    topic = link.rpartition("/")[2]
    yield keys(ada, grace)
    yield axe(ada)
    yield stamps(site, grace, topic)
    yield from crowd(site, grace, topic)
    yield from memory(site, grace, topic)


def keys(ada: Person, grace: Person) -> Row:
    """Time each key press until the other browser has painted."""
    ada.page.evaluate(NOTE_KEYS)
    grace.page.evaluate(NOTE_PAINTS)
    field = ada.page.get_by_label("Message", exact=True)
    for number in range(KEYS):
        field.fill(f"key {number}")
        field.press("Enter")
        grace.until("text => globalThis.painted.some(([said]) => said === text)", f"key {number}")
    pressed = ada.page.evaluate("globalThis.pressed")
    painted = dict(grace.page.evaluate("globalThis.painted"))
    took = sorted(painted[f"key {number}"] - at for number, at in enumerate(pressed))
    return f"key press to the other browser's paint, {KEYS} times", (
        f"p50 {statistics.median(took):.0f} ms, p99 {took[int(0.99 * len(took))]:.0f} ms"
    )


def axe(person: Person) -> Row:
    """Count what axe-core finds in a room."""
    cache = load_workspace().cache
    folder = fetch_packages(ROOT / "tests/web/npm", ROOT / "web/node.txt", cache=cache, report=Silent())
    person.page.evaluate((folder / "axe-core" / "axe.min.js").read_text(encoding="utf-8"))
    found = person.page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    return "findings of axe-core in a room", str(len(found))


def stamps(site: Site, grace: Person, topic: str) -> Row:
    """Watch the frames while many stamps land on one message."""
    bob = site.log_in("Bob")
    bob.post("/chat/channels/join", {"topic": topic})
    (target,) = say_many(site, bob, topic, ["a target for many stamps, wide enough for all of them to be seen"])
    grace.sees("a target for many")
    some = [
        {
            "word": "Wow",
            "xPos": number / STAMPS,
            "yPos": (number % 7) / 6,
            "strength": number / STAMPS,
            "messageId": target,
        }
        for number in range(STAMPS)
    ]
    watch_frames(grace)
    stamp_many(site, bob, topic, some)
    grace.await_stamps("a target for many", STAMPS)
    grace.page.wait_for_timeout(500)
    return f"frames while {STAMPS} stamps land", take_frames(grace)


def crowd(site: Site, grace: Person, topic: str) -> Iterator[Row]:
    """Watch the frames while a room fills up, and while one goes up through all of it."""
    bob = site.log_in("Bob")
    watch_frames(grace)
    say_many(site, bob, topic, [f"one of {CROWD}: {number}" for number in range(CROWD)])
    grace.sees(f"one of {CROWD}: {CROWD - 1}")
    yield f"frames while {CROWD:,} messages come, 150 a second", take_frames(grace)
    grace.page.reload()
    grace.see_room("Measured")
    grace.sees(f"one of {CROWD}: {CROWD - 1}")
    watch_frames(grace)
    grace.page.evaluate(SCROLL_UP)
    yield "frames while one scrolls up through all of them, 120 pixels a frame", take_frames(grace)
    # Whoever reads far up is not shown what is said at the end.
    grace.page.reload()
    grace.see_room("Measured")


def watch_frames(person: Person) -> None:
    """Begin to note how long frames take."""
    person.page.context.browser.start_tracing(categories=["toplevel"])
    person.page.evaluate(NOTE_FRAMES)


def take_frames(person: Person) -> str:
    """Say how long the frames took since watch_frames, and how much of that was the pages' own work.

    Whatever else the machine does makes a frame late; the time that a task had the processor is the page's own.
    """
    frames: Sequence[float] = person.page.evaluate(TAKE_FRAMES)
    events = json.loads(person.page.context.browser.stop_tracing())["traceEvents"]
    mains = {(each["pid"], each["tid"]) for each in events if each.get("args", {}).get("name") == "CrRendererMain"}
    tasks = [each["tdur"] / 1000 for each in events if "tdur" in each and (each["pid"], each["tid"]) in mains]
    slow = sum(1 for frame in frames if frame > SLOW_FRAME)
    own = sum(1 for task in tasks if task > SLOW_FRAME)
    return (
        f"{len(frames)}, median {statistics.median(frames):.1f} ms, longest {max(frames):.0f} ms,"
        f" {slow} over {SLOW_FRAME:.0f} ms; longest task of the page by its own processor time"
        f" {max(tasks, default=0):.0f} ms, {own} over {SLOW_FRAME:.0f} ms"
    )


def memory(site: Site, grace: Person, topic: str) -> list[Row]:
    """Weigh the page before and after thousands of messages."""
    before = weigh(grace)
    bob = site.log_in("Bob")
    for start in range(0, MESSAGES, BATCH):
        say_many(site, bob, topic, [f"weighed {number}" for number in range(start, start + BATCH)])
    grace.sees(f"weighed {MESSAGES - 1}")
    after = weigh(grace)
    return [
        (f"heap of the page before, and after {MESSAGES:,} messages", f"{before[0]:.1f} MB, {after[0]:.1f} MB"),
        ("DOM nodes before and after", f"{before[1]:,.0f}, {after[1]:,.0f}"),
    ]


def weigh(person: Person) -> tuple[float, float]:
    """Return the heap in megabytes and the number of nodes, after a collection."""
    session = person.page.context.new_cdp_session(person.page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    metrics = {each["name"]: each["value"] for each in session.send("Performance.getMetrics")["metrics"]}
    return metrics["JSHeapUsedSize"] / 1e6, metrics["Nodes"]


def take_picture(browser: Any, site: Site, path: Path) -> None:
    """Let two people chat and stamp, and put what both see beside each other."""
    wide = browser.new_context(viewport=WIDE, device_scale_factor=2)
    phone = browser.new_context(
        viewport=PHONE, device_scale_factor=2, color_scheme="dark", has_touch=True, is_mobile=True
    )
    ada = Person(wide.new_page(), f"{site.url}/", "Ada").log_in()
    for name, last in (("Book club", "Chapter seven is mine"), ("Family", "Dinner on Sunday?")):
        ada.make_room(name)
        ada.say(last)
    link = ada.make_room("Road trip")
    grace = Person(phone.new_page(), f"{site.url}/", "Grace").log_in(link)
    grace.see_room("Road trip")
    talk = [
        (ada, "Shall we go to the sea on Saturday?"),
        (grace, "Yes! I can drive, there is room for three."),
        (ada, "I bring the sandwiches 🥪"),
        (grace, "And music. Lots of it, the whole way there and back again."),
        (ada, "Edsger wants to know whether the dog may come, too"),
    ]
    for who, text in talk:
        who.say(text)
        for each in (ada, grace):
            each.sees(text)
    ada.throw("Yes!", "I can drive", (0.93, 0.85), hold=500)
    grace.throw("Wow", "to the sea", (0.06, 0.9), hold=250)
    grace.throw("LOL", "sandwiches", (0.95, 0.95), hold=120)
    ada.throw("Love it", "And music", (0.85, 0.9), hold=900)
    grace.throw("Yes!", "the dog", (0.1, 0.95), hold=900)
    ada.page.mouse.move(200, 500)
    grace.page.get_by_label("Message", exact=True).fill("Of course he")
    ada.page.locator(".about", has_text="typing").wait_for()
    shots = [each.page.screenshot() for each in (ada, grace)]
    path.write_bytes(_beside(browser, shots))


def _beside(browser: Any, shots: Sequence[bytes]) -> bytes:
    page = browser.new_context(viewport={"width": 1460, "height": 790}).new_page()
    images = "".join(f'<img src="data:image/png;base64,{base64.b64encode(shot).decode()}">' for shot in shots)
    style = (
        "body{margin:0;height:790px;display:flex;gap:40px;align-items:center;justify-content:center;background:#d9d4ea}"
        "img{height:700px;border-radius:18px;box-shadow:0 12px 40px rgb(30 20 60/30%)}"
    )
    page.set_content(f"<style>{style}</style>{images}")
    shot: bytes = page.screenshot()
    return shot


if __name__ == "__main__":
    main()
