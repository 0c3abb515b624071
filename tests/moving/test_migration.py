"""The commands of docs/migration.md, run on databases and objects as the original's files make them."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from deployer import images
from deployer.report import Silent
from deployer.rest import Answer, Rest
from deployer.secrets.vault import Vault
from deployer.stack_file import change_stack_file, load_stack_file
from deployer.workspace import Workspace, load_workspace
from tests.infra.configs import IMAGES
from tests.moving import original, ours
from tests.moving.conftest import NEW, OLD, Sides
from tests.moving.document import read_steps
from tests.order.objects import eventually
from tests.services.chat.phoenix import Phoenix

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

# In the order of the page. What it calls besides needs a managed cluster: tests/prod has `up`, and no Emissary runs.
STEPS = (
    "variables", "inventory", "secrets", "init", "helpers", "rehearse", "move",
    "move-notifications", "move-channels", "move-auth", "back", "remove",
)  # fmt: skip
ADA = {"id": 1, "uid": "u1", "name": "Ada", "email": "ada@example.com", "picture": None, "identity": "ada_u1"}
TOPIC = "room:road_trip_ab12cd34"


@dataclass
class Move:
    """Hold what one test of the move leaves to the next.

    Attributes:
        sides: both of them.
        token: the original's, of somebody who was logged in all the while.
        fresh: ours, which it was renewed to.
    """

    sides: Sides
    token: str = field(default_factory=lambda: original.sign(ADA))
    fresh: str = ""

    def rest(self, service: str) -> Rest:
        """Reach one of our services at the node."""
        found = self.sides.objects.read(f"/api/v1/namespaces/{NEW}/services/stamp-chat-{service}")
        assert found is not None
        (port,) = (port["nodePort"] for port in found["spec"]["ports"] if port["name"] == "public")
        return Rest(f"http://{self.sides.cluster.info.address}:{port}")

    def ask(self, service: str, path: str, *, token: str = "") -> Answer:
        """Send a GET to one of our services; one that is being replaced is asked again."""
        return self._send(self.rest(service).get(path, token=token or self.token))

    def tell(self, service: str, path: str, body: dict[str, Any], *, token: str = "") -> Answer:
        """Send a POST."""
        return self._send(self.rest(service).post(path, body, token or self.token))

    def route(self, service: str) -> str:
        """Say where the original's gateway sends a service's calls."""
        path = f"/apis/getambassador.io/v3alpha1/namespaces/{OLD}/mappings/mapping-stamp-chat-{service}"
        found = self.sides.objects.read(path)
        assert found is not None
        return str(found["spec"]["service"])

    def _send(self, call: Any) -> Answer:
        answer: Answer = asyncio.run(call)
        return answer


@pytest.fixture(scope="module")
def move(sides: Sides) -> Move:
    """Begin."""
    return Move(sides)


def test_every_step_of_the_page_is_tried(move: Move) -> None:
    """So that none is added that nobody ran."""
    assert move.fresh == ""
    assert tuple(read_steps()) == STEPS


def test_the_inventory_finds_all_of_it(move: Move) -> None:
    """And prints what the page says."""
    found = move.sides.shell.run("inventory").split()

    page = (Path(__file__).resolve().parents[2] / "docs" / "migration.md").read_text(encoding="utf-8")
    printed = page.split("<!-- step: inventory -->")[1].split("```text\n")[1].split("```")[0].split()
    assert sorted(found) == sorted(printed)


def test_the_originals_secrets_are_taken_along(move: Move) -> None:
    """Firebase's file, and the key of the tokens that are out there; the new databases' addresses beside them."""
    assert "legacyTokensUntil" in move.sides.shell.run("secrets")

    checked = move.sides.shell.run("init")

    assert "BAD" not in checked
    for name in ("auth-database-url", "chat-database-url", "notifications-database-url", "firebase-service-account"):
        assert any(line.startswith(name) and " yes " in line for line in checked.splitlines()), checked
    assert original.PRIVATE_KEY.strip() not in checked


def test_the_data_is_carried_over_while_the_original_runs(move: Move) -> None:
    """Row by row, and the old databases keep theirs; into a database that has something in it, too."""
    move.sides.servers.ask("new_auth", "CREATE TABLE users (left_over text)")

    printed = move.sides.shell.run("rehearse")

    assert "notifications: knex_migrations 1, knex_migrations_lock 1, tokens 3" in printed
    assert "messages 100, schema_migrations 1, stamps 1, users 3" in printed
    assert "auth: knex_migrations 1, knex_migrations_lock 1, users 3" in printed
    assert move.sides.servers.ask("old_channels", "SELECT count(*) FROM messages") == 100


def test_ours_come_up_beside_it_and_adopt_what_was_carried(move: Move, tmp_path: Path) -> None:
    """Stack prod's own objects, made of the stack's file as the page's commands left it."""
    values = stack_values(move.sides)
    built = images.build_images(move.sides.cluster.workspace, Silent())["services"].reference
    for manifest in ours.manifests(tmp_path / "root", values, {**IMAGES, "services": built}, NEW):
        move.sides.objects.apply(manifest)

    move.sides.shell.run(
        *(f'kubectl -n "$NEW" rollout status deployment stamp-chat-{name} --timeout=300s' for name in original.PORTS)
    )

    assert move.sides.servers.ask("new_channels", "SELECT count(*) FROM messages") == 100
    assert move.route("channels") == f"stamp-chat-channels.{OLD}:4000"


