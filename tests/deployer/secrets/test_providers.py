"""Keys that somebody else keeps: a whole round with Vault's protocol, and the clouds as far as their refusals."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deployer.errors import ProcessError, UsageError
from deployer.pulumi_process import Pulumi
from deployer.report import Silent
from deployer.secrets.catalogue import AUTH_DATABASE, PRIVATE_KEY
from deployer.secrets.check import check_secrets
from deployer.secrets.rotate import plan_rotation, rotate
from deployer.secrets.store import store
from deployer.stack import open_stack
from deployer.stack_file import load_stack_file
from deployer.workspace import ROOT, Workspace, load_workspace
from tests.deployer.secrets.transit import StandInTransit

KEY = "hashivault://stampchat"
# Found before a test moves HOME.
CACHE = load_workspace().cache
URL = "postgresql://app:hush-of-auth@auth.invalid/stamp_chat?sslmode=verify-full"
NEXT_URL = URL.replace("/stamp_chat", "/elsewhere")
# A program that needs a secret, and no cluster.
PROGRAM = """\
import pulumi

pulumi.export("url", pulumi.Config("stampchat").require_secret("authDatabaseUrl"))
"""


@pytest.fixture
def vault(monkeypatch: pytest.MonkeyPatch) -> Iterator[StandInTransit]:
    """Run the stand-in, and let the engine find it as it would find a Vault."""
    for name in ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    with StandInTransit("stampchat") as transit:
        monkeypatch.setenv("VAULT_ADDR", transit.url)
        monkeypatch.setenv("VAULT_TOKEN", "s.of-the-team")
        monkeypatch.setenv("VAULT_MAX_RETRIES", "0")
        yield transit


def make_workspace(folder: Path) -> Workspace:
    """Make a checkout of the stack files and a small program; the engine is the machine's own."""
    (folder / "stacks").mkdir(parents=True)
    (folder / "deployer").symlink_to(ROOT / "deployer")
    (folder / "stacks" / "__main__.py").write_text(PROGRAM)
    for name in ("Pulumi.yaml", "Pulumi.dev.yaml", "Pulumi.prod.yaml"):
        shutil.copy(ROOT / name, folder / name)
    return Workspace(root=folder, home=folder / ".stampchat", cache=CACHE)


def everything_in(folder: Path) -> bytes:
    """Read all files below a folder."""
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


def engine(workspace: Workspace) -> Pulumi:
    """Open the stack as every verb does."""
    pulumi = open_stack(workspace, "prod", load_stack_file(workspace.root / "Pulumi.prod.yaml"), Silent())
    pulumi.init_stack()
    return pulumi


def run(pulumi: Pulumi, *verb: str) -> tuple[int, str]:
    """Run an operation; return its status, and what it said."""
    events: list[Any] = []
    status, said = pulumi.stream(*verb, on_event=events.append)
    return status, said + json.dumps(events)


def test_vault_keeps_the_key_from_the_first_secret_to_an_update_and_on_another_machine(
    tmp_path: Path, vault: StandInTransit
) -> None:
    """No passphrase is made, and the stack's file and a token are all that a second machine needs."""
    first = make_workspace(tmp_path / "first")

    stored = store(first, "prod", {AUTH_DATABASE: URL}, {}, Silent(), provider=KEY)

    settings = load_stack_file(first.root / "Pulumi.prod.yaml")
    assert (stored.passphrase, settings["secretsprovider"]) == ("", KEY)
    assert "encryptionsalt" not in settings
    assert "/v1/transit/encrypt/stampchat" in vault.asked
    # Once it is in the file nobody has to name it.
    store(first, "prod", {AUTH_DATABASE: NEXT_URL}, {}, Silent())
    rotate(first, PRIVATE_KEY, plan_rotation(first, "prod", PRIVATE_KEY), Silent())

    second = make_workspace(tmp_path / "second")
    shutil.copy(first.root / "Pulumi.prod.yaml", second.root)
    vault.answer("/v1/transit/keys/stampchat/rotate", "s.of-the-team", {})
    states = {state.name: state for state in check_secrets(second, "prod", Silent())}
    assert "auth.invalid:5432/elsewhere" in states["auth-database-url"].note
    assert states["private-key"].note == "generation 1, 2; comes with the next up"
    pulumi = engine(second)
    for verb in (["preview"], ["up", "--yes", "--skip-preview"]):
        status, said = run(pulumi, *verb)
        assert status == 0, said
        assert "hush-of-auth" not in said
    assert pulumi.checkpoint()["secrets_providers"]["type"] == "cloud"
    assert pulumi.read("stack", "output", "url", "--show-secrets").strip() == NEXT_URL
    for workspace in (first, second):
        assert not (workspace.state / "passphrase").exists()
        assert b"hush-of-auth" not in everything_in(workspace.root)
        assert b"s.of-the-team" not in everything_in(workspace.root)


