"""Waiting for objects: how long, and what is said when they do not come up, on a real cluster with a real node."""

from __future__ import annotations

import signal
import subprocess
import time
from typing import Any

import pytest

from tests.deployer.plugins.kubernetes.programs import Entry, Trial

pytestmark = pytest.mark.cluster

# Refused at once; a name would be looked up for half a minute.
MISSING = "127.0.0.1:1/none@sha256:" + "0" * 64


def shell(image: str, script: str, **container: Any) -> dict[str, Any]:
    return {"name": "c", "image": image, "command": ["/bin/sh", "-c", script], **container}


def deployment(name: str, container: dict[str, Any], **annotations: str) -> Entry:
    pod = {"terminationGracePeriodSeconds": 0, "containers": [container]}
    wanted = {f"pulumi.com/{key}": value for key, value in annotations.items()}
    spec = {
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}}, "spec": pod},
    }
    return Entry(name, "apps/v1:Deployment", {"metadata": {"name": name, "annotations": wanted}, "spec": spec})


def job(name: str, container: dict[str, Any]) -> Entry:
    pod = {"restartPolicy": "Never", "containers": [container]}
    spec = {"backoffLimit": 0, "template": {"spec": pod}}
    return Entry(name, "batch/v1:Job", {"metadata": {"name": name}, "spec": spec})


def message(printed: str, name: str) -> str:
    """Return what the diagnostics at the end say about a resource."""
    diagnostics = printed.partition("Diagnostics:")[2]
    return diagnostics.partition(f"({name}):")[2].partition("\n\n")[0]


def test_each_failure_says_its_reason_within_seconds(trial: Trial, image: str, namespace: str) -> None:
    failing = {"exec": {"command": ["/bin/sh", "-c", "echo database away; exit 1"]}, "periodSeconds": 1}
    strict = {"name": f"{namespace}-strict", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}
    loose = deployment("refused", shell(image, ""))
    placed = {**loose.inputs, "metadata": {"name": "refused", "namespace": strict["name"]}}
    began = time.monotonic()
    printed = trial.fail(
        Entry("strict", "core/v1:Namespace", {"metadata": strict}),
        Entry("refused", loose.type, placed, {"after": ["strict"]}),
        deployment("never", shell(MISSING, "", imagePullPolicy="Never")),
        deployment("missing", shell(MISSING, "")),
        deployment("crash", shell(image, "echo reading plans; echo no such plan >&2; exit 3")),
        deployment("huge", shell(image, "sleep 99", resources={"requests": {"cpu": "900"}})),
        deployment("probe", shell(image, "echo I run; sleep 99", readinessProbe=failing), timeoutSeconds="15"),
        job("migration", shell(image, "echo column exists already; exit 7")),
        deployment("good", shell(image, "sleep 99")),
    )
    took = time.monotonic() - began

    assert 'violates PodSecurity "restricted:latest": allowPrivilegeEscalation' in message(printed, "refused")
    assert "ErrImageNeverPull" in message(printed, "never")
    assert MISSING in message(printed, "missing")
    assert "crashes again and again (exit code 3, 2 restarts)" in message(printed, "crash")
    assert "  | no such plan" in message(printed, "crash")
    assert "cannot be scheduled: 0/1 nodes are available: 1 Insufficient cpu" in message(printed, "huge")
    assert "was not ready after 15 s" in message(printed, "probe")
    assert "Readiness probe failed: database away" in message(printed, "probe")
    assert "  | I run" in message(printed, "probe")
    assert "container c of pod migration-" in message(printed, "migration")
    assert "  | column exists already" in message(printed, "migration")
    assert message(printed, "good") == message(printed, "strict") == ""
    assert took < 300

    # What failed is in state, and a program that heals it is one update.
    healed = [deployment(name, shell(image, "sleep 99")) for name in ("never", "missing", "crash", "huge", "probe")]
    trial.up(*healed, job("migration", shell(image, "true")), deployment("good", shell(image, "sleep 99")))
    assert trial.unchanged()
    assert trial.run("destroy", "--yes", "--skip-preview").returncode == 0


