"""A fresh clone with an empty cache starts its cluster and makes its images where there is no network at all."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.checkouts import in_a_copy
from tests.conftest import skip_without_cluster
from tests.ports import free_port

pytestmark = [pytest.mark.cluster, pytest.mark.e2e]

# What a person types there, besides `up` itself, which the journey of a bare machine has already.
SCRIPT = """
set -e
ip link set lo up
test -z "$(ip route)"
"$1/stampchat" bundle --use "$2"
"$1/stampchat" images build
"$1/stampchat" cluster up --port "$3"
"$1/stampchat" cluster status
"$1/stampchat" cluster down --purge --yes
"""


@pytest.mark.timeout(1800)
def test_a_bundle_is_all_that_a_fresh_clone_needs(tmp_path: Path) -> None:
    skip_without_cluster()
    bundle = tmp_path / "bundle.tar.gz"
    with in_a_copy(tmp_path / "copy") as copy:
        copy.json("bundle", str(bundle))
        kept = {name: os.environ[name] for name in ("PATH",) if name in os.environ}
        environ = {**kept, "HOME": str(tmp_path / "home"), "STAMPCHAT_PYTHON": sys.executable}
        command = ["unshare", "--net", "sh", "-c", SCRIPT, "sh", str(copy.root), str(bundle), str(free_port())]

        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)

        assert done.returncode == 0, done.stdout + done.stderr
        assert "its node is ready" in done.stdout
        assert copy.git("status", "--porcelain") == ""
