"""Whose data a cluster's programs may open."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deployer.cluster.embedded import release
from deployer.cluster.embedded.layout import Layout
from deployer.cluster.embedded.release import check_release, note_release
from deployer.cluster.model import Instance
from deployer.errors import DeployError


@pytest.fixture
def layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Layout:
    versions = {"cluster": {"kubernetes": "1.34.2", "etcd": "3.6.5"}}
    monkeypatch.setattr(release, "load_versions", lambda: versions)
    return Layout(home=tmp_path, instance=Instance(name="stampchat-0a1b2c", number=7, port=8080))


@pytest.mark.parametrize("before", ["1.34.2", "1.34.0", "1.34.11", "1.33.9"])
def test_a_patch_and_the_next_minor_version_open_what_is_there(layout: Layout, before: str) -> None:
    """Patch releases store the same, so they go both ways: a bad one is taken back by the commit before."""
    layout.release.write_text(json.dumps({"kubernetes": before, "etcd": "3.6.5"}))

    check_release(layout)


@pytest.mark.parametrize(
    ("kubernetes", "etcd", "said"),
    [
        ("1.35.0", "3.6.5", r"Kubernetes 1\.35\.0, and this checkout has 1\.34\.2: no minor version goes back"),
        ("1.32.7", "3.6.5", r"no minor version is left out.*\n.*commit with Kubernetes 1\.33 first"),
        ("2.0.0", "3.6.5", "goes back"),
        ("1.34.2", "3.7.0", r"etcd 3\.7\.0.*goes back"),
        ("1.34.2", "3.4.30", r"left out.*\n.*etcd 3\.5 first"),
    ],
)
def test_anything_else_is_refused_in_one_paragraph(layout: Layout, kubernetes: str, etcd: str, said: str) -> None:
    """It says both versions, that nothing was changed and the two ways on."""
    layout.release.write_text(json.dumps({"kubernetes": kubernetes, "etcd": etcd}))

    with pytest.raises(DeployError, match=said) as raised:
        check_release(layout)

    assert "Nothing was changed." in str(raised.value)
    assert "cluster down --purge" in str(raised.value)


@pytest.mark.parametrize("noted", [None, "", "{", "[]", '{"kubernetes": "new"}', '{"kubernetes": "1.34.0"}'])
def test_a_note_that_says_nothing_refuses_nothing(layout: Layout, noted: str | None) -> None:
    """Data of before there were notes, and a note that somebody broke."""
    if noted is not None:
        layout.release.write_text(noted)

    check_release(layout)
    note_release(layout)

    assert json.loads(layout.release.read_text()) == {"kubernetes": "1.34.2", "etcd": "3.6.5"}
