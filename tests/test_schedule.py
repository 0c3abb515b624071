"""The sharing out of tests among processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from deployer.workspace import ROOT
from tests.schedule import CLUSTER, GROUND, LONGEST, OWN, STACKS, group_of, in_order

# A run whose cluster is a file that is there once it has ended, by names that the schedule knows.
RUN = {
    "conftest.py": """
from pathlib import Path
import pytest
from tests.conftest import pytest_runtest_teardown

@pytest.fixture(scope="session")
def ground():
    yield Path("ended")
    Path("ended").touch()

@pytest.fixture(scope="session")
def kube(ground):
    yield ground
    assert not ground.exists(), "it ended before what stands on it"
""",
    "tests/prod/test_prod_pods.py": """
def test_one(kube): assert not kube.exists()
def test_another(kube): assert not kube.exists()
""",
    "tests/test_end_to_end.py": """
from pathlib import Path
def test_it(): assert Path("ended").exists()
""",
}


@pytest.mark.parametrize(
    ("file", "group"),
    [
        ("tests/deployer/cluster/test_embedded.py", CLUSTER),
        ("tests/deployer/plugins/kubernetes/test_life.py", CLUSTER),
        ("tests/services/storage/test_plans.py", "tests/services/storage/"),
        ("tests/test_end_to_end.py", GROUND),
        ("tests/grounds/test_up_elsewhere.py", GROUND),
        ("tests/prod/test_prod_deployment.py", GROUND),
        ("tests/prod/test_tls_issuing.py", STACKS),
        ("tests/gateways/test_routes.py", STACKS),
        ("tests/services/test_web.py", "tests/services/test_web.py"),
        ("tests/no/such/file.py", "tests/no/such/file.py"),
    ],
)
def test_what_shares_a_thing_that_takes_long_is_one_group(file: str, group: str) -> None:
    assert group_of(file) == group


def test_the_longest_groups_begin_and_the_rest_stays_in_order() -> None:
    files = ["tests/a.py", "tests/cli/test_launcher.py", "tests/b.py", "tests/test_end_to_end.py", "tests/a.py"]
    items: list[Any] = [SimpleNamespace(nodeid=f"{file}::test_{place}") for place, file in enumerate(files)]

    assert [item.nodeid.rpartition("_")[2] for item in in_order(items)] == ["3", "1", "0", "2", "4"]


def test_what_has_a_cluster_of_its_own_comes_behind_those_that_share_one() -> None:
    files = ["tests/grounds/test_up_elsewhere.py", "tests/order/test_order.py", "tests/test_end_to_end.py"]
    files += ["tests/prod/test_prod_rolling.py"]
    items: list[Any] = [SimpleNamespace(nodeid=f"{file}::test") for file in files]

    assert [files.index(item.nodeid.partition("::")[0]) for item in in_order(items)] == [3, 0, 2, 1]


def test_a_cluster_ends_behind_the_last_test_that_shares_it(tmp_path: Path) -> None:
    for name, text in RUN.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--import-mode=importlib",
        *list(RUN)[1:],
    ]

    environ = os.environ | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}

    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr


def test_what_is_said_to_take_long_is_there() -> None:
    assert [name for name in LONGEST if name not in {CLUSTER, STACKS, GROUND} and not (ROOT / name).exists()] == []
    assert [name for name in OWN if not (ROOT / name).exists()] == []