def test_a_database_with_its_volume_and_its_service(trial: Trial, image: str) -> None:
    def database(word: str) -> list[Entry]:
        claim = {
            "metadata": {"name": "data"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "10Mi"}}},
        }
        script = f"echo {word} >> /data/words; sleep 99"
        container = shell(image, script, volumeMounts=[{"name": "data", "mountPath": "/data"}])
        spec = {
            "serviceName": "db",
            "selector": {"matchLabels": {"app": "db"}},
            "template": {
                "metadata": {"labels": {"app": "db"}},
                "spec": {"terminationGracePeriodSeconds": 0, "containers": [container]},
            },
            "volumeClaimTemplates": [claim],
        }
        service = {"selector": {"app": "db"}, "ports": [{"port": 5432}]}
        return [
            # Before its pods exist: it must not wait for them.
            Entry("db-service", "core/v1:Service", {"metadata": {"name": "db"}, "spec": service}),
            Entry("db", "apps/v1:StatefulSet", {"metadata": {"name": "db"}, "spec": spec}, {"after": ["db-service"]}),
        ]

    assert "db created" in trial.up(*database("one"))
    assert trial.state("db")["outputs"]["status"]["readyReplicas"] == 1
    trial.up(*database("two"))
    status = trial.state("db")["outputs"]["status"]
    assert status["currentRevision"] == status["updateRevision"]
    assert trial.unchanged()
    assert trial.run("destroy", "--yes", "--skip-preview").returncode == 0


def test_a_condition_of_the_programs_own_is_waited_for(trial: Trial) -> None:
    def waiting(expression: str, **options: Any) -> Entry:
        metadata = {"name": "own", "annotations": {"pulumi.com/waitFor": expression}}
        return Entry("own", "core/v1:ConfigMap", {"metadata": metadata, "data": {"k": "1"}}, options)

    printed = trial.fail(waiting("jsonpath={.data.k}=2", timeout="3s"))
    assert "was not ready after 3 s: waiting for {.data.k}=2 (it is '1')" in printed
    printed = trial.fail(waiting('["jsonpath={.data.k}=1", "condition=Ready"]', timeout="3s"))
    assert "waiting for condition Ready=True" in printed
    printed = trial.fail(waiting("somehow"))
    assert 'must begin with "jsonpath=" or "condition="' in printed
    trial.up(waiting("jsonpath={.data.k}=1"))
    assert trial.run("destroy", "--yes", "--skip-preview").returncode == 0


def test_one_that_waits_holds_no_other_and_ends_when_asked(trial: Trial, image: str) -> None:
    others = [Entry(f"map-{number}", "core/v1:ConfigMap", {"data": {"k": "1"}}) for number in range(10)]
    failing = {"exec": {"command": ["/bin/false"]}, "periodSeconds": 1}
    slow = deployment("slow", shell(image, "sleep 99", readinessProbe=failing))
    trial.write(slow, *others)
    running = subprocess.Popen(
        trial.project.command("up", "--yes", "--skip-preview"),
        cwd=trial.project.folder,
        env=trial.project.environ,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    printed, created, told = "", set(), False
    with running.stdout:
        for line in running.stdout:
            printed += line
            created |= {entry.name for entry in others if f"{entry.name} created" in line}
            told = told or "0/1 pods ready: pod slow-" in line
            if len(created) == len(others) and told:
                break
        running.send_signal(signal.SIGINT)
        asked = time.monotonic()
        printed += running.stdout.read()
    assert running.wait(120) != 0
    assert time.monotonic() - asked < 120
    assert "was not waited for: the update was cancelled" in printed

    # The next update takes up what the cancelled one left.
    assert "slow" in trial.project.resources()
    trial.up(deployment("slow", shell(image, "sleep 99")), *others)
    assert trial.unchanged()
    assert trial.run("destroy", "--yes", "--skip-preview").returncode == 0
