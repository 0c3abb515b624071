"""Run a Postgres with a volume of its own: stack dev's databases."""

from __future__ import annotations

from typing import Any

import pulumi

from infra.builders.container import ContainerSpec
from infra.builders.labels import labels, selector
from infra.builders.objects import Port, service, service_account
from infra.builders.pod import PodSpec, pod_template
from infra.builders.probes import database_probes
from infra.builders.volumes import claim_mount, scratch_mount, secret_mount
from infra.catalogue import DATABASE_NAME, DATABASE_USER, NAMESPACE, POSTGRES_PORT, SECRETS_PATH, Application
from infra.component import Component
from infra.sizes import POSTGRES, POSTGRES_DISK

DATA_PATH = "/var/lib/postgresql/data"
SOCKET_PATH = "/run/postgresql"


class Database(Component):
    """Run one service's database: a StatefulSet of one, its volume and its Service.

    Args:
        application: whose database it is.
        image: Postgres, by digest.
        checksum: of the Secret with its password.
        opts: the cluster's provider, and what comes first.
    """

    def __init__(
        self, application: Application, image: str, checksum: pulumi.Input[str], opts: pulumi.ResourceOptions
    ) -> None:
        super().__init__("Database", application.database, opts)
        name = application.database
        account = self.place(service_account(name, NAMESPACE, "database"))
        spec = database_pod(application, image, checksum)
        # No ordering between the two: the engine calls a Service done when a pod of it is ready.
        self.place(stateful_set(spec), after=[account])
        self.place(service(name, NAMESPACE, "database", {"postgres": Port(POSTGRES_PORT, "postgres")}))
        self.register_outputs({"address": f"{name}:{POSTGRES_PORT}"})


def database_pod(application: Application, image: str, checksum: pulumi.Input[str]) -> PodSpec:
    """Describe the database's pod."""
    postgres = ContainerSpec(
        name="postgres",
        image=image,
        size=POSTGRES,
        env={
            "POSTGRES_DB": DATABASE_NAME,
            "POSTGRES_USER": DATABASE_USER,
            "POSTGRES_PASSWORD_FILE": f"{SECRETS_PATH}/password",
        },
        ports={"postgres": POSTGRES_PORT},
        mounts=[
            claim_mount("data", DATA_PATH),
            scratch_mount("socket", SOCKET_PATH),
            scratch_mount("tmp", "/tmp"),  # noqa: S108  # the container's own
            secret_mount("secrets", SECRETS_PATH, application.database_secret),
        ],
        probes=database_probes("postgres", ready=("pg_isready", "-q", "-h", SOCKET_PATH)),
    )
    return PodSpec(
        name=application.database,
        component="database",
        containers=[postgres],
        checksums={application.database_secret: checksum},
        # A fast shutdown takes seconds; a checkpoint of much unwritten data may take longer.
        grace_seconds=60,
    )


def stateful_set(spec: PodSpec) -> dict[str, Any]:
    """Build a StatefulSet of one pod with a volume from the cluster's default StorageClass."""
    metadata = {"name": spec.name, "namespace": NAMESPACE, "labels": labels(spec.name, spec.component)}
    claim = {
        "metadata": {"name": "data", "labels": labels(spec.name, spec.component)},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": POSTGRES_DISK}}},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": metadata,
        "spec": {
            "serviceName": spec.name,
            "replicas": 1,
            "selector": {"matchLabels": selector(spec.name)},
            "updateStrategy": {"type": "RollingUpdate"},
            "template": pod_template(spec),
            "volumeClaimTemplates": [claim],
        },
    }
