"""The workflows: judged by actionlint, bound by our own rules, and their steps run."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployer.comment import MARKER
from deployer.workspace import ROOT
from tests.tools import go_tool

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"
# What one job of a workflow may do besides reading.
RIGHTS = {"preview": ("pull-requests", "write"), "deploy": ("packages", "write")}
PINNED = re.compile(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}")


def load(name: str) -> dict[str, Any]:
    """Read a workflow; YAML's 1.1 reader takes the key `on` for true."""
    loaded = yaml.safe_load((ROOT / ".github" / "workflows" / f"{name}.yml").read_text())
    return {"on" if key is True else key: value for key, value in loaded.items()}


def steps(workflow: dict[str, Any]) -> list[dict[str, Any]]:
    """List the steps of all jobs."""
    return [step for job in workflow["jobs"].values() for step in job["steps"]]


@pytest.fixture(scope="module")
def actionlint() -> Path:
    """Build actionlint once, into the cache."""
    return go_tool(ACTIONLINT)


@pytest.mark.timeout(600)
def test_actionlint_finds_nothing(actionlint: Path) -> None:
    """And does find something in a workflow that is wrong."""
    assert WORKFLOWS
    done = subprocess.run([actionlint, "-no-color", *WORKFLOWS], check=False, capture_output=True, text=True)
    assert (done.stdout, done.returncode) == ("", 0)
    broken = "on: push\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n      - run: echo ${{ nothing.here }}\n"
    done = subprocess.run([actionlint, "-no-color", "-"], input=broken, check=False, capture_output=True, text=True)
    assert done.returncode == 1


@pytest.mark.parametrize("name", [path.stem for path in WORKFLOWS])
def test_a_workflow_has_the_least_rights_and_runs_only_what_is_pinned(name: str) -> None:
    """Actions by commit; no token left in the checkout; an end to every job; nothing of an event inside a script."""
    workflow = load(name)

    assert workflow["permissions"] == {"contents": "read"}
    assert "pull_request_target" not in str(workflow["on"])
    assert workflow["concurrency"]["group"]
    for job in workflow["jobs"].values():
        assert job["timeout-minutes"] <= 90
        assert set(job.get("permissions", {}).items()) <= {("contents", "read"), RIGHTS.get(name)}
    for step in steps(workflow):
        if "uses" in step:
            assert PINNED.fullmatch(step["uses"])
        if str(step.get("uses", "")).startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False
        # A title or a branch of an attacker's choosing would run as part of the script; in a variable it does not.
        assert "${{" not in step.get("run", "")


