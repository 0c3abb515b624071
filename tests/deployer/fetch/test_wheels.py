from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import pytest

from deployer.errors import ProcessError, UsageError
from deployer.fetch.wheels import fetch_wheels
from deployer.report import Silent


def make_wheel(folder: Path, name: str) -> str:
    """Write a wheel of nothing and return its hash."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", "")
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A lock of two packages that pip finds in a folder and nowhere else."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "links"))
    path = tmp_path / "requirements.lock"
    hashes = {name: make_wheel(tmp_path / "links", name) for name in ("alpha_one", "beta")}
    path.write_text(
        "# made by a compiler\n"
        f"alpha-one==1.0 \\\n    --hash=sha256:{'0' * 64} \\\n    --hash=sha256:{hashes['alpha_one']}\n"
        f"    # via beta\nbeta==1.0 \\\n    --hash=sha256:{hashes['beta']}\n"
    )
    return path


def test_the_wheels_of_a_lock_are_fetched_once(lock: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = fetch_wheels(lock, cache=tmp_path / "cache", report=Silent())
    monkeypatch.setenv("PIP_FIND_LINKS", "/nowhere")
    second = fetch_wheels(lock, cache=tmp_path / "cache", report=Silent())

    assert [wheel.name for wheel in first] == ["alpha_one-1.0-py3-none-any.whl", "beta-1.0-py3-none-any.whl"]
    assert second == first


def test_some_packages_can_be_taken_out_of_a_lock(lock: Path, tmp_path: Path) -> None:
    wheels = fetch_wheels(lock, cache=tmp_path / "cache", report=Silent(), only=["Alpha.One"])

    assert [wheel.name for wheel in wheels] == ["alpha_one-1.0-py3-none-any.whl"]


def test_a_name_that_the_lock_lacks_is_a_mistake(lock: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not name gamma"):
        fetch_wheels(lock, cache=tmp_path / "cache", report=Silent(), only=["gamma"])


def test_a_wrong_hash_is_refused_and_leaves_nothing(lock: Path, tmp_path: Path) -> None:
    lock.write_text(f"beta==1.0 --hash=sha256:{'0' * 64}\n")

    with pytest.raises(ProcessError, match="DO NOT MATCH"):
        fetch_wheels(lock, cache=tmp_path / "cache", report=Silent())

    assert not [path for path in (tmp_path / "cache" / "wheels").iterdir() if path.is_dir()]
