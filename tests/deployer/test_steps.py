from __future__ import annotations

import threading

import pytest

from deployer.errors import DeployError, StoppedError
from deployer.report import Report, Silent
from deployer.steps import Background, Display, Step, run_steps
from tests.deployer.recorder import Recorder


def test_steps_run_in_order_and_are_timed() -> None:
    display = Recorder()

    def first(report: Display) -> str:
        report.note("at it")
        return "done"

    timings = run_steps([Step("one", "begin", first), Step("two", "go on", lambda _: "too")], display)

    assert display.lines == ["begin one: begin", "note at it", "end done", "begin two: go on", "end too"]
    assert [(timing.name, timing.outcome) for timing in timings] == [("one", "done"), ("two", "too")]


def test_the_first_failure_ends_the_list() -> None:
    display = Recorder()

    def fail(_: Display) -> str:
        raise DeployError("no")

    with pytest.raises(DeployError, match="no"):
        run_steps([Step("one", "fail", fail), Step("two", "never", lambda _: "")], display)

    assert display.lines == ["begin one: fail", "fail"]


def test_ctrl_c_names_the_step_and_says_that_nothing_is_lost() -> None:
    def stop(_: Display) -> str:
        raise KeyboardInterrupt

    with pytest.raises(StoppedError) as caught:
        run_steps([Step("cluster", "start", stop)], Recorder())

    assert "'cluster'" in str(caught.value)
    assert caught.value.exit_code == 130


def test_background_work_shows_its_newest_note_once_somebody_looks() -> None:
    noted, may_end = threading.Event(), threading.Event()

    def work(report: Report) -> int:
        report.note("downloading")
        noted.set()
        may_end.wait(5)
        report.note("unpacking")
        return 7

    background = Background(work)
    background.start()
    assert noted.wait(5)
    display = Recorder()
    threading.Timer(0.01, may_end.set).start()

    assert background.join(display) == 7
    assert display.lines == ["note downloading", "note unpacking"]


def test_what_has_failed_in_the_background_is_tried_again_in_its_turn() -> None:
    """The network of some minutes ago need not be that of now."""
    tries: list[threading.Thread] = []
    begun = threading.Event()

    def work(report: Report) -> int:
        tries.append(threading.current_thread())
        begun.set()
        if len(tries) == 1:
            raise DeployError("no network")
        report.note("downloading")
        return 7

    background = Background(work)
    background.start()
    assert begun.wait(60)
    tries[0].join(60)
    display = Recorder()

    assert background.join(display) == 7
    assert display.lines == ["note trying again what failed before", "note downloading"]


def test_a_failure_in_the_background_comes_out_where_it_is_awaited() -> None:
    def work(_: Report) -> int:
        raise DeployError("no network")

    background = Background(work)
    background.start()

    with pytest.raises(DeployError, match="no network"):
        background.join(Silent())
