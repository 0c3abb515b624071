"""Say what goes wrong, each fault as a person would meet it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.faults.ground import Ground, Said, workspace_of
from deployer.cluster.embedded.box import box_status, find_init
from deployer.project import project_folder, state_file

NOTHING = Said(0, "")
COMPONENTS = (
    *("etcd", "containerd", "kube-apiserver", "kubelet", "kube-controller-manager", "kube-scheduler", "kube-proxy"),
    *("local-path-provisioner", "forward"),
)
# Each step, and the line of progress at which it is under way.
STEPS = {
    "check": "",
    "engine": "done check",
    "plugins": "done engine",
    "cluster": "making the box",
    "images": "done cluster",
    "load": "done images",
    "preview": "done load",
    "update": "done preview",
    "ready": "done update",
    "outside": "done ready",
    "extras": "done outside",
}
_CHUNK = 1 << 20
_SPARE = 64 << 20
_WAYS = ("cut in half", "overwritten", "emptied")


@dataclass(frozen=True)
class Case:
    """Name one fault.

    Attributes:
        name: as the table has it.
        happen: lets it happen and returns what the user saw; afterwards only what it broke is left.
        fresh: whether it takes the deployment away on purpose, so that nothing stored can be there.
        may_fail: whether the command under the fault may fail at all.
    """

    name: str
    happen: Callable[[Ground], Said]
    fresh: bool = False
    may_fail: bool = True


def all_cases() -> Iterator[Case]:
    """Yield every fault in the order in which they are tried."""
    for name in COMPONENTS:
        yield Case(f"{name} killed while idle", partial(_kill_idle, name), may_fail=False)
    yield Case("the whole box killed while idle", _kill_box, may_fail=False)
    for name in COMPONENTS:
        yield Case(f"{name} killed while an update is applied", partial(_kill_updating, name))
    yield Case("every component killed once while the cluster starts", _kill_starting, may_fail=False)
    yield Case("the whole box killed while an update is applied", partial(_kill_updating, ""))
    for step, line in STEPS.items():
        yield Case(f"the command killed (SIGKILL) in the step {step}", partial(_kill_command, step, line))
    yield Case("the Kubernetes plugin killed in the middle of creates", _kill_plugin, fresh=True)
    yield Case("the engine killed in the middle of creates", _kill_engine, fresh=True)
    yield Case("two `up` at once", _two_at_once)
    yield Case("the disk at 95 % before `up`", partial(_full_before, 0.95))
    yield Case("the disk at 100 % before `up`", partial(_full_before, 1.0))
    yield Case("the disk at 95 % while an update is applied", partial(_full_meanwhile, 0.95))
    yield Case("the disk at 100 % while an update is applied", partial(_full_meanwhile, 1.0))
    for number, (name, find) in enumerate(DAMAGED.items()):
        # The tests try every way on each; here each is tried in one, whole machine and all.
        how = _WAYS[number % len(_WAYS)]
        yield Case(f"{name} {how}", partial(_damage, find, how), may_fail=False)
    yield Case("a name server that does not answer", _silent_names, may_fail=False)


DAMAGED: dict[str, Callable[[Ground], Path]] = {
    "the stack's state": lambda ground: state_file(workspace_of(ground), "dev"),
    "the generated project": lambda ground: project_folder(workspace_of(ground)) / "Pulumi.dev.yaml",
    "the note of the state's cluster": lambda ground: workspace_of(ground).state / "cluster-of-dev",
    "the kubeconfig": lambda ground: workspace_of(ground).cluster / "kubeconfig",
    "the box's specification": lambda ground: workspace_of(ground).cluster / "box.json",
    "the authority's certificate": lambda ground: workspace_of(ground).cluster / "pki" / "ca.crt",
    "the instance's note": lambda ground: workspace_of(ground).instance,
    "the images' references": lambda ground: workspace_of(ground).images,
    "the cache's engine": lambda ground: _largest(ground.cache / "engine", "*/pulumi"),
    "the cache's Kubernetes": lambda ground: _largest(ground.cache / "cluster", "cluster-*"),
    "the cache's containerd": lambda ground: _largest(ground.cache / "cluster", "debian-*/usr/bin/containerd"),
    "the cache's image of the cluster": lambda ground: _largest(ground.cache / "cluster", "image-*.tar"),
    "a layer in the cache": lambda ground: _largest(ground.cache / "layers", "code-*.tar.gz"),
    "the cache's list of Debian packages": lambda ground: ground.cache / "debian" / "index.json",
    "the cache's note of failures": lambda ground: ground.cache / "unreachable.json",
}


def _kill(pid: int) -> None:
    if not pid:
        raise SystemExit("There is nothing to kill: this fault did not happen.")
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _kill_idle(name: str, ground: Ground) -> Said:
    _kill(ground.component(name))
    return NOTHING


def _kill_box(ground: Ground) -> Said:
    _kill(find_init(ground.name) or 0)
    return NOTHING


def _kill_updating(name: str, ground: Ground) -> Said:
    """Kill a component at the update's first step, or the whole box where none is named."""
    ground.change()
    victim = ground.component(name) if name else find_init(ground.name) or 0

    def before(process: subprocess.Popen[str]) -> None:
        if ground.wait_for(process, "done preview"):
            _kill(victim)

    return ground.up(before=before)


