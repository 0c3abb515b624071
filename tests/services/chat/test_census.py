"""Let sockets in while there is room, and forget who has none."""

from __future__ import annotations

import pytest

from services.chat.census import Census
from services.chat.limits import Limits
from services.errors import TooManyRequests, Unavailable


def test_a_person_an_address_and_a_process_have_so_many() -> None:
    """Refuse the one over each, in this order, and count what was refused nowhere."""
    census = Census(Limits(sockets_per_user=2, sockets_per_address=3, sockets=4))
    for identity in ("ada", "ada", "bob"):
        census.enter(identity, "1.1.1.1")
    with pytest.raises(TooManyRequests) as user:
        census.enter("ada", "2.2.2.2")
    with pytest.raises(TooManyRequests) as address:
        census.enter("cy", "1.1.1.1")
    census.enter("cy", "2.2.2.2")
    with pytest.raises(Unavailable) as full:
        census.enter("dee", "2.2.2.2")

    codes = [error.value.code for error in (user, address, full)]
    assert codes == ["too_many_sockets", "too_many_sockets_of_address", "full"]
    assert all(error.value.retry_after for error in (user, address, full))
    census.leave("ada", "1.1.1.1")
    census.enter("ada", "1.1.1.1")


def test_who_has_left_is_forgotten() -> None:
    """Hold nothing for those who are gone, refused ones included."""
    census = Census(Limits(sockets_per_user=1))
    census.enter("ada", "1.1.1.1")
    with pytest.raises(TooManyRequests):
        census.enter("ada", "9.9.9.9")
    census.leave("ada", "1.1.1.1")

    assert len(census) == 0
