"""The addresses of NATS are judged, and no problem quotes one."""

from __future__ import annotations

import pytest

from infra.nats_url import NatsAddress, nats_url_problems, parse_nats_url


@pytest.mark.parametrize(
    ("url", "places"),
    [
        ("nats://nats.messaging.svc", [NatsAddress("nats", "nats.messaging.svc", 4222)]),
        ("nats://me:hush@nats.messaging.svc.cluster.local:4223", [
            NatsAddress("nats", "nats.messaging.svc.cluster.local", 4223)
        ]),
        ("tls://token@nats.elsewhere.org", [NatsAddress("tls", "nats.elsewhere.org", 4222)]),
        ("tls://me:h%40sh@10.0.0.7:4443", [NatsAddress("tls", "10.0.0.7", 4443)]),
        ("tls://[2001:db8::1]:4222/", [NatsAddress("tls", "2001:db8::1", 4222)]),
        ("tls://a.org, tls://b.org:1", [NatsAddress("tls", "a.org", 4222), NatsAddress("tls", "b.org", 1)]),
    ],
)  # fmt: skip
def test_what_can_be_used_leads_somewhere(url: str, places: list[NatsAddress]) -> None:
    """Without TLS within the cluster alone; with a user, a token or neither."""
    assert nats_url_problems(url) == []
    assert parse_nats_url(url) == places
    assert "hush" not in str(places)


def test_where_it_leads_is_said_without_who_asks() -> None:
    """A namespace, where there is one."""
    inside, outside = parse_nats_url("nats://me:hush@nats.messaging.svc,tls://me:hush@[::1]:4222")

    assert (str(inside), inside.namespace) == ("nats://nats.messaging.svc:4222", "messaging")
    assert (str(outside), outside.namespace) == ("tls://[::1]:4222", "")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://hush@a.org", "is no list of addresses such as nats://"),
        ("nats://", "is no list of addresses"),
        ("tls://me:hush/x@a.org", "is no list of addresses"),
        ("tls://me:hu,sh@a.org", "is no list of addresses"),
        ("tls://me:hush@a.org:port", "is no list of addresses"),
        ("tls://me:hush@a.org:0", "names the port 0"),
        ("tls://me:hu sh@a.org", "holds a space"),
        ("tls://me:hush%@a.org", "holds a %"),
        ("tls://me:hush@x@a.org", "holds an @ too many"),
        ("tls://me:hush@a.org/room", "goes on after its host"),
        ("tls://me:hush@a.org?x=y", "goes on after its host"),
        ("nats://me:hush@nats", "names a host without its namespace"),
        ("nats://me:hush@a.org", "does not ask for TLS outside the cluster"),
        ("nats://me:hush@10.0.0.7", "does not ask for TLS outside the cluster"),
        ("nats://me:hush@[::1]", "does not ask for TLS outside the cluster"),
        ("tls://a.org,nats://me:hush@b.org", "does not ask for TLS outside the cluster"),
        ("tls://a.org,", "is no list of addresses"),
    ],
)
def test_what_cannot_be_used_is_told_and_not_quoted(url: str, said: str) -> None:
    """With what to write in its place."""
    found = nats_url_problems(url)

    assert [problem for problem in found if problem.startswith(said)], found
    assert "hush" not in str(found)
    with pytest.raises(ValueError, match=said[:12]):
        parse_nats_url(url)
