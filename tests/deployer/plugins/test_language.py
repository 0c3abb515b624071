from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from google.protobuf.empty_pb2 import Empty

from deployer.errors import UsageError
from deployer.plugins.language.host import LanguageHost
from deployer.plugins.language.program import Programs, find_python
from tests.deployer.plugins.engine_project import EngineProject, make_project

SLEEPER = """
import pathlib, time
import pulumi_random
pulumi_random.RandomUuid("first")
pathlib.Path("started").touch()
time.sleep(120)
"""
PACK = """
from pulumi_policy import EnforcementLevel, PolicyPack, ResourceValidationPolicy

def check(args, report):
    if args.resource_type == "random:index/randomUuid:RandomUuid":
        report("this one has to go")

PolicyPack("pack", policies=[ResourceValidationPolicy("no-uuids", "Refuse them.", check, EnforcementLevel.MANDATORY)])
"""


def processes_of(folder: Path) -> list[int]:
    """Return the processes whose command line or working directory lies in a folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes().decode(errors="replace")
                place = str((entry / "cwd").readlink())
            except OSError:
                continue
            if command and (str(folder) in command or place.startswith(str(folder))):
                found.append(int(entry.name))
    return found


def wait_until(condition: object, *, seconds: float = 60.0) -> None:
    """Poll until a condition holds, and fail when it does not in time."""
    assert callable(condition)
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)


def test_a_program_gets_its_config_and_prints_into_the_diagnostics(project: EngineProject) -> None:
    project.write(
        "import pulumi, sys\n"
        "print('word', pulumi.Config().require('word'), pulumi.get_stack(), pulumi.get_project())\n"
        "pulumi.export('python', sys.prefix)"
    )
    said = project.up("--config", "trial:word=hello")

    assert "word hello trial trial" in said
    assert project.run("stack", "output", "python").stdout.strip() == sys.prefix


def test_no_warning_is_shown_for_our_host(project: EngineProject) -> None:
    assert "warning" not in project.run("preview").stdout.lower()


def test_a_failing_program_shows_where_and_fails_the_preview(project: EngineProject) -> None:
    project.write("first = 1\nraise RuntimeError('the reason')")

    done = project.run("preview", check=False)

    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert 'project/__main__.py", line 2' in said
    assert said.count("RuntimeError: the reason") == 1


def test_a_program_that_exits_by_itself_is_named(project: EngineProject) -> None:
    project.write("import os\nos._exit(7)")

    done = project.run("preview", check=False)

    assert "the program exited with status 7" in done.stdout + done.stderr


def test_a_missing_virtualenv_says_how_to_make_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = make_project(tmp_path, monkeypatch, virtualenv="nowhere")

    done = project.run("preview", check=False)

    assert done.returncode != 0
    assert "names 'nowhere', and there is no" in done.stdout + done.stderr
    assert "python3 -m venv" in done.stdout + done.stderr


def test_another_toolchain_is_refused() -> None:
    with pytest.raises(UsageError, match="asks for `uv`"):
        find_python({"toolchain": "uv"}, "/")


def test_a_policy_pack_is_run_as_one(project: EngineProject, tmp_path: Path) -> None:
    pack = tmp_path / "pack"
    pack.mkdir()
    (pack / "PulumiPolicy.yaml").write_text("runtime: python\n")
    (pack / "__main__.py").write_text(PACK)
    project.write("import pulumi_random\npulumi_random.RandomUuid('one')")

    done = project.run("up", "--yes", "--policy-pack", str(pack), check=False)

    assert done.returncode != 0
    assert "this one has to go" in done.stdout
    assert "one" not in project.resources()


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="it looks for processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_engine_that_is_stopped_leaves_no_process(
    project: EngineProject, tmp_path: Path, number: signal.Signals
) -> None:
    project.write(SLEEPER)
    with subprocess.Popen(
        project.command("preview"),
        cwd=project.folder,
        env=project.environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as engine:
        wait_until((project.folder / "started").exists)
        assert len(processes_of(tmp_path)) >= 3

        os.kill(engine.pid, number)
        said, _ = engine.communicate(timeout=60)

    wait_until(lambda: processes_of(tmp_path) == [])
    assert "Traceback" not in said


def test_a_cancelled_host_ends_its_program_at_once() -> None:
    programs = Programs()
    started = programs.start(["sleep", "60"], cwd="/", env={})

    LanguageHost("", programs).Cancel(Empty(), None)

    assert programs.wait(started) == -signal.SIGKILL


def test_programs_end_with_their_children() -> None:
    programs = Programs()
    started = programs.start(["sh", "-c", "sleep 60 & wait"], cwd="/", env={}, stdout=subprocess.PIPE)

    programs.kill()

    assert programs.wait(started) == -signal.SIGKILL
    late = programs.start(["sleep", "60"], cwd="/", env={})
    assert programs.wait(late) == -signal.SIGKILL
    if started.stdout:
        started.stdout.close()
