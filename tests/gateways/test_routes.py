"""One suite of routes for every gateway: what reaches a service, what never does, and what is sent elsewhere.

Behind each gateway stand servers that tell what reached them, on the public and on the internal ports of the services.
"""

from __future__ import annotations

import json
import re
from urllib.parse import unquote, urlsplit

import pytest

from tests.gateways.client import Answer, Gateway, read_answer, read_frame, send_frame

pytestmark = pytest.mark.timeout(1800)

DEV, PROD = (pytest.param(f"{name}_gateway", marks=pytest.mark.cluster) for name in ("dev", "prod"))
EMISSARY = "emissary_stand_in_gateway"


@pytest.fixture(scope="module", params=["local_gateway", EMISSARY, DEV, PROD])
def gateway(request: pytest.FixtureRequest) -> Gateway:
    """Give each gateway in turn."""
    found: Gateway = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module", params=[EMISSARY, PROD])
def named(request: pytest.FixtureRequest) -> Gateway:
    """Give each of those that serve one name only, and by TLS."""
    found: Gateway = request.getfixturevalue(request.param)
    return found


ROUTES = [
    ("/auth/test", "auth:public", "/test"),
    ("/auth/", "auth:public", "/"),
    ("/chat/channels?last_message_id=7&x=%2F", "chat:public", "/channels?last_message_id=7&x=%2F"),
    ("/chat/channels/7/events", "chat:public", "/channels/7/events"),
    ("/notifications/devices", "notifications:public", "/devices"),
    # What is within a path is the service's: a space, an umlaut, another service's name.
    ("/chat/a%20b/%C3%A9", "chat:public", "/a%20b/%C3%A9"),
    ("/chat/auth/test", "chat:public", "/auth/test"),
    ("/chat/socket/longpoll", "chat:public", "/socket/longpoll"),
]


@pytest.mark.parametrize(("asked", "place", "target"), ROUTES)
def test_a_route_takes_its_prefix_off(gateway: Gateway, asked: str, place: str, target: str) -> None:
    """And leaves the rest as it is, query included."""
    answer = gateway.ask(asked)

    assert (answer.status, answer.place, answer.target) == (200, place, target)


@pytest.mark.parametrize("name", ["auth", "chat", "notifications"])
def test_a_prefix_without_its_slash(gateway: Gateway, name: str) -> None:
    """Gateway API means whole path elements; a Mapping means the text."""
    answer = gateway.ask(f"/{name}")

    expected = (200, f"{name}:public", "/") if gateway.takes_bare_prefix else (404, "", "")
    assert (answer.status, answer.place, answer.target) == expected


UNKNOWN = [
    "/index.html",
    "/webx/main.js",
    "/WEB/main.js",
    "/authentic",
    "/authx/test",
    "/AUTH/test",
    "/Auth/test",
    "/internal/users",
    "/metrics",
]
UNKNOWN += [
    "/.well-known/security.txt",
    "/.env",
    "/api/auth/test",
    "/favicon.ico",
    "/dashboard/",
    "/api/rawdata",
    "/ping",
]


@pytest.mark.parametrize("path", UNKNOWN)
def test_an_unknown_path_is_a_404_of_the_gateway_s(gateway: Gateway, path: str) -> None:
    """Nothing behind it is asked, and nothing of its own is shown."""
    answer = gateway.ask(path)

    assert (answer.status, answer.place) == (404, "")


@pytest.mark.parametrize("path", ["/", "/?state=x", "/web/main.0123456789ab.js"])
def test_the_page_is_auth_s_where_there_is_one(gateway: Gateway, path: str) -> None:
    """Its document and its files, with nothing taken off; without a page no route names it."""
    answer = gateway.ask(path)

    expected = (200, "auth:public", path) if gateway.has_page else (404, "", "")
    assert (answer.status, answer.place, answer.target) == expected