def test_a_vault_that_refuses_is_told_and_nothing_is_written(tmp_path: Path, vault: StandInTransit) -> None:
    """A key that is not there, and later a token that is good no more."""
    workspace = make_workspace(tmp_path / "checkout")
    file = workspace.root / "Pulumi.prod.yaml"
    before = file.read_bytes()
    with pytest.raises(ProcessError, match=r"encryption key not found[^$]*It needs Vault's address in VAULT_ADDR"):
        store(workspace, "prod", {AUTH_DATABASE: URL}, {}, Silent(), provider="hashivault://absent")
    assert file.read_bytes() == before

    store(workspace, "prod", {AUTH_DATABASE: URL}, {}, Silent(), provider=KEY)
    before = file.read_bytes()
    vault.tokens.clear()

    with pytest.raises(ProcessError, match=r"permission denied[^$]*VAULT_TOKEN[^$]*Nothing was changed"):
        store(workspace, "prod", {AUTH_DATABASE: NEXT_URL}, {}, Silent())
    with pytest.raises(ProcessError, match="permission denied"):
        check_secrets(workspace, "prod", Silent())
    status, said = run(engine_of_a_known_stack(workspace), "preview")
    assert (status != 0, "permission denied" in said) == (True, True)
    assert file.read_bytes() == before


def engine_of_a_known_stack(workspace: Workspace) -> Pulumi:
    """Open a stack whose state is there already."""
    return open_stack(workspace, "prod", load_stack_file(workspace.root / "Pulumi.prod.yaml"), Silent())


def test_one_provider_does_not_take_the_place_of_another_unasked(tmp_path: Path, vault: StandInTransit) -> None:
    """What is encrypted by a passphrase is moved by the engine's own command, which asks for both."""
    del vault
    workspace = make_workspace(tmp_path / "checkout")
    store(workspace, "prod", {AUTH_DATABASE: URL}, {}, Silent())

    with pytest.raises(UsageError, match="kept by passphrase already"):
        store(workspace, "prod", {AUTH_DATABASE: NEXT_URL}, {}, Silent(), provider=KEY)


@pytest.mark.parametrize(
    ("provider", "needs"),
    [
        ("awskms://alias/stampchat?region=eu-central-1", "It needs AWS credentials"),
        ("gcpkms://projects/p/locations/global/keyRings/r/cryptoKeys/k", "It needs Google credentials"),
        ("azurekeyvault://stampchat.vault.azure.net/keys/stampchat", "It needs Azure credentials"),
    ],
)
def test_a_cloud_without_credentials_says_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, provider: str, needs: str
) -> None:
    """As far as the clouds can be tried without an account: their refusal is told, and nothing is written."""
    for name in ("HOME", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "CLOUDSDK_CONFIG", "AZURE_CONFIG_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "nowhere"))
    # Neither cloud's machine is asked whether this is one of its own.
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "nowhere"))
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
    workspace = make_workspace(tmp_path / "checkout")
    before = (workspace.root / "Pulumi.prod.yaml").read_bytes()

    with pytest.raises(ProcessError, match=needs) as raised:
        store(workspace, "prod", {AUTH_DATABASE: URL}, {}, Silent(), provider=provider)

    assert "hush-of-auth" not in str(raised.value)
    assert (workspace.root / "Pulumi.prod.yaml").read_bytes() == before
    assert not (workspace.state / "passphrase").exists()
