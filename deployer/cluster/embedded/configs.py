"""Write the configuration files of the programs in the box."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deployer.cluster.embedded.files import write_private
from deployer.cluster.embedded.layout import (
    CONTAINERD_SOCKET,
    DEBIAN,
    DNS_ADDRESS,
    DOMAIN,
    POD_RANGE,
    STATE,
    Layout,
)
from deployer.cluster.embedded.limits import Limits

# Each component's own client certificate, by the name of its kubeconfig.
_COMPONENTS = {
    "kubelet": "kubelet-client",
    "controller-manager": "controller-manager",
    "scheduler": "scheduler",
    "kube-proxy": "kube-proxy",
    "local-path": "local-path",
    "metrics-server": "metrics-server",
    "kube-router": "kube-router",
}


def write_configs(layout: Layout, limits: Limits, image: str) -> str:
    """Write every file that a program in the box reads, besides certificates.

    Args:
        layout: the cluster.
        limits: what this machine lets us do.
        image: the reference of the cluster's own image.

    Returns:
        A digest of the files that a running box would have to be restarted for.
    """
    files: dict[str, str] = {
        "containerd.toml": _containerd(image, limits),
        "cni/10-pods.conflist": json.dumps(_pod_network(), indent=1),
        "kubelet.json": json.dumps(_kubelet(layout, limits), indent=1),
        "filter.nft": _packet_filter(layout),
        "local-path.json": json.dumps({"nodePathMap": [_volume_paths()]}, indent=1),
        "helper-pod.yaml": _helper_pod(image),
        "resolv.conf": "# A Pod with its node's DNS has none: the box reaches this machine alone.\n",
    }
    for name, text in files.items():
        write_private(layout.config / name, text)
    _keep_encryption(layout.config / "encryption.json")
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def write_kubeconfigs(layout: Layout) -> None:
    """Write the kubeconfig of each component, and the user's; certificates must be there.

    Args:
        layout: the cluster.
    """
    for name, certificate in _COMPONENTS.items():
        write_private(layout.config / f"{name}.kubeconfig", json.dumps(_kubeconfig(layout, name, certificate)))
    write_private(layout.kubeconfig, json.dumps(_kubeconfig(layout, "admin", "admin"), indent=2) + "\n")


def _kubeconfig(layout: Layout, user: str, certificate: str) -> Mapping[str, Any]:
    """Build a kubeconfig that needs no other file; JSON is YAML too."""

    def encoded(file: str) -> str:
        return base64.b64encode((layout.pki / file).read_bytes()).decode()

    cluster = {"server": layout.server, "certificate-authority-data": encoded("ca.crt")}
    keys = {
        "client-certificate-data": encoded(f"{certificate}.crt"),
        "client-key-data": encoded(f"{certificate}.key"),
    }
    user_name = f"{layout.name}-{user}"
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": layout.name,
        "contexts": [{"name": layout.name, "context": {"cluster": layout.name, "user": user_name}}],
        "clusters": [{"name": layout.name, "cluster": cluster}],
        "users": [{"name": user_name, "user": keys}],
    }


def _keep_encryption(path: Path) -> None:
    """Make the key that Secrets are encrypted with in etcd, once: without it they are lost."""
    if path.exists():
        return
    key = {"name": "first", "secret": base64.b64encode(secrets.token_bytes(32)).decode()}
    providers = [{"secretbox": {"keys": [key]}}]
    config = {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "EncryptionConfiguration",
        "resources": [{"resources": ["secrets"], "providers": providers}],
    }
    write_private(path, json.dumps(config))


def _containerd(image: str, limits: Limits) -> str:
    restrict = "false" if limits.may_raise else "true"
    return f"""\
version = 2
root = "{STATE}/containerd"
state = "{CONTAINERD_SOCKET.parent}"
# opt would make /opt/containerd outside the box; the snapshotters need file systems that may not be there.
disabled_plugins = [
  "io.containerd.internal.v1.opt", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing",
  "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs",
]