def test_one_service_after_the_other_is_moved_with_what_was_said_meanwhile(move: Move) -> None:
    """Each stands still while its database is carried over, and then its route is ours."""
    said = "('late', 1, 1, now(), now()) RETURNING id"
    columns = "body, member_id, channel_id, inserted_at, updated_at"
    move.sides.servers.ask("old_channels", f"INSERT INTO messages ({columns}) VALUES {said}")  # noqa: S608  # constants
    order = ("notifications", "channels", "auth")
    for place, name in enumerate(order):
        printed = move.sides.shell.run(f"move-{name}")

        assert "successfully rolled out" in printed
        assert [move.route(one).split(".")[1] for one in order] == [
            f"{NEW if at <= place else OLD}:{original.PORTS[one]}" for at, one in enumerate(order)
        ]
        if name == "channels":
            # The original's auth is the one that hands out tokens yet.
            assert move.ask("channels", "/channels").status == 200
    left = move.sides.objects.read(f"/apis/apps/v1/namespaces/{OLD}/deployments/stamp-chat-channels")
    assert left is not None
    assert left["spec"]["replicas"] == 0


def test_whoever_was_logged_in_still_is_and_gets_a_token_of_ours(move: Move) -> None:
    """As the app does every twenty minutes."""
    answer = move.tell("auth", "/refresh", {"token": move.token})

    move.fresh = answer.expect(200)["token"]
    assert move.ask("channels", "/channels", token=move.fresh).status == 200


def test_old_rooms_and_their_history_are_there(move: Move) -> None:
    """With members, stamps, and what was said last."""
    (room,) = move.ask("channels", "/channels").expect(200)["data"]
    assert (room["friendly_name"], len(room["members"])) == ("Road trip", 2)
    assert room["last_message"]["body"] == "late"

    page = move.ask("channels", f"/channels/{room['id']}/events?last_message_id=").expect(200)["data"]
    rest = move.ask("channels", f"/channels/{room['id']}/events?last_message_id={page['messages'][-1]['id']}")
    bodies = [message["body"] for message in [*page["messages"], *rest.expect(200)["data"]["messages"]]]

    assert bodies == ["late", *(f"said {number}" for number in range(100, 0, -1))]
    assert [stamp["word"] for message in page["messages"] for stamp in message["stamps"]] == ["said"]


async def test_what_is_said_now_continues_the_ids(move: Move) -> None:
    """Over a socket that the old token opened."""
    address = f"{move.rest('channels')._parts.geturl()}/socket/websocket"
    async with aiohttp.ClientSession() as session:
        params = {"token": move.token, "vsn": "2.0.0"}
        async with session.ws_connect(address, params=params) as socket:
            phoenix = Phoenix(socket)
            await phoenix.join(TOPIC)

            assert (await phoenix.shout(TOPIC, "moved"))["id"] == 102


def test_the_devices_are_there(move: Move) -> None:
    """A push reaches whom it reached; one that registers again stays one."""
    before = move.sides.servers.ask("new_notifications", "SELECT count(*) FROM tokens")
    answer = move.tell("notifications", "/register", {"token": "phone"})

    assert answer.expect(200)["identity"] == "ada_u1"
    assert move.sides.servers.ask("new_notifications", "SELECT count(*) FROM tokens") == before == 3


def test_there_is_a_way_back(move: Move) -> None:
    """The original's databases are as they were when it stopped, and its routes are its own again."""
    move.sides.shell.run("back", "back notifications 3001")

    assert move.route("notifications") == f"stamp-chat-notifications.{OLD}:3001"
    assert move.sides.servers.ask("old_channels", "SELECT max(id) FROM messages") == 101


def test_after_the_moment_old_tokens_are_refused_and_ours_are_not(move: Move) -> None:
    """The moment is brought forward, as nobody here waits six hours."""
    moment = datetime.fromtimestamp(time.time() - 1, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    for name in ("auth", "channels"):
        move.sides.shell.run(
            f'kubectl -n "$NEW" set env deployment stamp-chat-{name} STAMPCHAT_LEGACY_UNTIL={moment}',
            f'kubectl -n "$NEW" rollout status deployment stamp-chat-{name} --timeout=300s',
        )

    # A pod that is on its way out may answer yet.
    eventually(lambda: move.ask("channels", "/channels").status == 401, "an old token that is refused")
    eventually(lambda: move.tell("auth", "/refresh", {}).status == 401, "an old token that is refused")
    assert move.ask("channels", "/channels", token=move.fresh).status == 200
    assert move.tell("auth", "/refresh", {}, token=move.fresh).status == 200


def test_the_original_is_taken_away_at_the_end(move: Move) -> None:
    """All that the inventory found, and nothing of ours."""
    move.sides.shell.run("remove")

    assert move.sides.shell.run('kubectl -n "$OLD" get deployments,services,secrets,mappings -o name') == ""
    assert not list(move.sides.copy.root.glob("*.url"))
    assert move.ask("channels", "/channels", token=move.fresh).status == 200


def stack_values(sides: Sides) -> dict[str, str]:
    """Open the stack's file, after saying of the databases what the test's server needs."""
    root = sides.copy.root
    workspace = Workspace(root=root, home=root / ".stampchat", cache=load_workspace().cache)
    change_stack_file(
        root / "Pulumi.prod.yaml",
        {
            "stampchat:databaseCa": sides.servers.authority.read_text(),
            "stampchat:databaseMaxConnections": 1000,
            "stampchat:gateway.kind": "gateway-api",
        },
        {},
    )
    opened, _ = Vault(workspace, "prod", load_stack_file(root / "Pulumi.prod.yaml"), Silent()).open()
    return opened
