"""The sharing out of tests among processes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from deployer.workspace import ROOT
from tests.schedule import CLUSTER, GROUND, LONGEST, group_of, in_order


@pytest.mark.parametrize(
    ("file", "group"),
    [
        ("tests/deployer/cluster/test_embedded.py", CLUSTER),
        ("tests/deployer/plugins/kubernetes/test_life.py", CLUSTER),
        ("tests/services/storage/test_plans.py", "tests/services/storage/"),
        ("tests/test_end_to_end.py", GROUND),
        ("tests/prod/test_prod_deployment.py", GROUND),
        ("tests/prod/test_tls_issuing.py", CLUSTER),
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


def test_what_is_said_to_take_long_is_there() -> None:
    assert [name for name in LONGEST if name not in {CLUSTER, GROUND} and not (ROOT / name).exists()] == []
