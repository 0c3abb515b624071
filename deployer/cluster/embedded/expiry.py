"""Know when a cluster's certificates end, and renew them in time where it runs."""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import signal
import time

from cryptography import x509

from deployer.cluster.embedded.box import box_status, find_init
from deployer.cluster.embedded.configs import write_kubeconfigs
from deployer.cluster.embedded.layout import Layout
from deployer.cluster.embedded.pki import LEAF_LIFE, certificate_files, issue_certificates
from deployer.errors import DeployError
from deployer.report import Report

# Whoever uses a cluster once a year still meets no certificate that has ended.
_RESERVE = LEAF_LIFE / 3
# These read no certificate; and without containerd's end no Pod ends.
_INDIFFERENT = ("etcd", "containerd", "forward")
_PATIENCE = 60.0
_PAUSE = 0.05


def earliest_end(layout: Layout) -> dt.datetime | None:
    """Return when the first of a cluster's certificates ends; None where there are none yet.

    Args:
        layout: the cluster.
    """
    ends = []
    for file in certificate_files(layout):
        with contextlib.suppress(OSError, ValueError):
            ends.append(x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc)
    return min(ends, default=None)


def renewal_due(layout: Layout, now: dt.datetime | None = None) -> bool:
    """Return whether a certificate is missing, broken, of the future, or within a year of its end.

    One of the future is what a clock leaves that was ahead and was put right.

    Args:
        layout: the cluster.
        now: the moment in question; this one unless said.
    """
    when = now or dt.datetime.now(dt.UTC)
    for file in certificate_files(layout):
        try:
            certificate = x509.load_pem_x509_certificate(file.read_bytes())
        except (OSError, ValueError):
            return True
        if not certificate.not_valid_before_utc <= when < certificate.not_valid_after_utc - _RESERVE:
            return True
    return False


def renew(layout: Layout, report: Report) -> None:
    """Make a running cluster's certificates anew and have everything that read the old ones start again.

    Pods run on, and so does the way to them: what keeps them, and what leads to them, needs no certificate.

    Args:
        layout: the cluster.
        report: where progress goes.

    Raises:
        DeployError: a component does not end.
    """
    report.note("renewing the cluster's certificates")
    issue_certificates(layout)
    write_kubeconfigs(layout)
    before = _readers(layout)
    for pid in before.values():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)  # nothing of theirs is lost: etcd, which has it, runs on
    deadline = time.monotonic() + _PATIENCE
    while any(_readers(layout).get(name) == pid for name, pid in before.items()):
        if time.monotonic() > deadline:
            raise DeployError(
                f"Components of the cluster {layout.name} do not end to read their new certificates.",
                advice="`./stampchat cluster down` and `up` again: its data is kept.",
            )
        time.sleep(_PAUSE)


def _readers(layout: Layout) -> dict[str, int]:
    """Return the processes that hold certificates, by the component's name."""
    states = box_status(find_init(layout.name) or 0)
    return {state["name"]: state["pid"] for state in states if state["pid"] and state["name"] not in _INDIFFERENT}
