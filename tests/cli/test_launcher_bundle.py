"""The launcher makes .venv out of a bundle, by no network, and says what is wrong with one."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.test_launcher import SAYS, environment
from tests.deployer.bundle.parts import PACKAGE, lock_of, make_bundle, make_wheel, make_workspace

ROOT = Path(__file__).resolve().parents[2]
IMPORTS = f"import {PACKAGE}\n{SAYS}"

pytestmark = pytest.mark.usefixtures("_quickly")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "checkout"
    (folder / "cli").mkdir(parents=True)
    shutil.copy2(ROOT / "stampchat", folder / "stampchat")
    (folder / "cli" / "__init__.py").touch()
    (folder / "cli" / "__main__.py").write_text(IMPORTS)
    (folder / "requirements.lock").write_text(lock_of(make_wheel(tmp_path / "wheels")))
    (folder / "requirements-dev.lock").write_text("# nothing\n")
    return folder


@pytest.fixture
def bundle(checkout: Path, tmp_path: Path) -> Path:
    wheel = next((tmp_path / "wheels").iterdir())
    workspace = make_workspace(tmp_path / "there", wheel)
    del checkout
    return make_bundle(workspace, wheel, tmp_path / "the bundle.tar.gz").path


def start(checkout: Path, *args: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [str(checkout / "stampchat"), *args]
    # One alone, the quick one: a machine's others may be of the version that a test says it lacks.
    found = shutil.which("python3") or sys.executable
    own = {"STAMPCHAT_PYTHON": found, "STAMPCHAT_CACHE": str(checkout / "cache"), **environ}
    return subprocess.run(command, cwd="/", env=environment(**own), capture_output=True, text=True, check=False)


def test_the_environment_comes_out_of_the_bundle(checkout: Path, bundle: Path) -> None:
    """No registry has this package."""
    first = start(checkout, "up", STAMPCHAT_BUNDLE=str(bundle), STAMPCHAT_PYTHON=sys.executable)
    second = start(checkout, "up", STAMPCHAT_BUNDLE=str(bundle))

    assert first.stdout == f"{checkout}/.venv up\n", first.stderr
    assert second.stderr == ""
    assert [path.name for path in (checkout / ".stampchat").iterdir() if path.name == "bundle"] == []


@pytest.mark.parametrize("form", ["--use {}", "--json --use={}"])
def test_the_verb_itself_may_name_it(checkout: Path, bundle: Path, form: str) -> None:
    shutil.move(bundle, bundle.with_name("bundle"))
    args = form.format(bundle.with_name("bundle")).split(" ")

    done = start(checkout, "-q", "bundle", *args)

    assert done.stdout == f"{checkout}/.venv -q bundle {' '.join(args)}\n", done.stderr


def test_what_a_bundle_left_in_the_cache_serves_the_next_checkout(checkout: Path, bundle: Path, tmp_path: Path) -> None:
    del bundle
    said = (
        subprocess.run(["cksum"], input=(checkout / "requirements.lock").read_bytes(), capture_output=True, check=True)
        .stdout.decode()
        .split()
    )
    folder = checkout / "cache" / "python" / f"{said[0]}-{said[1]}-{sys.version_info[0]}.{sys.version_info[1]}"
    shutil.copytree(tmp_path / "wheels", folder)

    done = start(checkout, "up")

    assert done.stdout == f"{checkout}/.venv up\n", done.stderr


def cut_short(bundle: Path) -> None:
    bundle.write_bytes(bundle.read_bytes()[:-200])


def be_something_else(bundle: Path) -> None:
    bundle.write_text("hello\n")


def be_away(bundle: Path) -> None:
    bundle.unlink()


def change(before: bytes, after: bytes) -> Callable[[Path], None]:
    def spoil(bundle: Path) -> None:
        content = gzip.decompress(bundle.read_bytes())
        at = content.index(before)
        end = content.index(b"\n", at)
        told = after.ljust(end - at)[: end - at]
        bundle.write_bytes(gzip.compress(content[:at] + told + content[end:]))

    return spoil


@pytest.mark.parametrize(
    ("spoil", "status", "said"),
    [
        (cut_short, 1, "is cut short or damaged, or no bundle"),
        (be_something_else, 1, "is cut short or damaged, or no bundle"),
        (be_away, 2, "there is no bundle"),
        (change(b"machine ", b"machine z80"), 2, "is for another machine than this"),
        (change(b"lock ", b"lock 1-1"), 2, "was made from another version of this checkout"),
        (change(b"python ", b"python 3.9"), 2, "are for Python 3.9"),
    ],
    ids=["cut short", "something else", "away", "machine", "lock", "python"],
)
def test_a_bundle_that_will_not_do_is_refused_in_a_line(
    checkout: Path, bundle: Path, spoil: Callable[[Path], None], status: int, said: str
) -> None:
    spoil(bundle)

    done = start(checkout, "up", STAMPCHAT_BUNDLE=str(bundle))

    assert done.returncode == status
    assert said in done.stderr
    assert [line for line in done.stderr.splitlines() if not line.startswith("stampchat: opening")] == [
        done.stderr.splitlines()[-1]
    ]
    assert not (checkout / ".venv").exists()
    assert not (checkout / ".stampchat" / "bundle").exists()
