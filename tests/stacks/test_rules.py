"""Rules that hold for everything that any program registers: they guard what reviewers forget."""

from __future__ import annotations

import json
import re
from typing import Any

from policy.exceptions import EXCEPTIONS, find_exception
from policy.pack import RULES, object_name
from policy.relations import STACK_RULES
from policy.rule import Thing
from tests.infra.configs import PASSWORDS, SERVICE_ACCOUNT
from tests.infra.recording import Recorded, Recording, password

WORKLOADS = ("Deployment", "StatefulSet")
BY_DIGEST = re.compile(r"\S+@sha256:[0-9a-f]{64}")


def pods(recording: Recording) -> list[tuple[str, dict[str, Any]]]:
    return [(r.name, r.inputs["spec"]["template"]) for r in recording.objects(*WORKLOADS)]


def containers(recording: Recording) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for name, pod in pods(recording):
        every = [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
        found += [(f"{name}/{each['name']}", each) for each in every]
    return found


def test_there_is_something_to_judge(recording: Recording) -> None:
    """A rule over an empty recording would always hold."""
    assert len(recording.objects()) > 20
    assert len(containers(recording)) >= 6


def test_each_object_belongs_to_a_component_of_ours(recording: Recording) -> None:
    """Only components and the provider stand at the top."""
    components = {component.urn for component in recording.components()}

    assert [r.name for r in recording.resources if r.custom and r.parent not in components] == ["cluster"]


def test_each_component_registers_its_outputs(recording: Recording) -> None:
    """The engine calls a component finished only then."""
    assert {component.urn for component in recording.components()} == recording.finished


def test_each_object_goes_to_the_named_cluster(recording: Recording) -> None:
    """None goes through a default provider, whose context is whatever is current."""
    for resource in recording.objects():
        assert "pulumi:providers:kubernetes::cluster" in resource.provider, resource.name


def test_no_two_resources_share_a_urn(recording: Recording) -> None:
    """A parent's name is no part of its child's URN, so names are unique within a type."""
    urns = [resource.urn for resource in recording.resources]

    assert len(urns) == len(set(urns))


def test_each_object_has_a_name_and_the_common_labels(recording: Recording) -> None:
    """Others name our objects by string, and the labels say whose they are."""
    for resource in recording.objects():
        metadata = resource.inputs["metadata"]
        assert metadata["name"]
        assert metadata["labels"]["app.kubernetes.io/part-of"] == "stampchat", resource.name


def test_each_selector_matches_its_pods_and_no_others(recording: Recording) -> None:
    """A Service, a budget or a policy that selects nothing protects nothing."""
    labels = {name: pod["metadata"]["labels"] for name, pod in pods(recording)}
    selectors: list[tuple[str, dict[str, str]]] = []
    for r in recording.objects():
        spec = r.inputs.get("spec", {})
        if r.kind in (*WORKLOADS, "PodDisruptionBudget"):
            selectors.append((r.name, spec["selector"]["matchLabels"]))
        elif r.kind == "Service" and r.name != "acme-http01-solver":
            selectors.append((r.name, spec["selector"]))

    for name, selector in selectors:
        matching = [pod for pod, own in labels.items() if selector.items() <= own.items()]
        assert matching == [name]


def test_each_service_sends_to_a_port_that_its_pods_have(recording: Recording) -> None:
    """Ports are named, so a Service cannot point at a number that moved."""
    for r in recording.objects("Service"):
        if r.name == "acme-http01-solver":
            continue
        (pod,) = [pod for name, pod in pods(recording) if name == r.name]
        named = {port["name"] for container in pod["spec"]["containers"] for port in container.get("ports", [])}
        assert {port["targetPort"] for port in r.inputs["spec"]["ports"]} <= named


def test_each_container_is_named_by_digest(recording: Recording) -> None:
    """A tag can come to mean something else."""
    for name, container in containers(recording):
        assert BY_DIGEST.fullmatch(container["image"]), name


def test_each_container_is_limited(recording: Recording) -> None:
    """No container can take a node down."""
    for name, container in containers(recording):
        for part in ("requests", "limits"):
            assert {"cpu", "memory", "ephemeral-storage"} <= set(container["resources"][part]), name


def test_each_long_lived_container_has_three_probes(recording: Recording) -> None:
    """Liveness and readiness ask different questions."""
    for name, pod in pods(recording):
        for container in pod["spec"]["containers"]:
            assert {"startupProbe", "livenessProbe", "readinessProbe"} <= set(container), name
            assert container["livenessProbe"] != container["readinessProbe"], name


def test_each_pod_keeps_to_restricted(recording: Recording) -> None:
    """The API server enforces it; here it is known before anything is sent there."""
    for name, pod in pods(recording):
        context = pod["spec"]["securityContext"]
        assert context["runAsNonRoot"] is True, name
        assert context["runAsUser"] > 10000
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        allowed = {"configMap", "secret", "emptyDir", "persistentVolumeClaim"}
        for volume in pod["spec"].get("volumes", []):
            assert set(volume) - {"name"} <= allowed, name
    for name, container in containers(recording):
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False, name
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["readOnlyRootFilesystem"] is True
        assert all("hostPort" not in port for port in container.get("ports", []))


def test_each_namespace_enforces_restricted(recording: Recording) -> None:
    """Both of ours, whatever else the cluster allows."""
    for r in recording.objects("Namespace"):
        assert r.inputs["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_only_the_gateway_gets_a_token_for_the_api_server(recording: Recording) -> None:
    """Nobody else has anything to say to it."""
    with_token = [name for name, pod in pods(recording) if pod["spec"]["automountServiceAccountToken"]]

    assert with_token in ([], ["gateway"])
    for name, pod in pods(recording):
        assert pod["spec"]["serviceAccountName"] == name


def test_each_mount_has_its_volume(recording: Recording) -> None:
    """A claim template's volume counts too."""
    for r in recording.objects(*WORKLOADS):
        pod = r.inputs["spec"]["template"]["spec"]
        volumes = {volume["name"] for volume in pod.get("volumes", [])}
        volumes |= {claim["metadata"]["name"] for claim in r.inputs["spec"].get("volumeClaimTemplates", [])}
        for container in [*pod.get("initContainers", []), *pod["containers"]]:
            assert {mount["name"] for mount in container.get("volumeMounts", [])} <= volumes


def test_secrets_are_mounted_as_files_that_only_our_group_reads(recording: Recording) -> None:
    """0440, owned by the pod's fsGroup."""
    found = 0
    for _, pod in pods(recording):
        for volume in pod["spec"].get("volumes", []):
            if "secret" in volume:
                found += 1
                assert volume["secret"]["defaultMode"] == 0o440
        assert pod["spec"]["securityContext"]["fsGroup"] == 10001
    assert found >= 6


def test_each_mounted_secret_rolls_its_pods(recording: Recording) -> None:
    """Each Secret and ConfigMap that a pod mounts has its checksum in the pod's template."""
    for name, pod in pods(recording):
        mounted = set()
        for volume in pod["spec"].get("volumes", []):
            mounted |= {volume["secret"]["secretName"]} if "secret" in volume else set()
            mounted |= {volume["configMap"]["name"]} if "configMap" in volume else set()
        annotated = {key.partition("/")[2] for key in pod["metadata"].get("annotations", {})}
        assert mounted == annotated, name


def test_no_secret_is_in_an_environment_variable(recording: Recording) -> None:
    """An environment is read by every child, every crash report and every `describe`."""
    for name, container in containers(recording):
        for variable in container.get("env", []):
            assert "valueFrom" not in variable, name
            assert not any(secret in variable["value"] for secret in all_secrets(recording)), name
        assert "envFrom" not in container, name


def test_no_secret_is_anywhere_but_where_pulumi_keeps_it_secret(recording: Recording) -> None:
    """Inputs marked secret are encrypted in state and masked in previews; nothing else may hold one."""
    for resource in recording.resources:
        shown = json.dumps(_without(resource.inputs, resource.secrets))
        for secret in all_secrets(recording):
            assert secret not in shown, f"{resource.type} {resource.name}"
    assert not any(secret in json.dumps(recording.outputs) for secret in all_secrets(recording))


def test_each_secret_object_is_secret_as_a_whole(recording: Recording) -> None:
    """Its content is marked, so a preview masks it."""
    for r in recording.objects("Secret"):
        assert set(r.secrets) == {"stringData"}, r.name


def all_secrets(recording: Recording) -> set[str]:
    """Return every made-up secret that this recording's program was given or generated."""
    generated = {password(r.name) for r in recording.resources if r.type.endswith(":RandomPassword")}
    return generated | set(PASSWORDS.values()) | {json.loads(SERVICE_ACCOUNT)["private_key"]}


def _without(inputs: Any, secrets: Any) -> Any:
    """Return inputs without what is marked secret; a mark is on a whole top-level property."""
    return {key: value for key, value in inputs.items() if key not in secrets}


def test_the_rule_about_secrets_can_fail() -> None:
    """Self-test: an unmarked secret in an input is found."""
    leak = {"metadata": {"annotations": {"note": password("private-key-1")}}}
    planted = Recorded(
        urn="u", type="kubernetes:core/v1:ConfigMap", name="leak", parent="", inputs=leak, secrets={},
        dependencies=frozenset(), custom=True, provider="",
    )  # fmt: skip
    generated = Recorded(
        urn="g", type="random:index/randomPassword:RandomPassword", name="private-key-1", parent="", inputs={},
        secrets={}, dependencies=frozenset(), custom=True, provider="",
    )  # fmt: skip
    recording = Recording(resources=[planted, generated])

    found = [s for s in all_secrets(recording) if s in json.dumps(_without(planted.inputs, planted.secrets))]

    assert found == [password("private-key-1")]


def test_the_policy_pack_has_nothing_to_say(recording: Recording) -> None:
    """Zero violations in every stack."""
    judged = [r for r in recording.resources if r.type.startswith("kubernetes:")]
    things = [Thing(r.type, object_name(r.name, r.inputs), r.inputs) for r in judged]
    found = [
        (rule.name, thing, what) for rule in RULES for thing in things for what in rule.judge(thing.type, thing.props)
    ]
    found += [(rule.name, thing, what) for rule in STACK_RULES for thing, what in rule.judge(things)]

    problems = [
        f"{rule}: {thing.kind} {thing.name} {what}"
        for rule, thing, what in found
        if find_exception(rule, thing.kind, thing.name) is None
    ]
    assert problems == []


def test_each_exception_is_still_needed(dev: Recording, prod: Recording, prod_gateway_api: Recording) -> None:
    """One that excepts nothing any more would hide tomorrow's mistake."""
    met = set()
    for recorded in (dev, prod, prod_gateway_api):
        things = [Thing(r.type, r.inputs["metadata"]["name"], r.inputs) for r in recorded.objects()]
        met |= {(rule.name, t.kind, t.name) for rule in RULES for t in things if any(rule.judge(t.type, t.props))}
        met |= {(rule.name, thing.kind, thing.name) for rule in STACK_RULES for thing, _ in rule.judge(things)}

    assert {(one.rule, one.kind, one.name) for one in EXCEPTIONS} <= met
    assert all(one.reason for one in EXCEPTIONS)
