"""A container: what it always has, and what only some have."""

from __future__ import annotations

from infra.builders.container import ContainerSpec, Size, container
from infra.builders.volumes import scratch_mount, secret_mount

SIZE = Size(cpu="50m", memory="64Mi", cpu_limit="1", memory_limit="128Mi")


def test_the_least_container_has_limits_and_no_privilege() -> None:
    """Nobody has to remember them."""
    built = container(ContainerSpec(name="some", image="image@sha256:0", size=SIZE))

    assert built["resources"] == {
        "requests": {"cpu": "50m", "memory": "64Mi", "ephemeral-storage": "64Mi"},
        "limits": {"cpu": "1", "memory": "128Mi", "ephemeral-storage": "512Mi"},
    }
    assert set(built) == {"name", "image", "imagePullPolicy", "resources", "securityContext"}


def test_the_order_of_settings_and_ports_is_fixed() -> None:
    """Otherwise a preview would show a change where there is none."""
    one = ContainerSpec(name="a", image="i", size=SIZE, env={"B": "2", "A": "1"}, ports={"y": 2, "x": 1})
    two = ContainerSpec(name="a", image="i", size=SIZE, env={"A": "1", "B": "2"}, ports={"x": 1, "y": 2})

    assert container(one) == container(two)


def test_secrets_are_mounted_read_only_and_scratch_space_is_not() -> None:
    """The rest of the root file system is read only."""
    spec = ContainerSpec(
        name="a", image="i", size=SIZE, mounts=[secret_mount("s", "/s", "it"), scratch_mount("t", "/t")]
    )

    assert container(spec)["volumeMounts"] == [
        {"name": "s", "mountPath": "/s", "readOnly": True},
        {"name": "t", "mountPath": "/t"},
    ]


def test_a_stop_delay_needs_no_shell() -> None:
    """The kubelet sleeps by itself."""
    built = container(ContainerSpec(name="a", image="i", size=SIZE, stop_delay=5))

    assert built["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}
