"""List the fields that cannot change in place: a change to one of them replaces the object.

The table is the official plugin's (provider/pkg/provider/diff.go), so that both plan the same.
"""

from __future__ import annotations

from deployer.plugins.kubernetes.kinds import Kind
from deployer.plugins.kubernetes.settings import Settings

Pattern = tuple[str, ...]  # "*" stands for any place in a list

_IDENTITY = ("metadata.name", "metadata.namespace")
_ROLE_REF = ("roleRef",)
_CONTAINER_FIELDS = (
    "args", "command", "env", "image", "imagePullPolicy", "lifecycle", "livenessProbe", "ports", "readinessProbe",
    "resources", "securityContext", "stdin", "stdinOnce", "terminationMessagePath", "terminationMessagePolicy", "tty",
    "volumeDevices", "volumeMounts", "workingDir",
)  # fmt: skip
_POD_FIELDS = (
    "affinity", "automountServiceAccountToken", "dnsConfig", "dnsPolicy", "enableServiceLinks", "hostAliases",
    "hostIPC", "hostNetwork", "hostPID", "hostname", "imagePullSecrets", "nodeName", "nodeSelector", "overhead",
    "preemptionPolicy", "priority", "priorityClassName", "readinessGates", "restartPolicy", "runtimeClassName",
    "schedulerName", "securityContext", "serviceAccount", "serviceAccountName", "shareProcessNamespace", "subdomain",
    "terminationGracePeriodSeconds", "volumes",
)  # fmt: skip
_VOLUME_SOURCES = (
    "awsElasticBlockStore", "azureDisk", "azureFile", "cephfs", "cinder", "csi", "fc", "flexVolume", "flocker",
    "gcePersistentDisk", "glusterfs", "hostPath", "iscsi", "local", "nfs", "photonPersistentDisk", "portworxVolume",
    "quobyte", "rbd", "scaleIO", "storageos", "vsphereVolume",
)  # fmt: skip


def _spec(*fields: str) -> tuple[str, ...]:
    return tuple(f"spec.{field}" for field in fields)


_FIELDS: dict[tuple[str, str], tuple[str, ...]] = {
    ("apps", "Deployment"): _spec("selector"),
    ("apps", "DaemonSet"): _spec("selector"),
    ("apps", "StatefulSet"): _spec(
        "podManagementPolicy", "revisionHistoryLimit", "selector", "serviceName", "volumeClaimTemplates"
    ),
    ("batch", "Job"): _spec("completions", "parallelism", "selector", "template"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"): _ROLE_REF,
    ("rbac.authorization.k8s.io", "RoleBinding"): _ROLE_REF,
    ("storage.k8s.io", "StorageClass"): ("parameters", "provisioner"),
    ("", "PersistentVolume"): _spec(*_VOLUME_SOURCES),
    ("", "PersistentVolumeClaim"): _spec("accessModes", "selector", "storageClassName", "volumeName"),
    ("", "Pod"): _spec(
        *_POD_FIELDS, *(f"{part}.*.{field}" for part in ("containers", "initContainers") for field in _CONTAINER_FIELDS)
    ),
    ("", "ResourceQuota"): _spec("scopes"),
    ("", "Service"): _spec("clusterIP"),
}


def replaced_fields(kind: Kind, *, immutable: bool, settings: Settings) -> list[Pattern]:
    """Return the paths whose change replaces an object of this kind.

    Args:
        kind: the object's kind.
        immutable: whether a ConfigMap or a Secret is marked `immutable: true`.
        settings: says whether ConfigMaps and Secrets may change in place.
    """
    fields = [*_IDENTITY, *_FIELDS.get((kind.group, kind.kind), ())]
    if (kind.group, kind.kind) == ("", "Secret"):
        locked = immutable or not settings.secret_mutable
        fields += ["type", "stringData", "data"] if locked else ["type"]
    if (kind.group, kind.kind) == ("", "ConfigMap") and (immutable or not settings.config_map_mutable):
        fields += ["data", "binaryData"]
    return [tuple(field.split(".")) for field in fields]


def identity_fields() -> list[Pattern]:
    """Return the paths that name an object: all that replaces a patch of somebody else's object."""
    return [tuple(field.split(".")) for field in _IDENTITY]
