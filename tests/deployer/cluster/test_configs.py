"""What the programs in the box are told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from deployer.cluster.embedded.configs import write_configs, write_kubeconfigs
from deployer.cluster.embedded.daemons import daemons
from deployer.cluster.embedded.layout import Layout
from deployer.cluster.embedded.limits import Limits, read_limits
from deployer.cluster.embedded.pki import issue_certificates
from deployer.cluster.embedded.programs import Image, Programs
from deployer.cluster.embedded.up import box_spec
from deployer.cluster.model import Instance

_BOUND = Limits(may_raise=False, open_files=1234)
_FREE = Limits(may_raise=True, open_files=20000)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(home=tmp_path, instance=Instance(name="stampchat-0a1b2c", number=7, port=8081))


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    return Programs(
        folder=tmp_path,
        cluster="cluster-1",
        box="box-1",
        forward="forward-1",
        local_path="local-path-provisioner-1",
        debian=tmp_path / "debian",
        library_folder="x86_64-linux-gnu",
        image=Image(reference="stampchat.local/cluster@sha256:00", archive=tmp_path / "image.tar"),
        gateway_api=tmp_path / "gateway-api",
    )


def _kubelet(layout: Layout) -> dict[str, object]:
    loaded: dict[str, object] = json.loads((layout.config / "kubelet.json").read_text())
    return loaded


def test_where_limits_hold_the_kubelet_asks_for_none(layout: Layout) -> None:
    """Without the capability to raise limits it would die of trying."""
    write_configs(layout, _BOUND, "image")

    assert _kubelet(layout)["maxOpenFiles"] == 1234
    assert _kubelet(layout)["oomScoreAdj"] == 0
    assert "restrict_oom_score_adj = true" in (layout.config / "containerd.toml").read_text()


def test_where_limits_may_be_raised_stock_settings_stay(layout: Layout) -> None:
    """Nothing is weakened without need."""
    write_configs(layout, _FREE, "image")

    assert not {"maxOpenFiles", "oomScoreAdj", "featureGates"} & set(_kubelet(layout))
    assert "restrict_oom_score_adj = false" in (layout.config / "containerd.toml").read_text()


@pytest.mark.parametrize(("effective", "may"), [("000001fffeffffff", False), ("000001ffffffffff", True)])
def test_the_capability_is_read_from_the_kernel(tmp_path: Path, effective: str, *, may: bool) -> None:
    """Bit 24 is CAP_SYS_RESOURCE."""
    status = tmp_path / "status"
    status.write_text(f"Name:\tx\nCapEff:\t{effective}\n")

    assert read_limits(status).may_raise is may


def test_the_digest_changes_with_what_a_running_box_has_read(layout: Layout) -> None:
    """Another image means another box; the same files mean the same."""
    first = write_configs(layout, _BOUND, "image")

    assert write_configs(layout, _BOUND, "image") == first
    assert write_configs(layout, _BOUND, "other") != first


def test_the_encryption_key_is_made_once(layout: Layout) -> None:
    """A new one would lose every Secret."""
    write_configs(layout, _BOUND, "image")
    before = (layout.config / "encryption.json").read_text()

    write_configs(layout, _BOUND, "image")

    assert (layout.config / "encryption.json").read_text() == before
    assert "secretbox" in before
    assert "identity" not in before


def test_the_kubeconfig_is_the_users_alone_and_needs_no_other_file(layout: Layout) -> None:
    """Its context has the cluster's name."""
    issue_certificates(layout)
    write_kubeconfigs(layout)

    config = json.loads(layout.kubeconfig.read_text())
    assert config["current-context"] == config["contexts"][0]["name"] == "stampchat-0a1b2c"
    assert config["clusters"][0]["cluster"]["server"] == "https://10.231.7.2:6443"
    assert set(config["users"][0]["user"]) == {"client-certificate-data", "client-key-data"}
    assert layout.kubeconfig.stat().st_mode & 0o777 == 0o600


def test_nothing_in_the_box_listens_for_the_unknown(layout: Layout, programs: Programs) -> None:
    """The API server and the kubelet refuse whoever they do not know."""
    write_configs(layout, _BOUND, "image")
    argv = {daemon["name"]: daemon["argv"] for daemon in daemons(layout, programs)}

    assert "--anonymous-auth=false" in argv["kube-apiserver"]
    assert "--authorization-mode=Node,RBAC" in argv["kube-apiserver"]
    assert _kubelet(layout)["authentication"] == {
        "anonymous": {"enabled": False},
        "webhook": {"enabled": True},
        "x509": {"clientCAFile": "/run/cluster/pki/ca.crt"},
    }
    assert _kubelet(layout)["readOnlyPort"] == 0


def test_unix_sockets_are_short_however_long_the_checkouts_path_is(programs: Programs, tmp_path: Path) -> None:
    """The kernel allows 107 characters; a checkout may lie deep."""
    deep = Layout(home=tmp_path / ("deep/" * 60), instance=Instance("stampchat-0a1b2c", 7, 8081))

    for daemon in daemons(deep, programs):
        assert all(len(argument) < 120 for argument in daemon["argv"] if "unix" in argument)


def test_what_is_not_built_yet_is_in_the_box_and_waits_for_its_file(layout: Layout, programs: Programs) -> None:
    """So that nothing has to be restarted once it is there."""
    later = replace(programs, extras={name: f"{name}-1" for name in ("metrics-server", "kube-router")})

    *others, metrics_server, kube_router = daemons(layout, later)

    assert others == daemons(layout, programs)
    assert metrics_server["after"] == ["file:/run/programs/metrics-server-1", "tcp:127.0.0.1:6443"]
    assert kube_router["after"] == ["file:/run/programs/kube-router-1", "tcp:127.0.0.1:6443"]


def test_a_port_that_is_opened_to_others_is_another_box(layout: Layout, programs: Programs) -> None:
    """For the same reason; and it is not open unless somebody said so."""
    opened = replace(layout, instance=replace(layout.instance, lan=True))

    assert not layout.instance.lan
    assert box_spec(opened, programs, "") != box_spec(layout, programs, "")


def test_another_port_is_another_box(layout: Layout, programs: Programs) -> None:
    """The socket is handed over when the box is made."""
    moved = Layout(home=layout.home, instance=Instance("stampchat-0a1b2c", 7, 9000))

    assert box_spec(layout, programs, "digest") != box_spec(moved, programs, "digest")


def test_a_links_name_fits(layout: Layout) -> None:
    """The kernel allows 15 characters."""
    assert len(layout.link) <= 15
