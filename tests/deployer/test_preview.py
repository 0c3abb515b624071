from __future__ import annotations

from deployer.events import Change, Outcome, parse_urn
from deployer.preview import ShowOn, failure, ordered, show_plan
from tests.deployer.recorder import Recorder

AUTH = parse_urn("urn:pulumi:dev::stampchat::kubernetes:apps/v1:Deployment::stamp-chat-auth")
STACK = parse_urn("urn:pulumi:dev::stampchat::pulumi:pulumi:Stack::stampchat-dev")


def test_a_failure_names_the_resource_and_its_own_reason() -> None:
    outcome = Outcome(errors=[(AUTH, "image missing"), (STACK, "update failed")])

    error = failure("The update failed", outcome, "", "Mend it.")

    assert error.what == "The update failed at Deployment stamp-chat-auth."
    assert error.said == "Deployment stamp-chat-auth: image missing"
    assert error.advice == "Mend it."


def test_a_failure_without_an_event_tells_what_the_engine_printed() -> None:
    assert failure("It failed", Outcome(), "error: no stack", "").said == "error: no stack"
    assert "killed" in failure("It failed", Outcome(), "", "").said


def test_an_update_that_came_second_is_told_to_wait() -> None:
    """The engine itself advises to cancel, which would break the first one."""
    said = (
        "error: the stack is currently locked by 1 lock(s). Either wait for the other process(es) to end or delete "
        "the lock file with `pulumi cancel`.\n  file:///x.json: created by root@here (pid 12) at 2026-11-29T21:39:50Z\n"
    )

    error = failure("The update failed", Outcome(), said, "Mend it.")

    assert error.advice.startswith("Another update of the stack")
    assert error.said == "its lock: created by root@here (pid 12) at 2026-11-29T21:39:50Z"


def test_a_plugin_that_was_killed_is_not_reported_to_its_author() -> None:
    """What it printed before its end is told."""
    said = (
        "Detected that /home/plugins/pulumi-resource-kubernetes exited prematurely. \n"
        "       This is *always* a bug in the provider. Please report the issue to the provider author as "
        "appropriate.\n       To assist with debugging we have dumped the STDOUT and STDERR streams of the plugin:"
    )

    assert failure("It failed", Outcome(errors=[(None, said)]), "", "").said == (
        "pulumi-resource-kubernetes ended, or was killed."
    )
    assert failure("It failed", Outcome(errors=[(None, f"{said}no memory\n")]), "", "").said.endswith("no memory")


def test_the_language_host_need_not_say_it_again() -> None:
    ended = (None, "an unhandled error occurred: the program exited with status 1")

    assert failure("It failed", Outcome(errors=[(None, "why"), ended]), "", "").said == "why"


def test_what_goes_is_shown_before_what_comes() -> None:
    changes = [Change(op, AUTH) for op in ("create", "update", "create-replacement", "same", "delete", "create")]

    assert [change.op for change in ordered(changes)][:2] == ["delete", "create-replacement"]
    assert [change.op for change in ordered(changes)][2:] == ["create", "update", "same", "create"]


def test_a_violated_policy_is_told() -> None:
    assert (
        failure("The preview failed", Outcome(policies=["limits: none set"]), "", "").said == "policy limits: none set"
    )


def test_a_plan_is_a_line_each_with_its_warnings() -> None:
    display = Recorder()

    show_plan(Outcome(changes=[Change("create", AUTH)], warnings=["old"]), display)

    assert display.lines == ["line create Deployment stamp-chat-auth", "line warning: old"]


def test_progress_names_what_is_still_under_way() -> None:
    display = Recorder()
    show = ShowOn(display, "starting")
    other = Change("update", parse_urn("a::b::kubernetes:core/v1:Service::auth"))

    show.doing(Change("create", AUTH), running=2)
    show.done(Change("create", AUTH), still=[other])
    show.said(AUTH, "0/1 ready\nmore", lasting=False)

    assert display.lines == [
        "note starting",
        "note creating Deployment stamp-chat-auth and 1 more",
        "line created Deployment stamp-chat-auth",
        "note updating Service auth",
        "note Deployment stamp-chat-auth: 0/1 ready",
    ]
