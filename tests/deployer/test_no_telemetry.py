"""No tool of ours asks anybody for news of itself: the engine reaches nobody but its own plugins."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from deployer.report import Silent
from deployer.secrets.catalogue import AUTH_DATABASE
from deployer.secrets.store import store
from tests.deployer.secrets.test_providers import URL, engine, make_workspace

_ADDRESS = re.compile(r'inet_(?:addr\(|pton\(AF_INET6, )"([^"]+)"')


def test_the_engine_connects_to_this_machine_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every connection of a preview is traced; a cluster would be asked by the plugin, and this program has none."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("NOT TESTED: there is no strace here (apt-get install strace), so connections cannot be listed")
    for name in ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"):
        monkeypatch.delenv(name, raising=False)
    workspace = make_workspace(tmp_path / "checkout")
    store(workspace, "prod", {AUTH_DATABASE: URL}, {}, Silent())
    pulumi = engine(workspace)
    log, wrapper = tmp_path / "connections", tmp_path / "pulumi"
    wrapper.write_text(f'#!/bin/sh\nexec {strace} -f -qq -e trace=connect -o {log} {pulumi.executable} "$@"\n')
    wrapper.chmod(0o755)

    status, said = replace(pulumi, executable=wrapper).stream("preview", on_event=lambda _: None)

    assert status == 0, said
    addresses = set(_ADDRESS.findall(log.read_text()))
    # The plugins and the program talk over the loopback interface, so the trace is not empty.
    assert addresses
    assert {
        address for address in addresses if not address.removeprefix("::ffff:").startswith(("127.", "::1"))
    } == set()
