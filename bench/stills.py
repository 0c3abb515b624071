"""Draw the README's pictures from what really runs: a recording of `up` of stack dev, then `top` while people chat.

    .venv/bin/python bench/stills.py [--port N]       writes docs/up.svg and docs/top.svg

The deployment stays; `./stampchat destroy` and `./stampchat cluster down` take it away.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

GROUPS, PEOPLE = 4, 6
# Messages that one person says, and how long she thinks in between.
PAUSE = 0.5
INTERVAL = "5"
# Nobody watches a recording for as long as it took.
FASTER = 4


def main() -> None:
    """Bring the deployment up, have people chat, and draw both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=8080, help="where the gateway answers on this machine")
    port: int = parser.parse_args().port
    draw_up(port)
    asyncio.run(draw_top(f"http://127.0.0.1:{port}"))


def draw_up(port: int) -> None:
    """Run `up`, and draw the lines that it leaves, each when it came."""
    from rich.text import Text

    from cli.still import record

    lines = [(0.0, Text("$ ./stampchat up"))]
    for at, said in run_up(port):
        line = Text(said)
        line.highlight_regex(r"^  done", "green")
        line.highlight_regex(r"https?://\S+", "bold")
        lines.append((at / FASTER, line))
    title = f"./stampchat up ({FASTER} times as fast)"
    (ROOT / "docs" / "up.svg").write_text(record(lines, title), encoding="utf-8")


def run_up(port: int) -> Iterator[tuple[float, str]]:
    """Run `up`; yield its lines with the second in which each came."""
    command = ["./stampchat", "up", "--yes", "--port", str(port)]
    begin, is_over = time.monotonic(), False
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        for said in process.stdout or ():
            is_over |= said == "\n"
            # Each of the resources, and what is under way, is more than a picture has room for.
            if is_over or not said.startswith(("  ...", "         ")):
                yield time.monotonic() - begin, said.rstrip("\n")
    if process.returncode:
        sys.exit(f"up ended with {process.returncode}")


async def draw_top(url: str) -> None:
    """Have people chat, and draw what `top` shows meanwhile."""
    async with aiohttp.ClientSession(url) as client:
        talking = [asyncio.create_task(chat(client, number)) for number in range(GROUPS)]
        command = ["./stampchat", "top", "--once", "--interval", INTERVAL, "--svg", str(ROOT / "docs" / "top.svg")]
        process = await asyncio.create_subprocess_exec(*command, cwd=ROOT)
        status = await process.wait()
        for task in talking:
            task.cancel()
        failures = [found for found in await asyncio.gather(*talking, return_exceptions=True) if not _cancelled(found)]
    if status or failures:
        sys.exit(f"top ended with {status}; people who chat: {failures}")


def _cancelled(found: object) -> bool:
    return isinstance(found, asyncio.CancelledError)


async def chat(client: aiohttp.ClientSession, group: int) -> None:
    """Let some people meet in a group and talk until they are stopped."""
    mark = secrets.token_hex(3)
    tokens = [await log_in(client, f"{group}-{number} {mark}") for number in range(PEOPLE)]
    channel = await post(client, "/chat/channels", {"channel_name": "Road trip"}, tokens[0])
    topic = str(channel["data"]["topic"])
    for token in tokens[1:]:
        await post(client, "/chat/channels/join", {"topic": topic}, token)
    await asyncio.gather(*(talk(client, token, f"room:{topic}") for token in tokens))


async def log_in(client: aiohttp.ClientSession, name: str) -> str:
    """Log in by name; return the token."""
    return str((await post(client, "/auth/login", {"authProvider": "dev", "token": name}, ""))["token"])


async def post(client: aiohttp.ClientSession, path: str, body: Any, token: str) -> Any:
    """Ask for something; whatever fails ends the drawing."""
    async with client.post(path, json=body, headers={"Authorization": f"Bearer {token}"}) as response:
        response.raise_for_status()
        return await response.json()


async def talk(client: aiohttp.ClientSession, token: str, room: str) -> None:
    """Open a socket, join, and say something now and then; what the others say is heard and let go."""
    async with client.ws_connect(f"/chat/socket/websocket?vsn=2.0.0&token={token}") as socket:
        await socket.send_str(json.dumps(["1", "1", room, "phx_join", {}]))
        hearing = asyncio.create_task(_hear(socket))
        try:
            for number in range(2, 1_000_000):
                await socket.send_str(json.dumps(["1", str(number), room, "shout", {"message": "are we there yet?"}]))
                await asyncio.sleep(PAUSE)
        finally:
            hearing.cancel()


async def _hear(socket: aiohttp.ClientWebSocketResponse) -> None:
    async for _ in socket:
        pass


if __name__ == "__main__":
    main()
