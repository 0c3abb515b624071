"""Cgroups of both versions."""

from __future__ import annotations

from pathlib import Path

from deployer.cluster.embedded.cgroups import hierarchies

_VERSION_1 = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct
34 31 0:31 / /sys/fs/cgroup/cpuset rw,relatime shared:9 - cgroup cgroup rw,cpuset
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
"""
_VERSION_2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"


def test_version_1_has_a_tree_for_each_controller(tmp_path: Path) -> None:
    """The tmpfs that they hang on is none, the unified one beside them is."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(_VERSION_1)

    found = {tree.path.name: tree for tree in hierarchies(mounts)}

    assert list(found) == ["cpu", "cpuset", "unified"]
    assert "cpuset" in found["cpuset"].controllers
    assert [tree.unified for tree in found.values()] == [False, False, True]


def test_version_2_has_one_tree(tmp_path: Path) -> None:
    """It is unified."""
    mounts = tmp_path / "mountinfo"
    mounts.write_text(_VERSION_2)

    assert [(str(tree.path), tree.unified) for tree in hierarchies(mounts)] == [("/sys/fs/cgroup", True)]


def test_another_system_has_none(tmp_path: Path) -> None:
    """`status` and `down` say so rather than fail."""
    assert hierarchies(tmp_path / "missing") == []
