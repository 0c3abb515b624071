"""Start the launcher in a small checkout of its own, with an empty lock file: no network is needed."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SAYS = "import sys; print(sys.prefix, *sys.argv[1:])\n"

pytestmark = pytest.mark.usefixtures("_quickly")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copy2(ROOT / "stampchat", tmp_path / "stampchat")
    (tmp_path / "requirements.lock").write_text("# nothing\n")
    (tmp_path / "requirements-dev.lock").write_text("# nothing, but for developers\n")
    (tmp_path / "requirements-local.lock").write_text("# nothing, but for local\n")
    (tmp_path / "cli").mkdir()
    (tmp_path / "cli" / "__init__.py").touch()
    (tmp_path / "cli" / "__main__.py").write_text(SAYS)
    return tmp_path


def environment(**more: str) -> dict[str, str]:
    return {**{key: value for key, value in os.environ.items() if not key.startswith("STAMPCHAT_")}, **more}


def start(checkout: Path, *args: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [str(checkout / "stampchat"), *args]
    return subprocess.run(command, cwd="/", env=environment(**environ), capture_output=True, text=True, check=False)


def fake_python(tmp_path: Path, script: str) -> str:
    path = tmp_path / "python-of-old"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_the_first_start_makes_the_environment_and_the_second_finds_it(checkout: Path) -> None:
    first, second = (start(checkout, "up", "a b", STAMPCHAT_PYTHON=sys.executable) for _ in range(2))

    assert first.stdout == second.stdout == f"{checkout}/.venv up a b\n"
    assert "preparing Python packages" in first.stderr
    assert second.stderr == ""


def test_a_changed_lock_and_an_interrupted_start_are_made_good(checkout: Path) -> None:
    start(checkout)
    (checkout / "requirements.lock").write_text("# something else\n")
    assert "preparing" in start(checkout).stderr
    # What an interrupted start leaves: an environment without its marker, however much of it.
    (checkout / ".venv" / "stampchat-lock").unlink()
    shutil.rmtree(checkout / ".venv" / "bin")

    again = start(checkout, "status", STAMPCHAT_PYTHON=sys.executable)

    assert again.returncode == 0
    assert again.stdout == f"{checkout}/.venv status\n"


def test_an_environment_for_tests_serves_every_verb(checkout: Path) -> None:
    assert "preparing" in start(checkout, "-q", "test").stderr
    assert start(checkout, "up").stderr == ""
    assert start(checkout, "test").stderr == ""


def test_local_has_an_environment_in_the_cache_for_each_content_of_its_lock(checkout: Path, tmp_path: Path) -> None:
    cache = tmp_path / "a cache"

    first, second = (start(checkout, "-q", "local", "--lan", STAMPCHAT_CACHE=str(cache)) for _ in range(2))
    (checkout / "requirements-local.lock").write_text("# something else\n")
    third = start(checkout, "local", STAMPCHAT_CACHE=str(cache))

    assert first.stdout == second.stdout
    assert first.stdout.startswith(f"{cache}/local/")
    assert first.stdout.endswith(" -q local --lan\n")
    assert third.stdout.split(" local")[0] != first.stdout.split(" -q")[0]
    assert "preparing Python packages" in first.stderr
    assert second.stderr == ""
    assert not (checkout / ".venv").exists()


def test_local_uses_the_environment_of_the_tests_where_there_is_one(checkout: Path) -> None:
    start(checkout, "test")

    done = start(checkout, "local", STAMPCHAT_CACHE="/nonexistent")

    assert done.stdout == f"{checkout}/.venv local\n"


def test_local_without_a_place_for_its_environment_says_so(checkout: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    nowhere = start(checkout, "local", HOME="")
    taken = start(checkout, "local", STAMPCHAT_CACHE=str(tmp_path / "file"))

    assert (nowhere.returncode, taken.returncode) == (2, 1)
    assert nowhere.stderr == "stampchat: HOME is not set; name a folder: STAMPCHAT_CACHE=/path ./stampchat local\n"
    assert "file/local cannot be written to" in taken.stderr


def test_two_first_starts_do_not_meet(checkout: Path) -> None:
    command = [str(checkout / "stampchat"), "up"]
    both = [
        subprocess.Popen(command, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]

    said = [process.communicate(timeout=120) for process in both]

    assert [out for out, _ in said] == [f"{checkout}/.venv up\n"] * 2
    assert sum("preparing Python packages" in err for _, err in said) == 1


def test_doctor_needs_no_environment_and_uses_one_that_is_there(checkout: Path) -> None:
    (checkout / "deployer" / "doctor").mkdir(parents=True)
    (checkout / "deployer" / "doctor" / "__main__.py").write_text(SAYS)

    before = start(checkout, "-q", "doctor", "--json", PYTHONPATH="/nonexistent")
    assert not (checkout / ".venv").exists()
    start(checkout, "up")
    after = start(checkout, "doctor", "--json")

    assert before.stdout.endswith(" -q doctor --json\n")
    assert before.stderr == ""
    assert after.stdout == f"{checkout}/.venv doctor --json\n"


def test_an_environment_of_ones_own_is_used_as_it_is(checkout: Path) -> None:
    start(checkout)
    (checkout / ".venv").rename(checkout / "elsewhere")

    done = start(checkout, "up", STAMPCHAT_VENV=str(checkout / "elsewhere"))

    assert done.stdout == f"{checkout}/elsewhere up\n"
    assert not (checkout / ".venv").exists()


def test_a_link_to_the_launcher_means_its_checkout(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    start(checkout)
    link = tmp_path_factory.mktemp("bin") / "stampchat"
    link.symlink_to(checkout / "stampchat")

    done = subprocess.run([str(link), "up"], env=environment(), capture_output=True, text=True, check=False)

    assert done.stdout == f"{checkout}/.venv up\n"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ('[ "$1" = -V ] && echo Python 3.9.2; exit 1', "Python 3.9.2 is too old; StampChat needs 3.11 or newer"),
        ('case "$2" in *ensurepip*) exit 1;; esac; echo Python 3.11.2', "apt-get install python3-venv"),
    ],
    ids=["too old", "no pip"],
)
def test_a_python_that_will_not_do_says_what_to_install(checkout: Path, tmp_path: Path, script: str, said: str) -> None:
    done = start(checkout, "up", STAMPCHAT_PYTHON=fake_python(tmp_path, script))

    assert done.returncode == 1
    assert said in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_any_python_it_says_so(checkout: Path) -> None:
    done = start(checkout, "up", STAMPCHAT_PYTHON="no-such-python")

    assert done.returncode == 1
    assert "apt-get install python3 python3-venv" in done.stderr


def test_packages_that_cannot_be_had_end_with_the_reason(checkout: Path) -> None:
    (checkout / "requirements.lock").write_text("no-such-package==1 --hash=sha256:00\n")

    done = start(checkout, "up", PIP_NO_INDEX="1")

    assert done.returncode == 1
    assert "could not be installed" in done.stderr
    assert "no-such-package" in done.stderr
