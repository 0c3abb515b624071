from __future__ import annotations

from typing import Any

import pytest

from deployer.plugins.kubernetes.check import check
from deployer.plugins.kubernetes.errors import KubernetesError, UnsupportedError
from deployer.plugins.kubernetes.functions import invoke
from deployer.plugins.kubernetes.kinds import Kind
from deployer.plugins.kubernetes.secrecy import annotate
from deployer.plugins.kubernetes.state import read_checkpoint, write_checkpoint
from deployer.plugins.values import UNKNOWN, Secret

URN = "urn:pulumi:dev::p::kubernetes:{}::web"
POD_TYPE = "core/v1:Pod"


def checked(news: dict[str, Any], olds: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    given = {"pulumi_type": POD_TYPE, "seed": b"s", "proposed": None} | options
    urn = URN.format(given.pop("pulumi_type"))
    return check(
        urn, news, olds or {}, namespace_for=lambda kind: "ns" if kind.namespaced is not False else "", **given
    )


def test_a_name_is_made_once_and_kept() -> None:
    first = checked({})
    assert first["metadata"]["name"].startswith("web-")
    assert (first["apiVersion"], first["kind"], first["metadata"]["namespace"]) == ("v1", "Pod", "ns")
    assert first["metadata"]["annotations"] == {"pulumi.com/autonamed": "true"}
    assert checked({}, seed=b"s") == first
    assert checked({}, seed=b"other") != first
    again = checked({"metadata": {"labels": {"a": "b"}}}, first, seed=b"other")
    assert again["metadata"]["name"] == first["metadata"]["name"]
    assert "annotations" not in checked({"metadata": {"name": "own"}}, first)["metadata"]
    # A name that the program gave and took back is not kept: the engine asks for a new one when it replaces.
    assert "name" not in checked({}, {"metadata": {"name": "own"}})["metadata"]


@pytest.mark.parametrize("metadata", [UNKNOWN, {"name": UNKNOWN}, {"name": UNKNOWN, "namespace": UNKNOWN}])
def test_what_is_unknown_stays_so(metadata: Any) -> None:
    result = checked({"metadata": metadata})["metadata"]
    assert result in (metadata, {"namespace": "ns", **({} if metadata == UNKNOWN else metadata)})


def test_the_projects_own_names() -> None:
    assert checked({}, proposed="given")["metadata"]["name"] == "given"
    with pytest.raises(KubernetesError, match="Autonaming is disabled"):
        checked({}, proposed="")


def test_a_kind_outside_namespaces_gets_none() -> None:
    assert "namespace" not in checked({"metadata": {"name": "x"}}, pulumi_type="core/v1:Namespace")["metadata"]


@pytest.mark.parametrize(
    ("pulumi_type", "news", "says"),
    [
        ("core/v1:PodList", {}, "declare each of its items"),
        ("core/v1:ConfigMapPatch", {}, "needs metadata.name"),
        (POD_TYPE, {"metadata": {"generateName": "x-"}}, "generateName"),
        (POD_TYPE, {"metadata": {"annotations": {"pulumi.com/waitFor": "x"}}}, "waitFor"),
    ],
)
def test_inputs_that_make_no_object(pulumi_type: str, news: dict[str, Any], says: str) -> None:
    with pytest.raises(KubernetesError, match=says):
        checked(news, pulumi_type=pulumi_type)


def test_secrets_of_the_inputs_stay_secret() -> None:
    secret = checked({"stringData": {"a": "1"}}, pulumi_type="core/v1:Secret")
    assert isinstance(secret["data"], Secret)
    pod = checked({"spec": {"containers": [{"env": [{"name": "A", "value": Secret("x")}]}], "nodeName": "n"}})
    assert isinstance(pod["spec"]["containers"], Secret)
    assert pod["spec"]["nodeName"] == "n"


def test_annotate_looks_into_maps_and_seals_lists() -> None:
    outputs = {"a": {"b": 1, "c": 2}, "list": [1, 2], "new": 1}
    marked = annotate(outputs, {"a": {"b": Secret(1)}, "list": [Secret(0)]})
    assert marked == {"a": {"b": Secret(1), "c": 2}, "list": Secret([1, 2]), "new": 1}
    # "kind" deeper down is not an object's.
    assert annotate({"spec": {"kind": "Other", "data": 1}}, {}) == {"spec": {"kind": "Other", "data": 1}}


def test_a_checkpoint_is_read_as_it_was_written() -> None:
    live = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": {"a": "MQ=="}}
    inputs = {**live, "metadata": {"name": "s"}}
    state = write_checkpoint(inputs=inputs, live=live, given={}, initial_api_version="v1", field_manager="m")
    assert isinstance(state["data"], Secret)
    assert isinstance(state["__inputs"]["data"], Secret)
    checkpoint = read_checkpoint(state)
    assert (checkpoint.inputs, checkpoint.live) == (inputs, live)
    assert (checkpoint.initial_api_version, checkpoint.field_manager) == ("v1", "m")


def test_kinds() -> None:
    assert Kind("apps/v1", "Deployment").namespaced is True
    assert Kind("v1", "Namespace").namespaced is False
    assert Kind("example.com/v1", "Namespace").namespaced is None


def test_yaml_is_read_and_charts_are_not() -> None:
    text = "kind: A\n---\n---\nkind: BList\nitems: [{kind: B}]\n"
    assert invoke("kubernetes:yaml:decode", {"text": text}) == {"result": [{"kind": "A"}, {"kind": "B"}]}
    with pytest.raises(KubernetesError, match="cannot be read"):
        invoke("kubernetes:yaml:decode", {"text": "a: ["})
    with pytest.raises(UnsupportedError, match="official Pulumi plugin"):
        invoke("kubernetes:helm:template", {})
