"""The credentials of the images' registry: judged, handed to both namespaces, named by every pod that pulls."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from deployer.secrets.catalogue import PULL
from infra.config import inspect_stack, pull_secret_problems
from infra.images import image_problems
from stacks.program import deploy
from tests.infra.configs import PROD, PROD_GATEWAY_API
from tests.infra.recording import Recording, files_of, record

PASSWORD = "registry-pass-3e7c"  # made up
AUTH = base64.b64encode(f"robot:{PASSWORD}".encode()).decode()
SECRET = json.dumps({"auths": {"stampchat.local": {"auth": AUTH}}})
KEY = "stampchat:imagePullSecret"


@pytest.fixture(scope="module")
def pulling(checkout: Path) -> Recording:
    """Record prod with a gateway of ours and a registry that asks."""
    return record(lambda: deploy(checkout), {**PROD_GATEWAY_API, KEY: SECRET}, stack="prod")


def test_both_namespaces_have_the_secret(pulling: Recording) -> None:
    """Of the type that the kubelet takes, and secret in the engine's state."""
    placed = [r for r in pulling.objects("Secret") if r.inputs["metadata"]["name"] == "image-pull-secret"]

    assert {r.inputs["metadata"]["namespace"] for r in placed} == {"stampchat", "stampchat-gateway"}
    for resource in placed:
        assert resource.inputs["type"] == "kubernetes.io/dockerconfigjson"
        assert files_of(resource.inputs) == {".dockerconfigjson": SECRET}
        shown = {key: value for key, value in resource.inputs.items() if key not in resource.secrets}
        assert AUTH not in json.dumps(shown)


def test_every_pod_names_it_and_none_where_there_is_none(pulling: Recording, prod_gateway_api: Recording) -> None:
    """Services and gateway; before them comes the Secret."""

    def named(recording: Recording) -> list[Any]:
        return [r.inputs["spec"]["template"]["spec"].get("imagePullSecrets") for r in recording.objects("Deployment")]

    assert named(pulling) == [[{"name": "image-pull-secret"}]] * 4
    assert named(prod_gateway_api) == [None] * 4
    secrets = [r for r in pulling.objects("Secret") if r.inputs["metadata"]["name"] == "image-pull-secret"]
    for workload in pulling.objects("Deployment"):
        namespace = workload.inputs["metadata"]["namespace"]
        (own,) = [r for r in secrets if r.inputs["metadata"]["namespace"] == namespace]
        assert pulling.waits_for(workload, own)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("nothing", "is not JSON"),
        ('{"HttpHeaders": {}}', "has no credentials under auths"),
        ('{"auths": {}}', "has no credentials under auths"),
        ('{"auths": {"a.net": {}}, "credsStore": "desktop"}', "names a helper of your machine"),
        ('{"auths": {"a.net": {"auth": "!"}}}', "has no user and password for a.net"),
        (json.dumps({"auths": {"a.net": {"auth": base64.b64encode(b"only").decode()}}}), "has no user and password"),
    ],
)
def test_what_no_cluster_could_use_is_told(text: str, said: str) -> None:
    """When it is set, and again at the preview."""
    (problem,) = pull_secret_problems(text)

    assert problem.startswith(said)
    assert PULL.problems(text) == [problem]
    assert f"stampchat:imagePullSecret {problem}." in inspect_stack({**PROD, KEY: text})[1]


def test_credentials_for_another_registry_are_told(checkout: Path) -> None:
    """The kubelet would pull without any."""
    other = json.dumps({"auths": {"https://other.net/v2/": {"username": "robot", "password": PASSWORD}}})
    config, problems = inspect_stack({**PROD, KEY: other})

    assert problems == []
    assert image_problems(config, checkout) == [
        "stampchat:imagePullSecret has no credentials for stampchat.local, where the images are."
    ]
    assert image_problems(inspect_stack({**PROD, KEY: SECRET})[0], checkout) == []
