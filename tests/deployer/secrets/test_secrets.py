"""A stack's secrets, encrypted by the real engine."""

from __future__ import annotations

import base64
import shutil
import socket
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from deployer.errors import ProcessError, UsageError
from deployer.report import Silent
from deployer.secrets.catalogue import (
    AUTH_DATABASE,
    BUS,
    DATABASES,
    FIREBASE,
    INTERNAL_CREDENTIAL,
    PRIVATE_KEY,
    SECRET_KEY_BASE,
    Given,
    find_generated,
    find_given,
)
from deployer.secrets.check import SecretState, check_secrets
from deployer.secrets.export import export_examples, public_key_file
from deployer.secrets.probe import probe_database
from deployer.secrets.rotate import plan_rotation, rotate
from deployer.secrets.store import CONTEXT, EMAIL, HOSTNAME, missing, store
from deployer.stack_file import change_stack_file, load_stack_file
from deployer.workspace import ROOT, Workspace, load_workspace
from infra.config import DatabaseAddress, public_key, validate_stack
from tests.infra.configs import SERVICE_ACCOUNT, make_service_account
from tests.ports import free_port

URLS = {
    secret: f"postgresql://app:hush-{secret.key}@{secret.key.lower()}.db.cloud/stamp_chat?sslmode=verify-full"
    for secret in DATABASES
}
VALUES: Mapping[Given, str] = {**URLS, FIREBASE: SERVICE_ACCOUNT}
PLAIN = {CONTEXT: "managed", HOSTNAME: "chat.stampchat.app", EMAIL: "ops@stampchat.app"}
HIDDEN = [*(f"hush-{secret.key}" for secret in DATABASES), "BEGIN PRIVATE KEY"]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Make a checkout of the stack files alone; the engine is the machine's own."""
    for name in ("Pulumi.yaml", "Pulumi.dev.yaml", "Pulumi.prod.yaml"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    return Workspace(root=tmp_path, home=tmp_path / ".stampchat", cache=load_workspace().cache)


def prod(workspace: Workspace) -> Path:
    """Name the stack's file."""
    return workspace.root / "Pulumi.prod.yaml"


def states(workspace: Workspace) -> dict[str, SecretState]:
    """Check, by name."""
    return {state.name: state for state in check_secrets(workspace, "prod", Silent())}


def written(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """Read every file below a folder."""
    yield from ((path, path.read_bytes()) for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def test_what_the_user_has_is_stored_encrypted_and_makes_the_stack_valid(workspace: Workspace) -> None:
    """No value stands anywhere in the clear, and the stack's file keeps its comments."""
    before = prod(workspace).read_text().count("#")
    assert [secret.name for secret in missing(load_stack_file(prod(workspace)))[0]] == [
        secret.name for secret in VALUES
    ]

    stored = store(workspace, "prod", VALUES, PLAIN, Silent())

    settings = load_stack_file(prod(workspace))
    assert validate_stack(settings["config"]).firebase_project_id == "stampchat-test"
    assert missing(settings) == ([], [])
    assert set(stored.restarts) == {"auth", "chat", "notifications"}
    assert Path(stored.passphrase).stat().st_mode & 0o777 == 0o600
    assert set(stored.answers) == {secret.name for secret in DATABASES}
    assert all("has no address" in answer for answer in stored.answers.values())
    # Eight placeholders were filled in.
    assert prod(workspace).read_text().count("#") == before - 8
    found = [(path, word) for path, content in written(workspace.root) for word in HIDDEN if word.encode() in content]
    encoded = base64.b64encode(SERVICE_ACCOUNT.encode())[:40]
    assert not found
    assert not [path for path, content in written(workspace.root) if encoded in content]


def test_a_check_says_how_each_is_and_never_what(workspace: Workspace) -> None:
    """Set today, valid, for whom, and where a database is."""
    assert not states(workspace)["auth-database-url"].is_well

    store(workspace, "prod", VALUES, PLAIN, Silent())

    found = states(workspace)
    assert all(state.is_well for state in found.values())
    assert (found["auth-database-url"].age_days, found["auth-database-url"].used_by) == (0, ("auth",))
    assert "app@authdatabaseurl.db.cloud:5432/stamp_chat" in found["auth-database-url"].note
    assert found["firebase-service-account"].note == "project stampchat-test"
    assert not found["private-key"].set
    assert not [word for word in HIDDEN if word in repr(found)]


def test_a_secret_set_again_replaces_the_old_one_alone(workspace: Workspace) -> None:
    """And rolls its own service alone."""
    store(workspace, "prod", VALUES, PLAIN, Silent())
    before = load_stack_file(prod(workspace))

    url = URLS[AUTH_DATABASE].replace("stamp_chat", "elsewhere")
    stored = store(workspace, "prod", {AUTH_DATABASE: url}, {}, Silent())

    after = load_stack_file(prod(workspace))
    changed = {key for key in after["config"] if after["config"][key] != before["config"].get(key)}
    assert changed == {"stampchat:authDatabaseUrl"}
    assert (stored.restarts, after["encryptionsalt"]) == (("auth",), before["encryptionsalt"])
    assert "/elsewhere" in states(workspace)["auth-database-url"].note


def test_an_address_of_nats_is_asked_for_where_the_chat_has_one(workspace: Workspace) -> None:
    """It rolls chat alone, is described without its password, and makes the stack valid."""
    store(workspace, "prod", VALUES, PLAIN, Silent())
    change_stack_file(prod(workspace), {"stampchat:bus": {"kind": "nats"}}, {})
    assert missing(load_stack_file(prod(workspace)))[0] == [BUS]
    assert not states(workspace)["bus-url"].is_well

    stored = store(workspace, "prod", {BUS: "nats://chat:hush-bus@nats.messaging.svc"}, {}, Silent())

    settings = load_stack_file(prod(workspace))
    assert (stored.restarts, stored.answers) == (("chat",), {})
    assert missing(settings) == ([], [])
    assert validate_stack(settings["config"]).bus.kind == "nats"
    assert states(workspace)["bus-url"].is_well
    assert states(workspace)["bus-url"].note == "nats://nats.messaging.svc:4222"
    assert "hush-bus" not in prod(workspace).read_text()


def test_the_database_past_its_pooler_is_asked_for_an_answer(workspace: Workspace) -> None:
    """As every other database, and nobody needs it."""
    assert states(workspace)["bus-url"].is_well

    stored = store(workspace, "prod", {BUS: URLS[AUTH_DATABASE]}, {}, Silent())

    assert "has no address" in stored.answers["bus-url"]
    assert states(workspace)["bus-url"].note.startswith("app@authdatabaseurl.db.cloud:5432/stamp_chat")


def test_bad_values_are_all_told_at_once_and_nothing_is_written(workspace: Workspace) -> None:
    """None is quoted."""
    before = prod(workspace).read_bytes()
    bad = {AUTH_DATABASE: "postgresql://app:hush@h/d", FIREBASE: make_service_account(private_key="hush")}

    with pytest.raises(UsageError) as caught:
        store(workspace, "prod", bad, {HOSTNAME: "chat.example.com", EMAIL: "me"}, Silent(), provider="vault")

    said = str(caught.value)
    for problem in (
        "auth-database-url does not ask for TLS",
        "firebase-service-account has a private_key that is no PEM key",
        "stampchat:hostname is 'chat.example.com', a name that nobody can own",
        "stampchat:acme.email is 'me', not an e-mail address",
        "the provider 'vault' is none of passphrase",
    ):
        assert problem in said
    assert "hush" not in said
    assert prod(workspace).read_bytes() == before
    assert not workspace.home.exists()


def test_a_wrong_passphrase_is_told_and_changes_nothing(workspace: Workspace) -> None:
    """With the file where the right one belongs."""
    store(workspace, "prod", VALUES, PLAIN, Silent())
    before = prod(workspace).read_bytes()
    (workspace.state / "passphrase").write_text("another")

    with pytest.raises(UsageError, match="passphrase does not open the secrets of stack prod"):
        check_secrets(workspace, "prod", Silent())
    with pytest.raises(UsageError, match="passphrase"):
        store(workspace, "prod", {AUTH_DATABASE: URLS[AUTH_DATABASE]}, {}, Silent())

    assert prod(workspace).read_bytes() == before


def test_a_provider_that_is_not_there_writes_nothing(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as a Vault that nobody runs."""
    monkeypatch.setenv("VAULT_ADDR", f"http://127.0.0.1:{free_port()}")
    monkeypatch.setenv("VAULT_TOKEN", "made-up")
    monkeypatch.setenv("VAULT_MAX_RETRIES", "0")
    before = prod(workspace).read_bytes()

    with pytest.raises(ProcessError, match=r"connection refused.*\n.*VAULT_TOKEN"):
        store(workspace, "prod", VALUES, PLAIN, Silent(), provider="hashivault://stampchat")

    assert prod(workspace).read_bytes() == before


def test_the_stack_of_this_machine_has_nothing_to_set(workspace: Workspace) -> None:
    """All of dev's secrets are generated."""
    with pytest.raises(UsageError, match="all of its secrets are generated"):
        store(workspace, "dev", VALUES, {}, Silent())
    with pytest.raises(UsageError, match="no stack 'prud'"):
        check_secrets(workspace, "prud", Silent())


def test_a_rotation_keeps_both_generations_until_it_is_finished(workspace: Workspace) -> None:
    """What has no overlap is replaced at once."""
    begun = plan_rotation(workspace, "prod", PRIVATE_KEY)
    rotate(workspace, PRIVATE_KEY, begun, Silent())

    assert (begun.before, begun.after) == ((1,), (1, 2))
    assert "  stampchat:signingKeys: [1, 2]\n" in prod(workspace).read_text()
    with pytest.raises(UsageError, match="is under way"):
        plan_rotation(workspace, "prod", PRIVATE_KEY)

    with pytest.raises(UsageError, match="have become 1, 2 meanwhile"):
        rotate(workspace, PRIVATE_KEY, begun, Silent())

    rotate(workspace, PRIVATE_KEY, plan_rotation(workspace, "prod", PRIVATE_KEY, finish=True), Silent())
    assert load_stack_file(prod(workspace))["config"]["stampchat:signingKeys"] == [2]
    with pytest.raises(UsageError, match="No rotation of private-key"):
        plan_rotation(workspace, "prod", PRIVATE_KEY, finish=True)
    assert plan_rotation(workspace, "prod", SECRET_KEY_BASE).after == (2,)
    assert plan_rotation(workspace, "prod", INTERNAL_CREDENTIAL).after == (1, 2)


def test_names_lead_to_secrets_or_to_the_right_verb() -> None:
    """Given ones are set, generated ones are rotated."""
    assert find_given("stampchat:chatDatabaseUrl").name == "chat-database-url"
    assert find_generated("private_key") is PRIVATE_KEY
    with pytest.raises(UsageError, match="generated and never set by hand"):
        find_given("private-key")
    with pytest.raises(UsageError, match="is yours"):
        find_generated("auth-database-url")
    with pytest.raises(UsageError, match="no secret 'x'"):
        find_given("x")


def test_examples_have_the_originals_names_and_no_value(tmp_path: Path) -> None:
    """They are never written over what may hold real secrets."""
    paths = export_examples(tmp_path / "secrets_examples", namespace="stampchat")

    assert {path.name for path in paths} >= {
        "auth_stamp_chat_secret.yaml",
        "channels_stamp_chat_secret.yaml",
        "notifications_stamp_chat_secret.yaml",
        "firebase_secret.yaml",
    }
    documents = [yaml.safe_load(path.read_text()) for path in paths]
    assert {document["metadata"]["name"]: set(document["data"]) for document in documents} == {
        "auth-stamp-chat-secret": {"database_url", "private_key"},
        "channels-stamp-chat-secret": {"database_url", "secret_key_base"},
        "notifications-stamp-chat-secret": {"database_url"},
        "firebase-secret": {"firebase_service_account"},
        "internal-credential": {"credential"},
    }
    assert all(value.startswith("<BASE64 OF") for document in documents for value in document["data"].values())
    with pytest.raises(UsageError, match="is there already"):
        export_examples(tmp_path / "secrets_examples", namespace="stampchat")


def answering(reply: bytes) -> tuple[DatabaseAddress, threading.Thread]:
    """Run a server that answers one connection."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with server, server.accept()[0] as client:
            client.recv(8)
            client.sendall(reply)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    return DatabaseAddress("127.0.0.1", server.getsockname()[1], "d", "u", "require"), thread


@pytest.mark.parametrize(
    ("reply", "said"), [(b"N", "offers no TLS"), (b"H", "is no Postgres"), (b"S", "not reachable")]
)
def test_a_server_that_is_no_database_with_tls_is_told_apart(reply: bytes, said: str) -> None:
    """One that says S and hangs up instead of a handshake, too."""
    address, thread = answering(reply)

    assert said in str(probe_database(address))
    thread.join()


def test_a_database_that_is_not_there_is_told() -> None:
    """By port and by name."""
    there = probe_database(DatabaseAddress("127.0.0.1", free_port(), "d", "u", "require"))
    named = probe_database(DatabaseAddress("nowhere.invalid", 5432, "d", "u", "require"))

    # From where the pods are it may be reachable, so neither is a mistake for certain.
    assert ("not reachable" in there.said, there.problem) == (True, "")
    assert ("has no address" in named.said, named.problem) == (True, "")


def test_a_private_key_made_by_hand_has_a_public_half() -> None:
    """For the ConfigMap, as the program derives it."""
    name, pem = public_key_file("a" * 40 + "\n")

    assert (name, pem) == ("".join((public_key("a" * 40)[0], ".pem")), public_key("a" * 40)[1])
    with pytest.raises(UsageError, match="at least 32 characters"):
        public_key_file("short")
