from __future__ import annotations

from pathlib import Path

import pytest

from services.errors import SettingsError
from services.settings import Secret, Source, load_internal_credential, load_server


class TestSecret:
    def test_it_prints_as_nothing(self) -> None:
        """Neither repr nor str nor a format shows it; reveal() does."""
        secret = Secret("hunter2")

        assert "hunter2" not in f"{secret} {secret!r} {[secret]}"
        assert secret.reveal() == "hunter2"

    @pytest.mark.parametrize(("candidate", "same"), [("hunter2", True), ("hunter", False), ("", False), ("hü", False)])
    def test_it_compares_any_text(self, candidate: str, *, same: bool) -> None:
        """What a header holds, bytes outside ASCII included, is compared and not an error."""
        assert Secret("hunter2").matches(candidate) is same
        assert not Secret("hunter2").matches("\udcff")


class TestSource:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("PUBLIC_PORT", "65536"),
            ("PUBLIC_PORT", "-1"),
            ("PUBLIC_PORT", "3000.0"),
            ("TRUSTED_HOPS", "one"),
            ("LOG_LEVEL", "loud"),
            ("MAX_BODY_BYTES", "10"),
        ],
    )
    def test_a_value_out_of_its_limits_is_named(self, name: str, value: str) -> None:
        """The problem has the variable and what it holds."""
        source = Source({f"STAMPCHAT_{name}": value})
        load_server(source, public_port=1, internal_port=2)

        with pytest.raises(SettingsError, match=f"STAMPCHAT_{name} is '?{value}"):
            source.finish()

    @pytest.mark.parametrize("value", ["chat:4000", "ftp://chat", "http://", "http://[chat", "chat"])
    def test_an_address_is_an_address(self, value: str) -> None:
        """A host without a scheme would fail at the first call only."""
        source = Source({"STAMPCHAT_CHAT_URL": value})
        source.url("CHAT_URL")

        assert source.problems

    def test_a_secret_loses_only_the_files_last_newline(self, tmp_path: Path) -> None:
        """Editors add one; spaces belong to the value."""
        (tmp_path / "secret").write_text(" a b \n")

        assert Source({"STAMPCHAT_X_FILE": str(tmp_path / "secret")}).secret_file("X_FILE").reveal() == " a b "

    def test_a_file_that_is_not_text_is_a_problem(self, tmp_path: Path) -> None:
        """So is one that is empty."""
        (tmp_path / "binary").write_bytes(b"\xff\xfe")
        (tmp_path / "empty").write_bytes(b"\n")
        source = Source({"STAMPCHAT_A": str(tmp_path / "binary"), "STAMPCHAT_B": str(tmp_path / "empty")})
        source.secret_file("A")
        source.secret_file("B")

        assert ["not UTF-8 text" in source.problems[0], "0 characters" in source.problems[1]] == [True, True]

    def test_what_nothing_read_is_known(self) -> None:
        """A misspelt name is worth a warning; other people's variables are not ours."""
        source = Source({"STAMPCHAT_TRUSTED_HOP": "2", "STAMP_CHAT_AUTH_PORT": "x", "STAMPCHAT_HOST": "::1"})
        load_server(source, public_port=1, internal_port=2)

        assert source.unread() == ("STAMPCHAT_TRUSTED_HOP",)


def test_while_a_credential_is_rotated_the_newest_is_shown_and_each_is_taken(tmp_path: Path) -> None:
    """The deployment writes them a line each, the newest first."""
    path = tmp_path / "credential"
    path.write_text(f"{'b' * 32}\n{'a' * 32}\n")

    credential = load_internal_credential(Source({"STAMPCHAT_INTERNAL_CREDENTIAL_FILE": str(path)}))

    assert credential.reveal() == "b" * 32
    assert credential.matches("a" * 32)
    assert credential.matches("b" * 32)
    assert not credential.matches("c" * 32)
    assert not credential.matches("")
