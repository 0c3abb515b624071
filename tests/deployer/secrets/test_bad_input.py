"""What a person gets wrong, tried with the real commands: each says what, where and what next, and nothing leaks.

Every process that a command starts is watched, and every file that it leaves is read.
"""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from deployer.workspace import ROOT, load_workspace
from tests.infra.configs import SERVICE_ACCOUNT

PASSWORD = "hush-of-the-database"
URL = f"postgresql://app:{PASSWORD}@auth.invalid/stamp_chat?sslmode=verify-full"
KEY = json.loads(SERVICE_ACCOUNT)["private_key"]
# Of the key a middle piece, as it stands in the file and once more in base64, which hides a word at any place.
SECRETS = [PASSWORD, KEY.splitlines()[3], base64.b64encode(SERVICE_ACCOUNT.encode())[:60].decode()]
PARTS = ("cli", "deployer", "infra", "stacks", "policy")


@dataclass(frozen=True)
class Said:
    """Hold what came of a command."""

    status: int
    text: str


@dataclass
class Checkout:
    """Be a checkout of its own, whose commands run as a person's do."""

    root: Path
    seen: set[bytes] = field(default_factory=set)

    @property
    def file(self) -> Path:
        """The stack's file."""
        return self.root / "Pulumi.prod.yaml"

    @property
    def passphrase(self) -> Path:
        """What opens it."""
        return self.root / ".stampchat" / "pulumi" / "passphrase"

    def begin(self, *words: str, text: str | bytes | None = None) -> subprocess.Popen[bytes]:
        """Start a command that no terminal belongs to."""
        environ = {key: value for key, value in os.environ.items() if not key.startswith(("PULUMI_", "STAMPCHAT_"))}
        environ |= {"STAMPCHAT_CACHE": str(load_workspace().cache), "PYTHONPATH": str(self.root), "COLUMNS": "200"}
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", *words],
            cwd=self.root,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        if process.stdin is not None:
            process.stdin.write(text.encode() if isinstance(text, str) else text or b"")
            process.stdin.close()
            process.stdin = None
        return process

    def run(self, *words: str, text: str | bytes | None = None) -> Said:
        """Run a command, its processes watched."""
        over = threading.Event()
        watcher = threading.Thread(target=self._watch, args=[over])
        watcher.start()
        try:
            with self.begin(*words, text=text) as process:
                out = process.communicate()[0]
        finally:
            over.set()
            watcher.join()
        assert self.seen, "the watch saw no process at all"
        return Said(process.returncode, out.decode())

    def _watch(self, over: threading.Event) -> None:
        while not over.wait(0.05):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    # What a command starts has its environment; other tests run at the same time.
                    if f"PYTHONPATH={self.root}\0".encode() in (path.parent / "environ").read_bytes():
                        self.seen.add(path.read_bytes())
                except OSError:
                    continue

    def leaks(self, *texts: str) -> list[str]:
        """List where a secret is seen: in what was printed, on a command line, in a file."""
        found = [f"printed: {secret}" for secret in SECRETS for text in texts if secret in text]
        found += [f"command line: {secret}" for secret in SECRETS for line in self.seen if secret.encode() in line]
        for path in self.root.rglob("*"):
            if path.is_file() and not path.is_symlink() and not any(part in PARTS for part in path.parts):
                content = path.read_bytes()
                found += [f"{path}: {secret}" for secret in SECRETS if secret.encode() in content]
        return found


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Copy what the commands are made of, once."""
    root = tmp_path_factory.mktemp("checkout")
    leave = shutil.ignore_patterns("__pycache__", "_cache")
    for name in PARTS:
        shutil.copytree(ROOT / name, root / name, ignore=leave)
    for name in ("Pulumi.yaml", "Pulumi.dev.yaml", "Pulumi.prod.yaml", "versions.toml", "pyproject.toml"):
        shutil.copy(ROOT / name, root / name)
    return root


@pytest.fixture
def checkout(copy: Path) -> Iterator[Checkout]:
    """Give a test the copy as it was cloned."""
    shutil.copy(ROOT / "Pulumi.prod.yaml", copy / "Pulumi.prod.yaml")
    yield Checkout(copy)
    shutil.rmtree(copy / ".stampchat", ignore_errors=True)


WHERE = "Firebase console, Project settings, Service accounts, Generate new private key"
FIREBASE_FILES = {
    "web.json": ('{"apiKey": "AIza", "authDomain": "x.firebaseapp.com"}', f"is the web app's config .*{WHERE}"),
    "google-services.json": ('{"project_info": {}, "client": []}', f"the Android app's config.*{WHERE}"),
    "oauth.json": ('{"installed": {"client_secret": "x"}}', f"is an OAuth client's file.*{WHERE}"),
    "encoded.txt": (base64.encodebytes(SERVICE_ACCOUNT.encode()), "is base64 already; give the JSON file itself"),
    "truncated.json": (SERVICE_ACCOUNT[:900], "breaks off or is damaged .*download the file again"),
    "key.json": (SERVICE_ACCOUNT.replace("MII", "AAA", 1), "private_key that is no PEM key.*download the file again"),
    "key.pem": (KEY, f"is a key alone; give the whole JSON file from: {WHERE}"),
    "empty.json": ("", f"is empty; give the file from: {WHERE}"),
    "list.json": ("[]", f"is JSON, but not an object; give the file from: {WHERE}"),
    "page.html": ("<html></html>", f"is not JSON; give the file from: {WHERE}"),
    "picture.json": (b"\x89PNG\xff\xd8", "is no text in UTF-8.*Give the file as it was downloaded"),
}


def test_every_wrong_firebase_file_is_told_apart(checkout: Checkout, tmp_path: Path) -> None:
    """By its own words, with where the right one comes from, also under --debug."""
    before = checkout.file.read_bytes()
    for name, (content, _) in FIREBASE_FILES.items():
        (tmp_path / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    names = [*FIREBASE_FILES, "folder", "absent.json"]
    (tmp_path / "folder").mkdir()

    with ThreadPoolExecutor(2) as pool:
        said = list(
            pool.map(lambda name: checkout.run("--debug", "secrets", "import-firebase", str(tmp_path / name)), names)
        )

    for name, answer in zip(names, said, strict=True):
        expected = FIREBASE_FILES.get(name, ("", f"{name} cannot be read: (Is a directory|No such file)"))[1]
        flat = " ".join(answer.text.split())
        assert answer.status == 2, flat
        assert re.search(expected, flat), (name, flat)
        assert "Nothing was changed." in answer.text
    assert checkout.file.read_bytes() == before
    assert not (checkout.root / ".stampchat" / "pulumi").exists()
    assert checkout.leaks(*[answer.text for answer in said]) == []


def test_a_file_with_a_byte_order_mark_is_what_it_is(checkout: Checkout, tmp_path: Path) -> None:
    """Windows' editors write the one, its shells the other."""
    for name, encoding in (("editor.json", "utf-8-sig"), ("shell.json", "utf-16")):
        (tmp_path / name).write_bytes(SERVICE_ACCOUNT.encode(encoding))

        said = checkout.run("secrets", "import-firebase", str(tmp_path / name))

        assert said.status == 0, said.text
        assert checkout.leaks(said.text) == []


