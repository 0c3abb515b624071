"""The kernel is asked for real where that may be; what it lacks is told with what to do."""

from __future__ import annotations

import ctypes
import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from deployer.cluster.embedded.cgroups import Hierarchy
from deployer.doctor import kernel
from deployer.doctor.kernel import ask_kernel, count_watchers, examine_kernel


def test_a_kernel_that_can_all_of_it_is_left_as_it_was() -> None:
    if platform.system() != "Linux" or os.geteuid() != 0:
        pytest.skip("NOT TESTED: only root on Linux may ask")
    mounts = Path("/proc/self/mountinfo").read_text()

    answers = ask_kernel()

    assert answers == {"namespaces": "", "veth": "", "overlay": "", "nftables": ""}
    assert Path("/proc/self/mountinfo").read_text() == mounts
    assert not [link for link in os.listdir("/sys/class/net") if link.startswith("probe")]  # noqa: PTH208


def test_who_may_not_ask_is_told_so() -> None:
    if platform.system() != "Linux" or os.geteuid() != 0:
        pytest.skip("NOT TESTED: becoming somebody else takes root")
    # All that it imports first: the nobody that it becomes may not be able to read our Python.
    become = (
        "import __future__, ctypes, json, os, pathlib, socket, struct, subprocess, sys; source = sys.stdin.read(); "
        "os.setuid(65534); exec(compile(source, 'probe', 'exec'), {'__name__': '__main__'})"
    )
    source = Path(kernel.__file__).with_name("probe.py").read_text()

    done = subprocess.run(
        [sys.executable, "-I", "-c", become], input=source, capture_output=True, text=True, check=True
    )

    assert json.loads(done.stdout) == {"root": "only root may"}


@pytest.mark.parametrize(
    ("trees", "state", "said"),
    [
        ([], "missing", "none are mounted"),
        ([Hierarchy(Path("/nowhere"), frozenset(), unified=True)], "missing", "version 2 without cpu, memory, pids"),
        ([Hierarchy(Path("/a"), frozenset({"cpu", "pids"}), unified=False)], "missing", "version 1 without memory"),
        ([Hierarchy(Path("/a"), frozenset({"cpu", "pids", "memory"}), unified=False)], "ok", "version 1"),
    ],
    ids=["none", "empty", "no memory", "whole"],
)
def test_cgroups_are_judged_by_their_controllers(
    monkeypatch: pytest.MonkeyPatch, trees: list[Hierarchy], state: str, said: str
) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(kernel, "hierarchies", lambda: trees)
    monkeypatch.setattr(kernel, "ask_kernel", lambda: {"root": "only root may"})

    found = next(examine_kernel())

    assert (found.name, found.state, found.said) == ("cgroups", state, said)
    assert bool(found.remedy) == (state == "missing")


def test_file_watches_are_counted_and_few_of_them_are_a_note(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if platform.system() != "Linux":
        pytest.skip("NOT TESTED: inotify is Linux's")
    own = tmp_path / "proc"
    own.mkdir()
    (own / str(os.getpid())).symlink_to(f"/proc/{os.getpid()}")
    before = count_watchers(own)
    watcher = ctypes.CDLL(None).inotify_init()
    try:
        assert count_watchers(own) == before + 1
    finally:
        os.close(watcher)
    limit = tmp_path / "limit"
    monkeypatch.setattr(kernel, "_INSTANCES", limit)
    monkeypatch.setattr(kernel, "ask_kernel", lambda: {"root": "only root may"})
    monkeypatch.setattr(kernel, "count_watchers", lambda: 110)

    states = []
    for instances in ("130\n", "129\n"):
        limit.write_text(instances)
        found = next(finding for finding in examine_kernel() if finding.name == "file watches")
        states.append((found.state, "sysctl -w fs.inotify.max_user_instances=" in found.remedy))

    assert states == [("ok", False), ("note", True)]


def test_what_the_kernel_refuses_is_missing_with_a_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(kernel, "ask_kernel", lambda: {"namespaces": "they cannot be made (Operation not permitted)"})

    found = [finding for finding in examine_kernel() if finding.name not in {"cgroups", "file watches"}]

    assert {finding.state for finding in found} == {"missing"}
    assert "not permitted" in found[0].said
    assert "--privileged" in found[0].remedy


def test_another_system_has_no_such_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Darwin")

    assert list(examine_kernel()) == []
