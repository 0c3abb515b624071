"""What the address of a hosted database must be."""

from __future__ import annotations

import re

import pytest

from infra.database_url import database_url_problems, parse_database_url

GOOD = "postgresql://app:hush%40%2F@db.cloud:6432/stamp_chat?sslmode=verify-full"


def test_a_good_address_is_read_without_its_password() -> None:
    """The port has a default."""
    address = parse_database_url(GOOD)

    assert (address.host, address.port, address.database, address.user) == ("db.cloud", 6432, "stamp_chat", "app")
    assert parse_database_url(GOOD.replace(":6432", "")).port == 5432
    assert "hush" not in str(address) + repr(address)


def test_of_several_hosts_the_first_one_is_asked() -> None:
    """They stand for a primary and its standbys."""
    address = parse_database_url(GOOD.replace("db.cloud:6432", "one.cloud:6432,two.cloud:6433"))

    assert (address.host, address.port) == ("one.cloud", 6432)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is not an address of the form"),
        ("postgresql://app:hu sh@h/d?sslmode=require", "holds a space"),
        ("postgresql://app:hush@h/d?sslmode=require\n", "holds a space or a line break"),
        ("ecto://app:hush@h/d?sslmode=require", "begins with ecto://"),
        ("postgresql://app:hush@/d?sslmode=require", "is not an address of the form"),
        ("postgresql://app:hush@h:x/d?sslmode=require", "is not an address of the form"),
        ("postgresql://app:hush@h:0/d?sslmode=require", "names the port 0"),
        ("postgresql://app:hush@h/?sslmode=require", "names no database"),
        ("postgresql://app:hush@h/a/b?sslmode=require", "names a database with a slash"),
        ("postgresql://app@h/d?sslmode=require", "names no user and password"),
        ("postgresql://app:hush@h/d", "does not ask for TLS"),
        ("postgresql://app:hush@h/d?sslmode=require&sslmode=disable", "does not ask for TLS"),
        ("postgresql://app:hush@h/d?sslmode=require#x", "ends in a #fragment"),
        ("postgresql://app:hush%@h/d?sslmode=require", "holds a % that two hexadecimal digits do not follow"),
        ("postgresql://app:hush@x@h/d?sslmode=require", "holds an @ too many"),
        ("postgresql://app:hush@h:5432,i:x/d", "does not ask for TLS"),
        ("host=h user=app password=hush dbname=d", "is a list of key=value"),
    ],
)
def test_a_bad_address_is_told_without_quoting_it(text: str, said: str) -> None:
    """Each in its words."""
    found = database_url_problems(text)

    assert [problem for problem in found if problem.startswith(said)]
    assert "hush" not in str(found)
    with pytest.raises(ValueError, match=re.escape(found[0])):
        parse_database_url(text)