DATABASE_URLS = {
    f"postgresql://app:{PASSWORD}@db.invalid?sslmode=require": "names no database after its host",
    f"postgresql://app:{PASSWORD} x@db.invalid/d?sslmode=require": "holds a space .*write a space in a password as %20",
    f"postgresql://app:{PASSWORD}%@db.invalid/d?sslmode=require": "holds a % .*write % in a password as %25",
    f"postgresql://app:{PASSWORD}@x@db.invalid/d?sslmode=require": "holds an @ too many; write @ in a password as %40",
    f"postgresql://app:{PASSWORD}#@db.invalid/d?sslmode=require": "is not an address .*in a password as %XX",
    f"postgresql://app:{PASSWORD}@db.invalid/d": "does not ask for TLS; end it with .sslmode=",
    f"host=db.invalid user=app password={PASSWORD}": "is a list of key=value; write it as postgresql://",
    f"mysql://app:{PASSWORD}@db.invalid/d": "is not an address of the form postgresql://",
}

BUS_URLS = {
    f"nats://chat:{PASSWORD}@nats.invalid": "does not ask for TLS outside the cluster",
    f"tls://chat:{PASSWORD}/@nats.invalid": "is no list of addresses such as nats://",
    f"postgresql://app:{PASSWORD}@db.invalid/d": "does not ask for TLS; end it with .sslmode=",
}


