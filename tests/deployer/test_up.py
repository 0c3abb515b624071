"""What `up` asks before it changes a cluster that is not ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployer.errors import UsageError
from deployer.events import Outcome
from deployer.up import UpOptions, _Run
from tests.deployer.clusters import make_prod, write_kubeconfig
from tests.deployer.recorder import Recorder

PLANNED = Outcome(counts={"create": 3, "update": 2, "replace": 1, "same": 40})


class Asked(list[str]):
    """Keep each question, and say yes."""

    def __call__(self, question: str) -> bool:
        self.append(question)
        return True


def run(folder: Path, options: UpOptions) -> _Run:
    write_kubeconfig(folder / "kubeconfig", {"managed": "https://1.2.3.4"})
    return _Run(make_prod(folder), options)


def test_the_question_names_the_cluster_and_counts(tmp_path: Path) -> None:
    """Who reads it knows what will be done, and where."""
    asked = Asked()
    prepared = run(tmp_path, UpOptions("prod", confirm=asked))
    prepared.outcome = PLANNED

    prepared.ask(Recorder())

    assert asked == [
        "Stack prod on the cluster 'managed' (https://1.2.3.4): 3 to create, 2 to update, 1 to replace, 40 unchanged."
    ]


def test_a_rollback_says_first_what_it_goes_back_to(tmp_path: Path) -> None:
    """In the one question that there is."""
    asked = Asked()
    options = UpOptions("prod", purpose="Back to 12.", confirm=asked)
    prepared = run(tmp_path, options)
    prepared.outcome = PLANNED

    prepared.ask(Recorder())

    assert asked[0].startswith("Back to 12. Stack prod on the cluster 'managed'")


def test_a_no_stops_before_the_update(tmp_path: Path) -> None:
    """And nobody is asked where there is nothing to change."""
    prepared = run(tmp_path, UpOptions("prod", confirm=lambda _: False))
    prepared.outcome = PLANNED
    with pytest.raises(UsageError, match="Not confirmed; nothing was changed"):
        prepared.ask(Recorder())
    prepared.outcome = Outcome(counts={"same": 40})

    assert prepared.ask(Recorder()) == "nothing to change"


def test_the_order_of_the_steps_is_look_plan_ask_change(tmp_path: Path) -> None:
    """A preview neither asks nor changes."""
    prepared = run(tmp_path, UpOptions("prod"))
    names = [step.name for step in prepared.steps()]

    assert names == ["check", "engine", "plugins", "ground", "preview", "confirm", "update", "ready", "outside"]
    preview = _Run(prepared.workspace, UpOptions("prod", preview_only=True))
    assert [step.name for step in preview.steps()] == names[:5]


@pytest.mark.parametrize("lan", [True, False])
def test_only_this_machines_own_cluster_can_be_opened_to_others(tmp_path: Path, *, lan: bool) -> None:
    """A managed one is where its load balancer is."""
    with pytest.raises(UsageError, match="stack prod runs elsewhere"):
        run(tmp_path, UpOptions("prod", lan=lan))
