"""Put images into the cluster's own store, without a registry."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from deployer.cluster.embedded.layout import CONTAINERD_SOCKET
from deployer.cluster.embedded.programs import Programs
from deployer.errors import ProcessError
from deployer.report import Report

# The namespace in which Kubernetes looks for images.
_NAMESPACE = "k8s.io"


def import_images(init: int, programs: Programs, archives: Mapping[str, Path], report: Report) -> None:
    """Import the images that are not there yet.

    Args:
        init: the first process of the box.
        programs: where `ctr` is.
        archives: each reference and the OCI archive that holds it.
        report: where progress goes.

    Raises:
        ProcessError: an archive is broken or the disk is full.
    """
    present = set(_ctr(init, programs, "images", "list", "--quiet").split())
    for reference, archive in archives.items():
        if reference not in present:
            report.note(f"importing {reference.partition('@')[0]}")
            _ctr(init, programs, "images", "import", str(archive))


def _ctr(init: int, programs: Programs, *arguments: str) -> str:
    """Run containerd's client outside the box: a unix socket is reached by its path alone."""
    program = programs.debian / "usr" / "bin" / "ctr"
    socket = f"/proc/{init}/root{CONTAINERD_SOCKET}"
    command: Sequence[str] = [str(program), "--address", socket, "--namespace", _NAMESPACE, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment(programs))
    if done.returncode:
        raise ProcessError(command, status=done.returncode, output=done.stdout + done.stderr)
    return done.stdout


def _environment(programs: Programs) -> dict[str, str]:
    libraries = programs.debian / "usr" / "lib" / programs.library_folder
    return os.environ | {"LD_LIBRARY_PATH": str(libraries)}