def test_every_wrong_url_is_told_and_never_quoted(checkout: Checkout) -> None:
    """With what to write in its place."""
    before = checkout.file.read_bytes()
    wrong = [("auth-database-url", *each) for each in DATABASE_URLS.items()]
    wrong += [("bus-url", *each) for each in BUS_URLS.items()]

    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(lambda each: checkout.run("--debug", "secrets", "set", each[0], text=each[1]), wrong))

    for answer, (name, _, expected) in zip(said, wrong, strict=True):
        assert answer.status == 2, answer.text
        assert re.search(f"{name} {expected}", " ".join(answer.text.split())), answer.text
    assert checkout.file.read_bytes() == before
    assert checkout.leaks(*[answer.text for answer in said]) == []


@pytest.mark.parametrize(
    "words",
    [
        ["secrets", "set", "auth-database-url", URL],
        ["secrets", "set", "auth-database-url", "--file", URL],
        ["secrets", "init", "--auth-database-url-file", URL],
        ["secrets", "import-firebase", SERVICE_ACCOUNT],
    ],
)
def test_a_secret_on_the_command_line_is_refused_and_not_repeated(checkout: Checkout, words: list[str]) -> None:
    """It is known by then, and the answer says so."""
    with checkout.begin(*words) as process:
        text = process.communicate()[0].decode()

    assert process.returncode == 2
    assert "Take what you typed for known by now: renew it where it comes from" in " ".join(text.split())
    assert checkout.leaks(text) == []


def test_without_a_terminal_all_that_lacks_is_named(checkout: Checkout) -> None:
    """By the options that would give it; two of them cannot read one standard input."""
    said = checkout.run("secrets", "init", "--hostname", "chat.stampchat.app")
    both = checkout.run("secrets", "init", "--firebase", "-", "--auth-database-url-file", "-")

    assert (said.status, both.status) == (2, 2)
    for option in (
        "--auth-database-url-file",
        "--notifications-database-url-file",
        "--firebase",
        "--context",
        "--email",
    ):
        assert option in said.text
    assert "--hostname" not in said.text
    assert "Only one value can come from standard input." in both.text
    assert not (checkout.root / ".stampchat").exists()


def test_commands_at_once_take_turns(checkout: Checkout) -> None:
    """On a fresh stack each would else make a salt, and the last one would lock the others' secrets in for ever."""
    names = ("auth-database-url", "chat-database-url", "notifications-database-url")
    processes = [checkout.begin("secrets", "set", name, text=URL) for name in names]
    said = [process.communicate()[0].decode() for process in processes]

    assert [process.returncode for process in processes] == [0, 0, 0], said
    answer = checkout.run("secrets", "check", "--json")
    states = {state["name"]: state for state in json.loads(answer.text[answer.text.index("{") :])["secrets"]}
    assert [states[name]["set"] for name in names] == [True, True, True]
    assert [states[name]["problems"] for name in names] == [[], [], []]
    assert checkout.leaks(*said, answer.text) == []


