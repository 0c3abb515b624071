"""The rules about what opens doors: each finds its violation."""

from __future__ import annotations

from typing import Any

import pytest

from policy.access import RULES

Json = dict[str, Any]
RBAC = "kubernetes:rbac.authorization.k8s.io/v1:"
HOST = {
    "requestPolicy": {"insecure": {"action": "Redirect"}},
    "tlsSecret": {"name": "x"},
    "tls": {"min_tls_version": "v1.2"},
}
LABELS = {"pod-security.kubernetes.io/enforce": "restricted"}


def judge(resource_type: str, props: Json) -> list[str]:
    """Ask every rule."""
    return [f"{rule.name}: {problem}" for rule in RULES for problem in rule.judge(resource_type, props)]


def role(**rule: list[str]) -> Json:
    """Make a role of one rule."""
    return {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"], **rule}]}


@pytest.mark.parametrize(
    ("resource_type", "props", "said"),
    [
        (f"{RBAC}Role", role(verbs=["*"]), "bounded-rights: a rule has * in its verbs"),
        (f"{RBAC}ClusterRole", role(resources=["*"]), "bounded-rights: a rule has * in its resources"),
        (f"{RBAC}ClusterRoleBinding", {"roleRef": {"name": "cluster-admin"}}, "bounded-rights: it hands out"),
        (
            f"{RBAC}RoleBinding",
            {"roleRef": {"name": "x"}, "subjects": [{"name": "system:authenticated"}]},
            "bounded-rights: it is for system:authenticated",
        ),
        (f"{RBAC}Role", role(resources=["secrets"]), "no-secret-access: it may read Secrets"),
        ("kubernetes:core/v1:Service", {"spec": {"type": "NodePort"}}, "one-way-in: it is of type NodePort"),
        ("kubernetes:core/v1:Service", {"spec": {"externalIPs": ["1.2.3.4"]}}, "one-way-in: it takes external"),
        ("kubernetes:networking.k8s.io/v1:Ingress", {}, "one-way-in: it is an Ingress"),
        (
            "kubernetes:getambassador.io/v3alpha1:Mapping",
            {"spec": {"hostname": "x", "service": "http://chat.ns:4010"}},
            "internal-stays-internal: it leads to the internal port 4010",
        ),
        (
            "kubernetes:getambassador.io/v3alpha1:Mapping",
            {"spec": {"service": "http://chat.ns:4000"}},
            "internal-stays-internal: it names no host",
        ),
        (
            "kubernetes:gateway.networking.k8s.io/v1:HTTPRoute",
            {"spec": {"rules": [{"backendRefs": [{"name": "auth", "port": 3010.0}]}]}},
            "internal-stays-internal: it leads to the internal port 3010",
        ),
        ("kubernetes:getambassador.io/v3alpha1:Host", {"spec": {**HOST, "requestPolicy": {}}}, "tls-everywhere: clear"),
        ("kubernetes:getambassador.io/v3alpha1:Host", {"spec": {**HOST, "tlsSecret": {}}}, "tls-everywhere: it has no"),
        ("kubernetes:getambassador.io/v3alpha1:Host", {"spec": {**HOST, "tls": {}}}, "tls-everywhere: it takes TLS"),
        (
            "kubernetes:cert-manager.io/v1:ClusterIssuer",
            {"spec": {"acme": {"server": "http://acme", "skipTLSVerify": True}}},
            "tls-everywhere: it does not verify",
        ),
        (
            "kubernetes:core/v1:ConfigMap",
            {"data": {"a": "postgresql://app:hush@db/x"}},
            "no-secret-in-config: its a looks like a secret",
        ),
        (
            "kubernetes:core/v1:ConfigMap",
            {"data": {"a": "-----BEGIN PRIVATE KEY-----"}},
            "no-secret-in-config: its a looks like a secret",
        ),
        ("kubernetes:core/v1:Namespace", {"metadata": {}}, "namespace-restricted: it does not enforce"),
    ],
)
def test_each_violation_is_found(resource_type: str, props: Json, said: str) -> None:
    """And told without quoting a secret."""
    found = judge(resource_type, props)

    assert [problem for problem in found if problem.startswith(said)], found
    assert "hush" not in str(found)


@pytest.mark.parametrize(
    ("resource_type", "props"),
    [
        (f"{RBAC}Role", role()),
        (f"{RBAC}Role", role(resources=["secrets"], verbs=["create"])),
        (f"{RBAC}RoleBinding", {"roleRef": {"name": "own"}, "subjects": [{"name": "own"}]}),
        ("kubernetes:core/v1:Service", {"spec": {"type": "ClusterIP"}}),
        ("kubernetes:getambassador.io/v3alpha1:Host", {"spec": HOST}),
        ("kubernetes:cert-manager.io/v1:ClusterIssuer", {"spec": {"acme": {"server": "https://acme"}}}),
        ("kubernetes:cert-manager.io/v1:ClusterIssuer", {"spec": {"selfSigned": {}}}),
        ("kubernetes:core/v1:ConfigMap", {"data": {"k.pem": "-----BEGIN PUBLIC KEY-----"}}),
        ("kubernetes:core/v1:Namespace", {"metadata": {"labels": LABELS}}),
        ("random:index/randomPassword:RandomPassword", {"length": 64}),
    ],
)
def test_what_keeps_to_the_rules_is_let_be(resource_type: str, props: Json) -> None:
    """A rule that always finds something would be turned off."""
    assert judge(resource_type, props) == []
