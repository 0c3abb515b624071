"""What keeps a cluster from its work, in the words of the part that fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from deployer.cluster.embedded import ready
from deployer.cluster.embedded.layout import Layout
from deployer.cluster.embedded.ready import await_api
from deployer.cluster.model import Instance
from deployer.errors import DeployError


class Away:
    """An API server that never is ready."""

    def ready(self) -> bool:
        return False


@pytest.mark.parametrize(
    ("last", "advised"),
    [('"Failed to start cAdvisor" err="inotify_init: too many open files"', True), ("no such flag", False)],
)
def test_a_machine_whose_watches_are_used_up_is_told_what_to_raise(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    last: str,
    advised: bool,  # noqa: FBT001  # a table
) -> None:
    """Several clusters side by side come to that first, and the kubelet's own words name the wrong limit."""
    layout = Layout(home=tmp_path, instance=Instance(name="stampchat-0a1b2c", number=7, port=8080))
    layout.logs.mkdir()
    (layout.logs / "kubelet.log").write_text(f"starting\n{last}\n")
    kubelet: dict[str, Any] = {"name": "kubelet", "pid": None, "restarts": 9, "ended": "exit status 1"}
    monkeypatch.setattr(ready, "find_init", lambda _: 1)
    monkeypatch.setattr(ready, "box_status", lambda _: [kubelet])

    with pytest.raises(DeployError, match=r"kubelet of the cluster stampchat-0a1b2c keeps failing") as raised:
        await_api(layout, Away())  # type: ignore[arg-type]  # as much of it as is asked

    assert last in str(raised.value)
    assert ("sysctl -w fs.inotify.max_user_instances" in str(raised.value)) is advised