def test_a_lost_passphrase_is_told_and_none_is_made(checkout: Checkout) -> None:
    """A new one would open nothing; a wrong one is told by every verb that needs it."""
    assert checkout.run("secrets", "set", "auth-database-url", text=URL).status == 0
    right = checkout.passphrase.read_text()
    before = checkout.file.read_bytes()
    checkout.passphrase.unlink()

    lost = checkout.run("secrets", "check")
    assert (lost.status, checkout.passphrase.exists()) == (2, False)
    assert "Put it there from your backup" in " ".join(lost.text.split())

    checkout.passphrase.write_text("another")
    wrong = checkout.run("secrets", "set", "auth-database-url", text=URL)
    assert wrong.status == 2
    assert f"another one than {checkout.passphrase} holds" in " ".join(wrong.text.split())
    assert checkout.file.read_bytes() == before
    assert checkout.leaks(lost.text, wrong.text) == []
    assert right not in lost.text + wrong.text


def test_ctrl_c_leaves_the_file_as_it_was_or_as_it_should_be(checkout: Checkout) -> None:
    """Whenever it comes: here when the engine is first seen at work."""
    before = checkout.file.read_bytes()
    process = checkout.begin("secrets", "set", "auth-database-url", text=URL)
    with process:
        while not list((checkout.root / ".stampchat").glob("pulumi/secrets-*/Pulumi.prod.yaml")):
            assert process.poll() is None, "it ended before it could be stopped"
        os.killpg(process.pid, signal.SIGINT)
        text = process.communicate()[0].decode()

    assert (process.returncode, "stampchat: stopped." in text) == (130, True), text
    assert checkout.file.read_bytes() == before
    assert not list((checkout.root / ".stampchat").glob("pulumi/secrets-*"))
    assert not list(checkout.root.glob("*.part"))
    assert checkout.leaks(text) == []
    # Nothing has to be cleared away.
    assert checkout.run("secrets", "set", "auth-database-url", text=URL).status == 0


FULL = """\
mount -t tmpfs -o size=64k full "$1" && cp "$2" "$1/Pulumi.prod.yaml" && dd if=/dev/zero of="$1/rest" bs=1k 2>/dev/null
exec "$3" -c '
import pathlib, sys
from deployer.errors import DeployError
from deployer.stack_file import change_stack_file
path = pathlib.Path(sys.argv[1]) / "Pulumi.prod.yaml"
before = path.read_bytes()
try:
    change_stack_file(path, {"stampchat:hostname": "chat.stampchat.app"}, {})
except DeployError as error:
    print(error)
assert path.read_bytes() == before
print(sorted(child.name for child in path.parent.iterdir()))
' "$1"
"""


def test_a_full_disk_leaves_the_stacks_file_as_it_was(tmp_path: Path) -> None:
    """A file system that has no byte left, for real."""
    if os.geteuid() != 0 or not sys.platform.startswith("linux"):
        pytest.skip("NOT TESTED: only root on Linux can mount a disk that is full")
    folder = tmp_path / "full"
    folder.mkdir()
    words = ["unshare", "--mount", "sh", "-c", FULL, "sh", str(folder), str(ROOT / "Pulumi.prod.yaml"), sys.executable]

    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert f"{folder}/Pulumi.prod.yaml cannot be written: No space left on device." in done.stdout
    assert "It is as it was." in done.stdout
    assert "['Pulumi.prod.yaml', 'rest']" in done.stdout


def test_a_file_that_stands_in_the_clear_is_called_bad(checkout: Checkout) -> None:
    """Somebody put a URL into the file by hand: the check says so, and does not show it."""
    settings = yaml.safe_load(checkout.file.read_text())
    settings["config"]["stampchat:authDatabaseUrl"] = URL
    checkout.file.write_text(yaml.safe_dump(settings))

    said = checkout.run("secrets", "check")

    assert said.status == 1
    assert "BAD  stands in the file unencrypted; set it again" in said.text
    assert PASSWORD not in said.text
