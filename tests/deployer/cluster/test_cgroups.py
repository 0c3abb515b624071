"""Cgroups of both versions."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployer.cluster.embedded import cgroups
from deployer.cluster.embedded.cgroups import Hierarchy, cpu_seconds, hierarchies, memory

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


@pytest.mark.parametrize("unified", [False, True])
def test_what_a_cluster_takes_is_read_with_and_without_its_pods(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    unified: bool,  # noqa: FBT001  # both versions
) -> None:
    """Version 1 counts nanoseconds in a tree of their own, version 2 microseconds beside the rest."""
    controllers = [frozenset[str]()] if unified else [frozenset({"cpu"}), frozenset({"cpuacct"}), frozenset({"memory"})]
    trees = [Hierarchy(tmp_path / str(n), names, unified=unified) for n, names in enumerate(controllers)]
    for tree in trees:
        for part, share in (("x", 4), ("x/box", 1)):
            (tree.path / part).mkdir(parents=True)
            write = (tree.path / part).joinpath
            if unified:
                write("cpu.stat").write_text(f"usage_usec {share}500000\nnr_periods 0\n")
                write("memory.stat").write_text(f"anon {share}000\nfile 9\n")
            elif "memory" in tree.controllers:
                write("memory.stat").write_text(f"rss 0\ntotal_rss {share}000\n")
            elif "cpuacct" in tree.controllers:
                write("cpuacct.usage").write_text(f"{share}500000000\n")
            else:
                write("cpu.stat").write_text("nr_periods 0\n")
    monkeypatch.setattr(cgroups, "hierarchies", lambda: trees)

    assert (cpu_seconds("x"), cpu_seconds("x", own=True)) == (4.5, 1.5)
    assert (memory("x"), memory("x", own=True)) == (4000, 1000)
    assert (cpu_seconds("other"), memory("other")) == (0.0, 0)
