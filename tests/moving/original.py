"""Make what the original's files make: its objects in a cluster, and tokens as its auth service signs them.

https://github.com/OsamaElHariri/StampChat_Kubernetes
"""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping
from typing import Any

import jwt

Json = dict[str, Any]

PORTS = {"auth": 3000, "channels": 4000, "notifications": 3001}
# As `mix phx.gen.secret` makes one, with the line break that `echo … | base64` adds.
PRIVATE_KEY = "Zk3vQ8sX1mT6yB0nR4wL9cH2jF7dG5pKuE8aVbNqMzXoYtIrSlPhWgUfJeDkCx2A\n"
# Of Emissary's own definition what these Mappings need: its kind and its place.
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "mappings.getambassador.io"},
    "spec": {
        "group": "getambassador.io",
        "scope": "Namespaced",
        "names": {"kind": "Mapping", "plural": "mappings", "singular": "mapping"},
        "versions": [
            {
                "name": "v3alpha1",
                "served": True,
                "storage": True,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            }
        ],
    },
}


def objects(namespace: str, urls: Mapping[str, str], firebase: str) -> list[Json]:
    """List its Secrets, Deployments and Services.

    Args:
        namespace: where it was applied; its files name none.
        urls: the addresses of its databases, by the names of its services.
        firebase: the service account's file.
    """
    secrets: dict[str, dict[str, str]] = {
        f"{name}-stamp-chat-secret": {"database_url": f"{url}\n"} for name, url in urls.items()
    }
    secrets["auth-stamp-chat-secret"]["private_key"] = PRIVATE_KEY
    secrets["channels-stamp-chat-secret"]["secret_key_base"] = "s" * 64
    secrets["firebase-secret"] = {"firebase_service_account": firebase}
    made = [_secret(name, values) for name, values in secrets.items()]
    for name, port in PORTS.items():
        made += [_deployment(f"stamp-chat-{name}", port), _service(f"stamp-chat-{name}", port)]
    for one in made:
        one["metadata"]["namespace"] = namespace
    return made


def mappings(namespace: str) -> list[Json]:
    """List its routes, in the version that an Emissary of today serves."""
    routes: dict[str, Json] = {
        "mapping-stamp-chat-auth": {"prefix": "/auth/"},
        "mapping-stamp-chat-channels": {"prefix": "/chat/", "allow_upgrade": ["websocket"]},
        "mapping-stamp-chat-notifications": {"prefix": "/notifications/"},
        "internal-routes": {"precedence": 1, "prefix": ".*/internal/.*", "prefix_regex": True, "rewrite": "/404/"},
    }
    for name, port in PORTS.items():
        routes[f"mapping-stamp-chat-{name}"]["service"] = f"stamp-chat-{name}.{namespace}:{port}"
    routes["internal-routes"]["service"] = "localhost:8500"
    return [
        {
            "apiVersion": "getambassador.io/v3alpha1",
            "kind": "Mapping",
            "metadata": {"name": name, "namespace": namespace},
            "spec": spec,
        }
        for name, spec in routes.items()
    ]


def sign(user: Mapping[str, Any], *, key: str = PRIVATE_KEY) -> str:
    """Sign a token for a row of its users, as jsonwebtoken does with `subject` and `expiresIn: '1h'`."""
    now = int(time.time())
    return jwt.encode({**user, "iat": now, "exp": now + 3600, "sub": str(user["id"])}, key, algorithm="HS256")


def _secret(name: str, values: Mapping[str, str]) -> Json:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "Opaque", "data": encoded}


def _deployment(name: str, port: int) -> Json:
    # Its images are on a registry that is not reached here: the pods exist and never run.
    container = {
        "name": name,
        "image": f"registry.invalid/{name.replace('-', '_')}:0.1",
        "ports": [{"containerPort": port}],
    }
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    spec = {"replicas": 1, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def _service(name: str, port: int) -> Json:
    spec = {"ports": [{"name": "http", "port": port, "targetPort": port}], "selector": {"app": name}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}