INTERNAL = [
    "/chat/internal/users",
    "/chat/INTERNAL/users",
    "/chat//internal/users",
    "/chat/./internal/users",
    "/chat/x/../internal/users",
    "/chat/%69nternal/users",
    "/chat/%2569nternal/users",
    "/chat%2finternal/users",
    "/chat%2Finternal%2Fusers",
    "/chat%252finternal/users",
    "/chat/%2e%2e/internal/users",
    "/chat/%2E%2E/chat/internal/users",
    "/chat/%252e%252e/internal/users",
    "/chat/..%2finternal/users",
    "/chat/..%5cinternal/users",
    "/chat/..\\internal/users",
    "/chat/..;/internal/users",
    "/chat/internal;x=1/users",
    "/chat;/internal/users",
    "/chat/internal/users%00",
    "/chat/internal/users?x=/auth/test",
    "/chat/internal/users#/auth/test",
    "/chat/%c0%ae%c0%ae/internal/users",
    "/chat/%u002e%u002e/internal",
    "//chat/internal/users",
    "///chat///internal///users",
    "/./chat/internal/users",
    "/x/../chat/internal/users",
    "/%2e%2e/chat/internal/users",
    "/%63hat/internal/users",
    "/auth/../chat/internal/users",
    "/auth/%2e%2e/chat/internal/users",
    "/auth/..%2fchat/internal/users",
    "/auth/livez",
    "/auth/readyz",
    "/auth/metrics",
    "/auth/openapi.json",
    "/notifications/internal/notify",
    "/notifications/../../internal/notify",
    "/stamp-chat-channels:4010/internal/users",
    "/@stamp-chat-channels:4010/internal/users",
    "/chat@stamp-chat-channels:4010/internal/users",
    "http://stamp-chat-channels:4010/internal/users",
    "http://127.0.0.1:4010/internal/users",
    "stamp-chat-channels:4010",
    "*",
    "/chat/../../../../etc/passwd",
    "chat/internal/users",
    "/chat/internal/users ",
    "/chat/\tinternal",
    "/chat/internal\x7f",
]


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", INTERNAL)
def test_no_path_leads_to_an_internal_port(gateway: Gateway, path: str, method: str) -> None:
    """However it is written: it reaches the service that it names, on the port for clients, or nobody."""
    answer = gateway.ask(path, method=method, body=b"{}" if method == "POST" else b"")

    if answer.reached is None:
        # The gateway's own word, never a redirect and never a service that could not be reached.
        assert answer.status in {0, 301, 302, 400, 404}, (answer.status, answer.body)
    else:
        assert answer.place in {"auth:public", "chat:public", "notifications:public"}
        if gateway.refuses_encoded_slashes or not re.search("%2f|%5c", path.lower()):
            assert_tidy(answer)


def assert_tidy(answer: Answer) -> None:
    """See that what reached a service does not climb out of it, read as a service reads it: decoded once."""
    path = unquote(urlsplit(answer.target).path)
    assert path.startswith("/"), answer.target
    assert not {"..", "."} & set(re.split(r"[/\\]", path)), answer.target


@pytest.mark.parametrize(
    "path", ["/auth/../chat/x", "/auth/%2e%2e/chat/x", "/auth/./../chat/x", "/auth/x/../../chat/x"]
)
def test_one_service_s_prefix_is_no_way_into_another(gateway: Gateway, path: str) -> None:
    """Either it is chat's, by its tidied path, or nobody's; auth never sees it."""
    answer = gateway.ask(path)

    assert (answer.place, answer.target) in {("", ""), ("chat:public", "/x")}


def test_a_client_s_address_is_told_by_the_gateway_alone(gateway: Gateway) -> None:
    """The services believe the last entry, and it is ours, whatever we say before, and however we say it."""
    forged = ["X-Forwarded-For: 203.0.113.9", "X-Real-Ip: 203.0.113.9", "Forwarded: for=203.0.113.9"]
    for headers in ([], forged, [*forged, "Connection: x-forwarded-for"], ["X-Forwarded-For: ", *forged]):
        answer = gateway.ask("/auth/test", *headers)

        told = ",".join(answer.values("x-forwarded-for")).split(",")
        assert told[-1].strip() == (gateway.client or told[-1].strip()) != "203.0.113.9", (headers, told)


def test_headers_that_a_server_may_take_for_another_are_dropped(gateway: Gateway) -> None:
    """X_Forwarded_For is X-Forwarded-For to what reads its headers as variables."""
    answer = gateway.ask("/auth/test", "X_Forwarded_For: 203.0.113.9", "X_Forwarded_Proto: gopher")

    if gateway.drops_aliases:
        assert answer.values("x_forwarded_for") == answer.values("x_forwarded_proto") == []
    else:
        assert "203.0.113.9" not in answer.values("x-forwarded-for")