def test_each_pinned_action_says_its_version() -> None:
    """A commit says nothing to a reader."""
    for path in WORKFLOWS:
        for line in path.read_text().splitlines():
            if "uses:" in line:
                assert re.search(r"@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


def test_secrets_go_to_jobs_that_a_fork_does_not_reach() -> None:
    """On a pull request only behind the condition that its head is this repository's own."""
    for name, job in load("preview")["jobs"].items():
        if "secrets." in json.dumps(job):
            assert "head.repo.full_name == github.repository" in job["if"], name
            assert job["environment"]
    for name in ("deploy", "drift"):
        assert "pull_request" not in load(name)["on"]


class Runner:
    """Run a step as GitHub's runner does, with scripts in place of what it has and we have not, `gh` above all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.checkout = folder / "checkout"
        self.programs = folder / "programs"
        for path in (self.checkout, self.programs, folder / "temp"):
            path.mkdir()
        (self.checkout / ".github").symlink_to(ROOT / ".github")
        self.summary = folder / "summary.md"
        self.calls = folder / "calls"

    def program(self, path: Path, script: str) -> None:
        """Put a script in a program's place."""
        path.write_text(f'#!/bin/sh\necho "$(basename "$0") $*" >> {self.calls}\n{script}\n')
        path.chmod(0o755)

    def run(self, job: dict[str, Any], name: str, **environ: str) -> None:
        """Run the step of a name."""
        (step,) = [step for step in job["steps"] if step.get("name") == name]
        everything = {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "HOME": os.environ["HOME"],
            "RUNNER_TEMP": str(self.folder / "temp"),
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "GITHUB_REPOSITORY": "team/stampchat",
            "STAMPCHAT_VENV": sys.prefix,
            **environ,
        }
        # What GitHub runs a step with: https://docs.github.com/actions/reference/workflow-syntax-for-github-actions
        command = ["bash", "-e", "-c", step["run"]]
        done = subprocess.run(command, cwd=self.checkout, env=everything, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def temp(self, name: str) -> Any:
        """Read a JSON file that a step wrote."""
        return json.loads((self.folder / "temp" / name).read_text())


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """Make a runner."""
    return Runner(tmp_path)


UP = {"url": "http://127.0.0.1:8080", "changes": {"update": 3, "same": 65}, "steps": [
    {"step": "engine", "seconds": 300.0, "outcome": ""}, {"step": "update", "seconds": 15.2, "outcome": ""},
    {"step": "preview", "seconds": 5.1, "outcome": ""}]}  # fmt: skip
CHANGE = {"op": "update", "urn": "u", "name": "Deployment stamp-chat-auth", "differs": ["spec"], "lines": ["+ x"]}
REPORT = {"stack": "dev", "counts": {"update": 1}, "changes": [CHANGE]}


def test_the_preview_of_dev_says_how_the_change_came_up(runner: Runner) -> None:
    """Every step of the job, the base first."""
    job = load("preview")["jobs"]["dev"]
    answers = {"up": UP, "preview": REPORT, "images": {"services": {"size": 37_000_000}},
               "smoke": {"passed": True, "checks": [1, 2, 3]}}  # fmt: skip
    cases = "\n".join(f"{verb}) echo '{json.dumps(answer)}' ;;" for verb, answer in answers.items())
    runner.program(runner.checkout / "stampchat", f"case $1 in\n{cases}\nesac")
    runner.program(runner.programs / "git", "")

    runner.run(job, "Bring up the base", BASE="b" * 40)
    runner.run(job, "Preview the change", HEAD="c" * 40)
    runner.run(job, "Bring up the change, and chat on it")
    runner.run(job, "Gather what is to be said")

    assert runner.temp("dev.json")["facts"] == [
        "On the runner the base was updated to this change in 20 s: 3 update (the base, from nothing: 20 s).",
        "Two people chatted on it: 3 checks, all passed.",
        "Images: services 37.0 MB (+0.0).",
    ]
    calls = runner.calls.read_text().splitlines()
    assert [call for call in calls if call.startswith("git checkout")] == [
        f"git checkout --quiet {'b' * 40}",
        f"git checkout --quiet {'c' * 40}",
    ]


def test_a_change_that_does_not_come_up_is_said(runner: Runner) -> None:
    """The comment is written all the same."""
    runner.run(load("preview")["jobs"]["dev"], "Gather what is to be said")

    report = runner.temp("dev.json")
    assert "did not come up" in report["facts"][0]
    assert report["error"] == "The preview was not reached."


@pytest.mark.parametrize(("known", "expected"), [("", "--method POST"), ("4711", "--method PATCH")])
def test_one_comment_is_written_and_then_edited(runner: Runner, known: str, expected: str) -> None:
    """By the real command, from the reports of both jobs; the whole goes into the summary."""
    job = load("preview")["jobs"]["comment"]
    (runner.checkout / "stampchat").symlink_to(ROOT / "stampchat")
    reports = runner.checkout / "reports"
    reports.mkdir()
    (reports / "dev.json").write_text(json.dumps({**REPORT, "facts": ["It came up."]}))
    (reports / "prod.json").write_text(json.dumps({**REPORT, "stack": "prod"}))
    runner.program(runner.programs / "gh", f'case "$*" in *jq*) echo "{known}" ;; esac')

    runner.run(job, "Write the comment")
    runner.run(job, "Put it on the pull request", NUMBER="12", GH_TOKEN="made-up")

    comment = (runner.checkout / "comment.md").read_text()
    assert comment.startswith(MARKER)
    assert "It came up." in comment
    assert [line for line in comment.splitlines() if line.startswith("## ")] == [
        "## Preview of stack `dev`",
        "## Preview of stack `prod`",
    ]
    assert runner.summary.read_text() == comment
    posted = [call for call in runner.calls.read_text().splitlines() if "--method" in call]
    assert len(posted) == 1
    assert expected in posted[0]
    assert posted[0].endswith("--field body=@comment.md --silent")


@pytest.mark.parametrize(("name", "verb"), [("deploy", "up prod --yes"), ("drift", "drift prod")])
def test_the_kubeconfig_is_readable_by_nobody_else_and_gone_afterwards(runner: Runner, name: str, verb: str) -> None:
    """Also when the command fails."""
    job = load(name)["jobs"]["prod"]
    step = next(step["name"] for step in job["steps"] if "run" in step)
    runner.program(runner.checkout / "stampchat", 'stat -c "%a $(cat "$KUBECONFIG")" "$KUBECONFIG" > seen')

    runner.run(job, step, KUBECONFIG_CONTENT="the cluster's")

    assert (runner.checkout / "seen").read_text() == "600 the cluster's\n"
    assert not (runner.folder / "temp" / "kubeconfig").exists()
    assert runner.calls.read_text() == f"stampchat {verb}\n"


@pytest.mark.parametrize(
    ("named", "expected"), [("", "ghcr.io/team/stampchat"), ("registry.here.net/x", "registry.here.net/x")]
)
def test_images_are_pushed_where_they_are_deployed_from(runner: Runner, named: str, expected: str) -> None:
    """With the password on standard input; a preview names the same without sending anything."""
    runner.program(runner.checkout / "stampchat", "cat > password")
    environ = {"REGISTRY": named, "GITHUB_REPOSITORY": "Team/StampChat"}
    login = {"REGISTRY_USERNAME": "robot", "REGISTRY_PASSWORD": "made-up"}

    runner.run(load("preview")["jobs"]["prod"], "Name the images that a deployment would push", **environ)
    runner.run(load("deploy")["jobs"]["images"], "Push the images", **environ, **login)

    where = f"--registry {expected} --platform linux/amd64,linux/arm64"
    assert runner.calls.read_text().splitlines() == [
        f"stampchat images build {where}",
        f"stampchat images push {where} --username robot --password-stdin --file images.json",
    ]
    assert (runner.checkout / "password").read_text() == "made-up"
    job = load("deploy")["jobs"]["prod"]
    assert job["needs"] == "images"
    (fetched,) = [step["with"] for step in job["steps"] if "download-artifact" in step.get("uses", "")]
    assert fetched == {"name": "images", "path": ".stampchat"}