def _kill_starting(ground: Ground) -> Said:
    """Kill each component a moment after it was first there."""
    ground.run("cluster", "down")

    def before(process: subprocess.Popen[str]) -> None:
        waiting = set(COMPONENTS)
        while waiting and process.poll() is None:
            for state in box_status(find_init(ground.name) or 0):
                if state["name"] in waiting and state["pid"]:
                    _kill(state["pid"])
                    waiting.discard(state["name"])
            time.sleep(0.05)

    return ground.up(before=before)


def _kill_command(step: str, line: str, ground: Ground) -> Said:
    ground.change()
    if step == "cluster":
        ground.run("cluster", "down")

    def before(process: subprocess.Popen[str]) -> None:
        if not line or ground.wait_for(process, line):
            _kill(process.pid)

    return ground.up(before=before)


def _kill_plugin(ground: Ground) -> Said:
    return _kill_creating(ground, ground.plugins)


def _kill_engine(ground: Ground) -> Said:
    return _kill_creating(ground, ground.engines)


def _kill_creating(ground: Ground, find: Callable[[], list[int]]) -> Said:
    ground.run("destroy", "--yes")

    def before(process: subprocess.Popen[str]) -> None:
        if ground.wait_for(process, "created Namespace") and ground.wait_for(process, "created (Service|ConfigMap) "):
            for pid in find() or [0]:
                _kill(pid)

    return ground.up(before=before)


def _two_at_once(ground: Ground) -> Said:
    ground.change()
    with ground.copy.begin("up") as first, ground.copy.begin("up") as second:
        said = [process.communicate()[1] for process in (first, second)]
        states = [first.returncode, second.returncode]
    if 0 not in states:
        return Said(1, "stampchat: both failed\n" + "\n".join(said))
    return Said(max(states), said[states.index(max(states))])


@contextmanager
def _filled(ground: Ground, share: float) -> Iterator[None]:
    """Fill the deployment's disk to a share of its size, and free it again."""
    ballast = ground.home / "ballast"
    found = os.statvfs(ground.home)
    # A file of all that is free does not fit: what says where its blocks are takes some. Crumbs fill the rest.
    kept = max(int(found.f_blocks * (1 - share)), _SPARE // found.f_frsize)
    wanted = max(found.f_bavail - kept, 1) * found.f_frsize
    subprocess.run(["fallocate", "--length", str(wanted), str(ballast)], check=True)
    try:
        if share >= 1:
            with (ground.home / "crumbs").open("wb", buffering=0) as crumbs:
                for size in (_CHUNK, 4096):
                    with suppress(OSError):
                        while crumbs.write(bytes(size)):
                            pass
        yield
    finally:
        ballast.unlink(missing_ok=True)
        (ground.home / "crumbs").unlink(missing_ok=True)


def _full_before(share: float, ground: Ground) -> Said:
    ground.change()
    with _filled(ground, share):
        return ground.up()


def _full_meanwhile(share: float, ground: Ground) -> Said:
    ground.change()
    held = _filled(ground, share)

    def before(process: subprocess.Popen[str]) -> None:
        if ground.wait_for(process, "done preview"):
            held.__enter__()

    try:
        return ground.up(before=before)
    finally:
        held.__exit__(None, None, None)


def _damage(find: Callable[[Ground], Path], how: str, ground: Ground) -> Said:
    """Break a file; what runs from it runs on, as after a crash that cut a copy short."""
    path = find(ground)
    whole = path.read_bytes()
    broken = {"emptied": b"", "cut in half": whole[: len(whole) // 2], "overwritten": b"\xff\x00" * len(whole)}[how]
    part = path.with_name("broken")
    part.write_bytes(broken)
    part.chmod(path.stat().st_mode)
    part.replace(path)
    if ground.cache in path.parents:
        ground.run("cluster", "down")  # or nobody would look at most of it
    return ground.up()


def _silent_names(ground: Ground) -> Said:
    """Have every name asked of a server that hears and does not answer, with nothing noted of what is unreachable."""
    (ground.cache / "unreachable.json").write_text(json.dumps({}), encoding="utf-8")
    resolv = ground.cache / "resolv.conf"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.53", 53))
        resolv.write_text("nameserver 127.0.0.53\n", encoding="utf-8")
        script = f'mount --bind {resolv} /etc/resolv.conf && exec "$0" "$@"'
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, *ground.copy.command("up")]
        done = subprocess.run(command, cwd="/", env=ground.copy.environ, capture_output=True, text=True, check=False)
    return Said(done.returncode, done.stderr)


def _largest(folder: Path, pattern: str) -> Path:
    return max(folder.glob(pattern), key=lambda path: path.stat().st_size)