[grpc]
address = "{CONTAINERD_SOCKET}"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{image}"
restrict_oom_score_adj = {restrict}
disable_apparmor = true
netns_mounts_under_state_dir = true

# A registry that speaks http, or has a certificate of its own, is described by a folder there.
[plugins."io.containerd.grpc.v1.cri".registry]
config_path = "{STATE}/config/certs.d"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
BinaryName = "{DEBIAN}/usr/sbin/runc"
SystemdCgroup = false

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{DEBIAN}/usr/lib/cni"
conf_dir = "{STATE}/config/cni"
"""


def _pod_network() -> Mapping[str, Any]:
    """Build the CNI chain: one link a Pod, addresses from one range, and host ports."""
    addresses = {
        "type": "host-local",
        "dataDir": "/run/cni",
        "ranges": [[{"subnet": POD_RANGE}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    link = {"type": "ptp", "ipMasq": False, "ipam": addresses}
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [link, ports]}


def _kubelet(layout: Layout, limits: Limits) -> Mapping[str, Any]:
    config: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{STATE}/pki/ca.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": f"{STATE}/pki/kubelet.crt",
        "tlsPrivateKeyFile": f"{STATE}/pki/kubelet.key",
        "readOnlyPort": 0,
        "healthzBindAddress": "127.0.0.1",
        "clusterDNS": [DNS_ADDRESS],
        "clusterDomain": DOMAIN,
        "resolvConf": f"{STATE}/config/resolv.conf",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{layout.name}",
        "cgroupsPerQOS": True,
        "enforceNodeAllocatable": ["pods"],
        "failCgroupV1": False,
        "failSwapOn": False,
        "podLogsDir": f"{STATE}/pods",
        "volumePluginDir": f"{STATE}/kubelet/plugins-exec",
        "serializeImagePulls": False,
        # Nothing can be pulled again here: images come by import, and leave when we say so.
        "imageGCHighThresholdPercent": 100,
        # Stock thresholds are shares of the disk, and a developer's disk is rarely a tenth empty.
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "500Mi",
            "nodefs.inodesFree": "1%",
            "imagefs.available": "500Mi",
            "imagefs.inodesFree": "1%",
        },
        # A disk that was full and is not any more: at the stock five minutes the node would take no Pod meanwhile.
        "evictionPressureTransitionPeriod": "15s",
        # Idle, a cluster of one node has nothing to tell and nobody to tell it to.
        "nodeStatusUpdateFrequency": "1m",
        "nodeLeaseDurationSeconds": 240,
    }
    if not limits.may_raise:
        # Without CAP_SYS_RESOURCE neither a lower OOM score nor a higher limit of open files can be had.
        config["featureGates"] = {"KubeletInUserNamespace": True}
        config["oomScoreAdj"] = 0
        config["maxOpenFiles"] = limits.open_files
    return config


def _packet_filter(layout: Layout) -> str:
    """Let Pods reach the machine, and the machine alone reach the box, whatever the machine forwards."""
    return f"""\
table ip stampchat {{
  chain leave {{
    type nat hook postrouting priority srcnat
    ip saddr {POD_RANGE} ip daddr != {POD_RANGE} oifname "eth0" masquerade
  }}
  chain enter {{
    type filter hook prerouting priority mangle
    iifname "eth0" ct state new ip saddr != {layout.gateway} drop
  }}
}}
"""


def _volume_paths() -> Mapping[str, Any]:
    return {"node": "DEFAULT_PATH_FOR_NON_LISTED_NODES", "paths": [f"{STATE}/volumes"]}


def _helper_pod(image: str) -> str:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "helper-pod"},
        "spec": {
            "priorityClassName": "system-node-critical",
            "automountServiceAccountToken": False,
            "containers": [
                {
                    "name": "helper-pod",
                    "image": image,
                    "imagePullPolicy": "IfNotPresent",
                    "securityContext": {"runAsUser": 0},  # volumes lie in a folder of root's
                }
            ],
        },
    }
    return json.dumps(pod)
