"""A host that waits for the real engine, which shows of a program what it shows by a host of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployer.plugins.language.waiting import WaitingHost
from tests.deployer.plugins.engine_project import EngineProject
from tests.deployer.plugins.test_language import SLEEPER, processes_of, wait_until


@pytest.fixture
def host(project: EngineProject) -> Iterator[WaitingHost]:
    """Start a host for the project, which has ended with all of its programs afterwards."""
    (executable,) = Path(project.environ["PULUMI_HOME"]).glob("plugins/language-python-*/pulumi-language-python")
    with WaitingHost(executable, project.environ) as waiting:
        yield waiting
    wait_until(lambda: processes_of(project.folder) == [])


def test_a_program_gets_its_config_and_prints_into_the_diagnostics(project: EngineProject, host: WaitingHost) -> None:
    project.write(
        "import os, pulumi, sys\n"
        "print('word', pulumi.Config().require('word'), os.getcwd(), sys.path[0], __name__)\n"
        "pulumi.export('python', sys.prefix)"
    )

    said = project.run("preview", *host.options(), "--config", "trial:word=hello").stdout

    assert f"word hello {project.folder} {project.folder} __main__" in said
    assert sys.prefix in said
    assert "warning" not in said.lower()


def test_a_failing_program_shows_where_and_fails_the_preview(project: EngineProject, host: WaitingHost) -> None:
    project.write("first = 1\nraise RuntimeError('the reason')")

    done = project.run("preview", *host.options(), check=False)

    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert 'project/__main__.py", line 2' in said
    assert said.count("RuntimeError: the reason") == 1


def test_an_engine_that_is_stopped_ends_while_its_program_sleeps(project: EngineProject, host: WaitingHost) -> None:
    project.write(SLEEPER)
    command = project.command("preview", *host.options())
    with subprocess.Popen(
        command, cwd=project.folder, env=project.environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as engine:
        wait_until((project.folder / "started").exists)

        os.kill(engine.pid, signal.SIGINT)
        said, _ = engine.communicate(timeout=60)

    assert "Traceback" not in said


def test_where_there_is_no_host_the_engine_starts_its_own(tmp_path: Path) -> None:
    with WaitingHost(Path("/bin/true"), {"HOME": str(tmp_path)}) as host:
        assert host.options() == []
