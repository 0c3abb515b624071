"""A pod template."""

from __future__ import annotations

from typing import Any

from infra.builders.container import ContainerSpec, Size
from infra.builders.pod import PodSpec, pod_template
from infra.builders.volumes import claim_mount, scratch_mount

SIZE = Size(cpu="50m", memory="64Mi", cpu_limit="1", memory_limit="128Mi")
PART = ContainerSpec(
    name="a", image="i", size=SIZE, mounts=[scratch_mount("tmp", "/tmp"), claim_mount("data", "/data")]
)


def build(**changed: Any) -> dict[str, Any]:
    return pod_template(PodSpec(name="some", component="service", containers=[PART], **changed))


def test_a_volume_that_two_containers_mount_is_there_once() -> None:
    """And a claim template's is not the pod's to name."""
    assert build(init_containers=[PART])["spec"]["volumes"] == [{"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}}]


def test_a_checksum_is_an_annotation() -> None:
    """A pod whose annotations differ is another pod."""
    assert build(checksums={"secret": "abc"})["metadata"]["annotations"] == {"checksum.stampchat/secret": "abc"}


def test_only_a_pod_that_spreads_says_where() -> None:
    """On one machine there is nowhere to spread to."""
    assert "topologySpreadConstraints" not in build()["spec"]
    assert len(build(spread=True)["spec"]["topologySpreadConstraints"]) == 2


def test_a_token_for_the_api_server_is_asked_for() -> None:
    """Nobody gets one by default."""
    assert build()["spec"]["automountServiceAccountToken"] is False
    assert build(use_api=True)["spec"]["automountServiceAccountToken"] is True
