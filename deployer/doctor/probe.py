"""Try in namespaces of its own what the box does, and print as JSON what did not work; run as a program, alone.

What it makes is gone with it: the namespaces, the link in them and the mounts in them end with their last process.
"""

from __future__ import annotations

import ctypes
import json
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

# From linux/sched.h and linux/mount.h.
_NAMESPACES = 0x00020000 | 0x04000000 | 0x08000000 | 0x20000000 | 0x40000000
_PRIVATE = 0x44000
# From linux/netfilter/nfnetlink.h: which subsystem, and its questions and answers.
_NETFILTER, _TABLES, _GET_GENERATION, _NEW_GENERATION = 12, 10, 16, 15
_REQUEST = 1
_SCRATCH = Path("/proc")


def main() -> None:
    """Try everything, each after what it stands on."""
    problems: dict[str, str] = {}
    if os.geteuid() != 0:
        problems["root"] = "only root may"
    else:
        problems["namespaces"] = _namespaces()
        if not problems["namespaces"]:
            problems.update(veth=_veth(), overlay=_overlay(), nftables=_nftables())
    sys.stdout.write(json.dumps(problems))


def _namespaces() -> str:
    if _call("unshare", _NAMESPACES):
        return f"they cannot be made ({os.strerror(ctypes.get_errno())})"
    if _call("mount", b"none", b"/", None, _PRIVATE, None):
        return f"mounts cannot be kept apart ({os.strerror(ctypes.get_errno())})"
    return ""


def _veth() -> str:
    command = ["ip", "link", "add", "probe0", "type", "veth", "peer", "name", "probe1"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "not asked: there is no `ip`"
    return done.stderr.strip() if done.returncode else ""


def _overlay() -> str:
    # Over a folder that every machine has, in this mount namespace alone.
    if _call("mount", b"probe", bytes(_SCRATCH), b"tmpfs", 0, None):
        return f"no tmpfs ({os.strerror(ctypes.get_errno())})"
    for name in ("lower", "upper", "work", "merged"):
        (_SCRATCH / name).mkdir()
    options = f"lowerdir={_SCRATCH}/lower,upperdir={_SCRATCH}/upper,workdir={_SCRATCH}/work"
    if _call("mount", b"probe", bytes(_SCRATCH / "merged"), b"overlay", 0, options.encode()):
        return f"it cannot be mounted ({os.strerror(ctypes.get_errno())})"
    return ""


def _nftables() -> str:
    kind = _TABLES << 8 | _GET_GENERATION
    question = struct.pack("=LHHLLBBH", 20, kind, _REQUEST, 1, 0, 0, 0, 0)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETFILTER) as kernel:
            kernel.settimeout(5)
            kernel.send(question)
            answer = struct.unpack_from("=LH", kernel.recv(4096))[1]
    except OSError as error:
        return f"the kernel does not answer ({error.strerror or error})"
    return "" if answer == _TABLES << 8 | _NEW_GENERATION else "the kernel has none"


def _call(name: str, *arguments: object) -> int:
    return int(getattr(ctypes.CDLL(None, use_errno=True), name)(*arguments))


if __name__ == "__main__":
    main()
