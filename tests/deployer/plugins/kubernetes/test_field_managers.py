from __future__ import annotations

from typing import Any

from deployer.plugins.kubernetes.errors import ApiError
from deployer.plugins.kubernetes.field_managers import explain_conflict, leave_ignored, take_over

OURS = "pulumi-kubernetes-0a"


def entry(manager: str, operation: str, fields: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": fields, **more}


def live(*entries: dict[str, Any], **spec: Any) -> dict[str, Any]:
    return {"metadata": {"resourceVersion": "7", "managedFields": list(entries)}, "spec": spec}


def test_what_a_create_noted_becomes_ours_and_the_rest_stays() -> None:
    created = entry("pulumi-kubernetes", "Update", {"f:spec": {"f:a": {}}})
    status = entry("pulumi-kubernetes", "Update", {"f:status": {}}, subresource="status")
    other = entry("controller", "Update", {"f:spec": {"f:c": {}}})
    mine = entry(OURS, "Apply", {"f:spec": {"f:b": {}}})
    patch = take_over(live(created, status, other, mine), OURS)
    assert patch is not None
    merged = entry(OURS, "Apply", {"f:spec": {"f:a": {}, "f:b": {}}})
    assert patch[0]["value"] == [status, other, merged]
    assert patch[1] == {"op": "replace", "path": "/metadata/resourceVersion", "value": "7"}
    assert take_over(live(status, other, merged), OURS) is None


def test_an_ignored_field_of_others_is_left_out_and_ours_keeps_its_live_value() -> None:
    fields: dict[str, Any] = {"f:spec": {"f:replicas": {}}}
    wanted = {"spec": {"replicas": 1, "x": 1}}
    theirs = live(entry("scaler", "Update", fields), replicas=5)
    assert leave_ignored(wanted, theirs, ["spec.replicas"], OURS) == {"spec": {"x": 1}}
    shared = live(entry("scaler", "Update", fields), entry(OURS, "Apply", fields), replicas=5)
    assert leave_ignored(wanted, shared, ["spec.replicas"], OURS) == {"spec": {"replicas": 5, "x": 1}}
    assert leave_ignored(wanted, shared, [], OURS) == wanted


def test_a_conflict_names_the_other() -> None:
    message = 'conflict with "kubectl-edit" using apps/v1'
    error = ApiError(409, {"reason": "Conflict", "details": {"causes": [{"field": ".spec.x", "message": message}]}})
    told = str(explain_conflict(error, {"kind": "Deployment", "metadata": {"name": "web", "namespace": "n"}}))
    assert "Deployment n/web was not changed: kubectl-edit manages fields of it." in told
    assert "  | .spec.x: managed by kubectl-edit" in told