def test_how_a_client_came_is_told_by_the_gateway_alone(gateway: Gateway) -> None:
    """And a service sees the name that it was called by."""
    answer = gateway.ask("/auth/test", "X-Forwarded-Proto: gopher", "X-Forwarded-Host: evil.example")

    assert answer.values("x-forwarded-proto") == ["https" if gateway.secure else "http"]
    assert answer.values("host") == [gateway.host]
    assert "Bearer made-up" in gateway.ask("/auth/test", "Authorization: Bearer made-up").values("authorization")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_body_arrives_whole(gateway: Gateway, method: str) -> None:
    """As long as it says, and in pieces."""
    body = json.dumps({"text": "ä" * 20_000}).encode()
    whole = gateway.ask("/chat/channels", method=method, body=body)
    lines = [f"{method} /chat/channels HTTP/1.1", f"Host: {gateway.host}", "Transfer-Encoding: chunked", "", ""]
    pieces = gateway.say("\r\n".join(lines).encode() + b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n")

    assert whole.reached is not None
    assert pieces.reached is not None
    assert (whole.reached["method"], whole.reached["body"].encode("latin-1")) == (method, body)
    assert pieces.reached["body"] == "hello world"


def test_methods(gateway: Gateway) -> None:
    """HEAD has no body, OPTIONS is the service's (it answers preflights), and an unknown one is no way in."""
    assert gateway.ask("/auth/test", method="HEAD").status == 200
    preflight = gateway.ask("/chat/channels", "Origin: https://a.example", method="OPTIONS")
    assert (preflight.place, preflight.target) == ("chat:public", "/channels")
    for method in ("TRACE", "PROPFIND", "get", "CONNECT", "PRI", "G\x01T", "G(T", "X" * 300):
        answer = gateway.ask("/auth/test", method=method)
        assert answer.place in {"", "auth:public"}, method
        assert answer.reached is not None or answer.status in {0, 400, 403, 404, 405, 501}, (method, answer.status)


def test_connect_makes_no_tunnel(gateway: Gateway) -> None:
    """A gateway is no forward proxy."""
    for target in ("stamp-chat-channels:4010", "127.0.0.1:4010", f"{gateway.host}"):
        answer = gateway.ask(target, method="CONNECT", host=target)
        assert (answer.status // 100, answer.place) in {(4, ""), (0, ""), (5, "")}, answer.status


def test_http_1_0(gateway: Gateway) -> None:
    """Served, or told to upgrade."""
    answer = gateway.ask("/auth/test", version="1.0")

    assert (answer.status, answer.place) == ((200, "auth:public") if gateway.takes_old_http else (426, ""))


@pytest.mark.parametrize(
    "head",
    [
        b"GET /auth/test HTTP/1.1\r\n\r\n",
        b"GET /auth/test HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /auth/test HTTP/1.1\r\nHost: a b\r\n\r\n",
        b"GET /auth/test\r\n\r\n",
        b"GET /auth/test HTTP/9.9\r\nHost: a\r\n\r\n",
        b"GET /auth/test and more HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /auth/test HTTP/1.1\r\nHost: a\r\nA header without a colon\r\n\r\n",
        b"GET /auth/test HTTP/1.1\r\nHost: a\r\nSpace : x\r\n\r\n",
        b"POST /auth/test HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"POST /auth/test HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
        b"POST /auth/test HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n",
        b"neither a request nor anything else\r\n\r\n",
    ],
    ids=lambda head: head[:60].decode("latin-1"),
)
def test_a_broken_head_reaches_nobody(gateway: Gateway, head: bytes) -> None:
    """It is refused, and the gateway goes on."""
    answer = gateway.say(head.replace(b"Host: a\r\n", f"Host: {gateway.host}\r\n".encode()))

    assert answer.place == ""
    assert answer.status in {0, 400, 404, 426, 501, 505}
    assert gateway.ask("/auth/test").status == 200


def test_two_lengths_are_no_two_requests(gateway: Gateway) -> None:
    """What one server takes for a body and another for a request (request smuggling) is refused or read one way."""
    smuggled = f"GET /chat/smuggled HTTP/1.1\r\nHost: {gateway.host}\r\n\r\n".encode()
    hidden = b"%x\r\n%b\r\n0\r\n\r\n" % (len(smuggled), smuggled)
    for length, body in ((5 + len(smuggled), b"0\r\n\r\n" + smuggled), (4, hidden)):
        lines = ["POST /auth/test HTTP/1.1", f"Host: {gateway.host}", f"Content-Length: {length}"]
        answer = gateway.say("\r\n".join([*lines, "Transfer-Encoding: chunked", "", ""]).encode() + body)
        if answer.reached is None:
            assert answer.status in {0, 400}
        else:
            assert answer.target == "/test"
            assert not answer.values("content-length") or not answer.values("transfer-encoding")


def test_huge_heads(gateway: Gateway) -> None:
    """A token's worth arrives; two million bytes are refused, and the gateway goes on."""
    long = gateway.ask("/auth/test", "Authorization: Bearer " + "a" * 7000)
    assert len(long.values("authorization")[0]) > 7000

    for huge in (gateway.ask("/auth/test", "X-Much: " + "a" * 2_000_000), gateway.ask("/auth/" + "a" * 2_000_000)):
        assert huge.status in {0, 400, 413, 414, 431}
    assert gateway.ask("/auth/test").status == 200


def test_a_slow_client_holds_nobody_up(gateway: Gateway) -> None:
    """A head that comes bit by bit is waited for, and others are served meanwhile."""
    head = f"GET /auth/slow HTTP/1.1\r\nHost: {gateway.host}\r\nConnection: close\r\n\r\n".encode()
    with gateway.connect() as slow:
        for part in (head[:10], head[10:30]):
            slow.sendall(part)
            assert gateway.ask("/auth/test").status == 200
        slow.sendall(head[30:])
        answer = read_answer(slow, b"GET")

    assert (answer.status, answer.target) == (200, "/slow")


def test_a_websocket_goes_through(gateway: Gateway) -> None:
    """Frames of any kind, both ways, and the query with the token."""
    with gateway.socket("/chat/socket/websocket?vsn=2.0.0&token=made-up", "Sec-WebSocket-Protocol: phoenix") as (
        answer,
        connection,
    ):
        assert answer.status == 101
        arrived = json.loads(read_frame(connection))
        assert (arrived["place"], arrived["target"]) == ("chat:public", "/socket/websocket?vsn=2.0.0&token=made-up")
        assert ["sec-websocket-protocol", "phoenix"] in arrived["headers"]
        for text in (b'[null,1,"phoenix","heartbeat",{}]', b"again"):
            send_frame(connection, text)
            assert read_frame(connection) == text


def test_a_service_s_no_to_a_websocket_is_passed_on(gateway: Gateway) -> None:
    """And leaves no tunnel behind."""
    with gateway.socket("/chat/socket/refused") as (answer, _):
        assert (answer.status, answer.place) == (403, "chat:public")


@pytest.mark.parametrize(
    "path", ["/chat/internal/socket", "/chat/socket/../internal", "/internal/socket", "/auth/socket"]
)
def test_an_upgrade_is_no_way_in(gateway: Gateway, path: str) -> None:
    """It reaches what the path reaches without it, or nobody."""
    with gateway.socket(path) as (answer, connection):
        if answer.status == 101:
            assert gateway.upgrades_all or path.startswith("/chat/socket/")
            assert json.loads(read_frame(connection))["place"].endswith(":public")
        else:
            assert answer.place in {"", "auth:public", "chat:public"}
            assert answer.status in {200, 400, 403, 404, 426}


def test_nobody_is_upgraded_to_http_2_in_clear(gateway: Gateway) -> None:
    """A gateway that passed it on would be a tunnel (h2c smuggling)."""
    answer = gateway.ask(
        "/chat/channels",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
        "Connection: Upgrade, HTTP2-Settings",
    )

    assert answer.status != 101


NAMES = ["evil.example", "", "localhost", "127.0.0.1", "x.{}", "{}.evil.example", "evil.example:443", "{}@evil.example"]


@pytest.mark.parametrize("name", NAMES)
def test_another_name_is_a_404(named: Gateway, name: str) -> None:
    """What a client calls us decides; nothing is served to who calls us otherwise."""
    answer = named.ask("/auth/test", f"X-Forwarded-Host: {named.hostname}", host=name.format(named.hostname))

    assert answer.place == ""
    assert answer.status in {400, 404, 421}


def test_an_absolute_target_is_read_as_its_host_says(named: Gateway) -> None:
    """RFC 9112, section 3.2.2: its host counts, and the header does not."""
    ours, other = f"https://{named.hostname}/auth/test", "https://evil.example/auth/test"

    assert named.ask(ours).target == "/test"
    assert named.ask(other).place == ""
    assert named.ask(ours, host="evil.example").place in {"", "auth:public"}


def test_clear_requests_are_redirected(named: Gateway) -> None:
    """Every path and method, to the same address by https, and to no other host; nothing is served."""
    for method in ("GET", "POST"):
        answer = named.ask("/auth/test?x=1", method=method, clear=True)
        assert (answer.status, answer.place) == (301, "")
        assert location(answer) == f"https://{named.hostname}/auth/test?x=1"
    for path in INTERNAL:
        answer = named.ask(path, "X-Forwarded-Proto: https", clear=True)
        assert answer.place == "", path
        assert answer.status in {0, 301, 400, 404}, (path, answer.status)
        if answer.status == 301:
            assert urlsplit(location(answer)).netloc == named.hostname, (path, location(answer))


def test_clear_requests_to_another_name_are_not(named: Gateway) -> None:
    """A redirect to whatever Host says would be anybody's."""
    for name in NAMES:
        answer = named.ask("/auth/test", host=name.format(named.hostname), clear=True)
        assert answer.status in {400, 404}, name


def location(answer: Answer) -> str:
    """Return where an answer sends to, its port left out where it is https's own."""
    return answer.headers["location"].replace(":443/", "/", 1)


def test_an_acme_challenge_is_answered_in_clear(named: Gateway) -> None:
    """While one is under way, its path leads to cert-manager's solver and nowhere else, and is not redirected."""
    path = "/.well-known/acme-challenge/made-up-token"
    with named.challenge(path):
        answer = named.ask(path, clear=True)
        assert (answer.status, answer.place, answer.target) == (200, "solver:public", path)
        assert named.ask("/auth/test", clear=True).status == 301
