"""Say how each program in the box is started."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from deployer.cluster.embedded.layout import (
    API_PORT,
    CONTAINERD_SOCKET,
    DEBIAN,
    ETCD_SOCKET,
    METRICS_PORT,
    NODE_PORT,
    POD_RANGE,
    PROGRAMS,
    SERVICE_RANGE,
    STATE,
    Layout,
)
from deployer.cluster.embedded.programs import Programs

_PKI = f"{STATE}/pki"
_CONFIG = f"{STATE}/config"
_LOGS = f"{STATE}/logs"

_API = f"tcp:127.0.0.1:{API_PORT}"
_ETCD = f"unix:{ETCD_SOCKET}"
_CONTAINERD = f"unix:{CONTAINERD_SOCKET}"

# One server of each kind: nothing to elect.
_ALONE = "--leader-elect=false"


def environment(library_folder: str) -> dict[str, str]:
    """Return the environment of every program in the box: our packages first, then the machine's.

    Args:
        library_folder: Debian's name for this processor's libraries ("x86_64-linux-gnu").
    """
    folders = [f"{DEBIAN}/usr/sbin", f"{DEBIAN}/usr/bin", f"{DEBIAN}/sbin", f"{DEBIAN}/bin"]
    libraries = f"{DEBIAN}/usr/lib/{library_folder}"
    return {
        "PATH": ":".join([*folders, "/usr/sbin", "/usr/bin", "/sbin", "/bin"]),
        "LD_LIBRARY_PATH": libraries,
        "XTABLES_LIBDIR": f"{libraries}/xtables",
        "HOME": "/run",
    }


def daemons(layout: Layout, programs: Programs) -> list[dict[str, Any]]:
    """List the programs in the box in the order of their start, as `box` reads them.

    Args:
        layout: the cluster.
        programs: the files to run.
    """
    cluster = f"{PROGRAMS}/{programs.cluster}"
    return [
        _daemon("etcd", [cluster, "etcd", *_etcd(layout)], programs),
        _daemon("containerd", ["containerd", "--config", f"{_CONFIG}/containerd.toml", "-l", "warn"], programs),
        _daemon("kube-apiserver", [cluster, "kube-apiserver", *_apiserver(layout)], programs, after=[_ETCD]),
        _daemon("kubelet", [cluster, "kubelet", *_kubelet(layout)], programs, after=[_CONTAINERD, _API]),
        _daemon(
            "kube-controller-manager",
            [cluster, "kube-controller-manager", *_controller_manager()],
            programs,
            after=[_API],
        ),
        _daemon("kube-scheduler", [cluster, "kube-scheduler", *_scheduler()], programs, after=[_API]),
        _daemon("kube-proxy", [cluster, "kube-proxy", *_kube_proxy(layout)], programs, after=[_API]),
        _daemon(
            "local-path-provisioner",
            [f"{PROGRAMS}/{programs.local_path}", *_local_path(programs)],
            programs,
            after=[_API],
        ),
        _daemon(
            "forward",
            [f"{PROGRAMS}/{programs.forward}", "-to", f"{layout.address}:{NODE_PORT}"],
            programs,
            listener=True,
        ),
        *_registry(programs),
        *_extras(layout, programs),
    ]


def _registry(programs: Programs) -> list[dict[str, Any]]:
    argv = [f"{PROGRAMS}/{programs.registry}", "serve", f"{_CONFIG}/registry.json"]
    return [_daemon("registry", argv, programs)] if programs.registry else []


def _extras(layout: Layout, programs: Programs) -> list[dict[str, Any]]:
    """List what the cluster does without until its program is in the cache."""
    flags = {"metrics-server": _metrics_server(layout), "kube-router": _kube_router(layout)}
    found = []
    for name, file in programs.extras.items():
        program = f"{PROGRAMS}/{file}"
        found.append(_daemon(name, [program, *flags[name]], programs, after=[f"file:{program}", _API]))
    return found


def _daemon(
    name: str, argv: Sequence[str], programs: Programs, *, after: Sequence[str] = (), listener: bool = False
) -> dict[str, Any]:
    return {
        "name": name,
        "argv": list(argv),
        "env": environment(programs.library_folder),
        "log": f"{_LOGS}/{name}.log",
        "after": list(after),
        "listener": listener,
    }


def _etcd(layout: Layout) -> list[str]:
    return [
        f"--name={layout.name}",
        f"--data-dir={STATE}/etcd",
        f"--listen-client-urls=unix://{ETCD_SOCKET}",
        "--advertise-client-urls=http://127.0.0.1:2379",  # a unix address is refused here, and nobody uses this one
        "--listen-peer-urls=http://127.0.0.1:2380",
        "--initial-advertise-peer-urls=http://127.0.0.1:2380",
        f"--initial-cluster={layout.name}=http://127.0.0.1:2380",
        # Fewer ticks than stock while idle; but a start waits up to the whole election time-out for its own vote.
        "--heartbeat-interval=250",
        "--election-timeout=1250",
        "--auto-compaction-mode=periodic",
        "--auto-compaction-retention=1h",
        "--log-level=warn",
    ]


def _apiserver(layout: Layout) -> list[str]:
    return [
        f"--advertise-address={layout.address}",
        f"--secure-port={API_PORT}",
        f"--etcd-servers=unix://{ETCD_SOCKET}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--anonymous-auth=false",
        f"--encryption-provider-config={_CONFIG}/encryption.json",
        f"--client-ca-file={_PKI}/ca.crt",
        f"--tls-cert-file={_PKI}/apiserver.crt",
        f"--tls-private-key-file={_PKI}/apiserver.key",
        f"--kubelet-certificate-authority={_PKI}/ca.crt",
        f"--kubelet-client-certificate={_PKI}/apiserver-kubelet-client.crt",
        f"--kubelet-client-key={_PKI}/apiserver-kubelet-client.key",
        "--kubelet-preferred-address-types=InternalIP",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={_PKI}/service-accounts.pub",
        f"--service-account-signing-key-file={_PKI}/service-accounts.key",
        f"--requestheader-client-ca-file={_PKI}/front-proxy-ca.crt",
        "--requestheader-allowed-names=front-proxy-client",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-username-headers=X-Remote-User",
        f"--proxy-client-cert-file={_PKI}/front-proxy-client.crt",
        f"--proxy-client-key-file={_PKI}/front-proxy-client.key",
        "--event-ttl=15m",
        "--profiling=false",
    ]


def _kubelet(layout: Layout) -> list[str]:
    return [
        f"--config={_CONFIG}/kubelet.json",
        f"--kubeconfig={_CONFIG}/kubelet.kubeconfig",
        f"--hostname-override={layout.name}",
        f"--node-ip={layout.address}",
        f"--root-dir={STATE}/kubelet",
        f"--cert-dir={_PKI}",
        "--housekeeping-interval=30s",
    ]


def _controller_manager() -> list[str]:
    return [
        f"--kubeconfig={_CONFIG}/controller-manager.kubeconfig",
        f"--root-ca-file={_PKI}/ca.crt",
        f"--service-account-private-key-file={_PKI}/service-accounts.key",
        "--use-service-account-credentials=true",
        "--bind-address=127.0.0.1",
        # Forty controllers start at once, each with a token of its own: at the stock rate that takes seconds.
        "--kube-api-qps=200",
        "--kube-api-burst=400",
        # The kubelet renews its lease once a minute, so its silence means something only after several.
        "--node-monitor-period=1m",
        "--node-monitor-grace-period=5m",
        "--profiling=false",
        _ALONE,
    ]


def _scheduler() -> list[str]:
    kubeconfig = f"--kubeconfig={_CONFIG}/scheduler.kubeconfig"
    return [kubeconfig, "--bind-address=127.0.0.1", "--profiling=false", _ALONE]


def _kube_proxy(layout: Layout) -> list[str]:
    return [
        f"--kubeconfig={_CONFIG}/kube-proxy.kubeconfig",
        f"--hostname-override={layout.name}",
        "--proxy-mode=nftables",
        f"--cluster-cidr={POD_RANGE}",
        "--conntrack-max-per-core=0",  # the machine's own setting stays as it is
        "--healthz-bind-address=127.0.0.1:10256",
        "--metrics-bind-address=127.0.0.1:10249",
    ]


def _metrics_server(layout: Layout) -> list[str]:
    kubeconfig = f"{_CONFIG}/metrics-server.kubeconfig"
    return [
        f"--kubeconfig={kubeconfig}",
        f"--authentication-kubeconfig={kubeconfig}",
        f"--authorization-kubeconfig={kubeconfig}",
        f"--bind-address={layout.address}",
        f"--secure-port={METRICS_PORT}",
        f"--tls-cert-file={_PKI}/metrics-server-serving.crt",
        f"--tls-private-key-file={_PKI}/metrics-server-serving.key",
        f"--kubelet-certificate-authority={_PKI}/ca.crt",
        "--kubelet-preferred-address-types=InternalIP",
        "--metric-resolution=15s",
        "--profiling=false",
    ]


def _kube_router(layout: Layout) -> list[str]:
    """Have it enforce network policies and do nothing else: it has a router and a proxy in it, too."""
    return [
        f"--kubeconfig={_CONFIG}/kube-router.kubeconfig",
        f"--hostname-override={layout.name}",
        "--run-firewall=true",
        "--run-router=false",
        "--run-service-proxy=false",
        "--run-loadbalancer=false",
        "--enable-cni=false",
        "--enable-ipv6=false",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--health-port=0",  # it would listen on every address, without a question who asks
    ]


def _local_path(programs: Programs) -> list[str]:
    return [
        "start",
        f"--kubeconfig={_CONFIG}/local-path.kubeconfig",
        f"--config={_CONFIG}/local-path.json",
        f"--helper-pod-file={_CONFIG}/helper-pod.yaml",
        f"--helper-image={programs.image.reference}",
        "--namespace=local-path-storage",
        "--configmap-name=local-path-config",
        "--service-account-name=default",
    ]
