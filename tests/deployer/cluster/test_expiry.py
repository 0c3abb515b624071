"""When certificates end, and that none does."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from deployer.cluster.embedded.expiry import earliest_end, renewal_due
from deployer.cluster.embedded.layout import Layout
from deployer.cluster.embedded.pki import certificate_files, issue_certificates
from deployer.cluster.model import Instance

_DAY = dt.timedelta(days=1)
_NOW = dt.datetime.now(dt.UTC)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    made = Layout(home=tmp_path, instance=Instance(name="stampchat-0a1b2c", number=7, port=8080))
    issue_certificates(made, _NOW)
    return made


@pytest.mark.parametrize(
    ("days", "due"),
    [(0, False), (1, False), (729, False), (731, True), (1094, True), (1096, True), (4000, True), (-1, True)],
)
def test_certificates_are_due_a_year_before_their_end(layout: Layout, days: int, due: bool) -> None:  # noqa: FBT001
    """And those of a day that is yet to come: somebody's clock was ahead."""
    assert renewal_due(layout, _NOW + days * _DAY) is due


@pytest.mark.parametrize("days", [800, 2000, 3300, 9000, -30])
def test_once_they_are_made_anew_nothing_is_due(layout: Layout, days: int) -> None:
    """However long the cluster was not used, and with whatever clock it was made."""
    moment = _NOW + days * _DAY

    issue_certificates(layout, moment)

    assert not renewal_due(layout, moment)
    end = earliest_end(layout)
    assert end is not None
    assert end > moment + 1000 * _DAY


def test_every_certificate_counts(layout: Layout) -> None:
    """A file that is gone or says nothing is made anew, whichever it is."""
    for file in certificate_files(layout):
        content = file.read_bytes()
        for broken in (b"", content[: len(content) // 2]):
            file.write_bytes(broken)
            assert renewal_due(layout, _NOW), file
        file.unlink()
        assert renewal_due(layout, _NOW), file
        file.write_bytes(content)
    assert {file.name for file in certificate_files(layout)} == {file.name for file in layout.pki.glob("*.crt")}
    assert not renewal_due(layout, _NOW)


def test_where_there_are_none_nothing_ends(tmp_path: Path) -> None:
    """`status` of a cluster that was never made says nothing of them."""
    assert earliest_end(Layout(home=tmp_path, instance=Instance("stampchat-0a1b2c", 7, 8080))) is None
