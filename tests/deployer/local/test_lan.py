from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from deployer.local.lan import find_addresses, firewall_commands, lan_lines, qr_code


def test_the_addresses_are_such_that_others_reach() -> None:
    for address in find_addresses():
        assert not ipaddress.ip_address(address).is_loopback


def test_a_person_is_told_the_address_the_firewall_and_the_apps_line() -> None:
    said = "\n".join(lan_lines(8080, ["192.168.1.5", "10.0.0.2"], picture=False))

    assert "http://192.168.1.5:8080" in said
    assert "http://10.0.0.2:8080" in said
    assert "TCP port 8080" in said
    assert "lib/services/Api.dart" in said
    assert "docs/app.md" in said
    assert "█" not in said


def test_a_terminal_shows_a_square_picture() -> None:
    lines = qr_code("http://192.168.1.5:8080/auth/test")

    assert {len(line) for line in lines} == {len(lines[0])}
    # Two rows of the picture a line.
    assert len(lines) == (len(lines[0]) + 1) // 2
    assert set("".join(lines)) <= set(" ▀▄█")
    assert "█" in "\n".join(lan_lines(8080, ["192.168.1.5"], picture=True))


def test_a_machine_without_a_network_says_so() -> None:
    assert "no address" in "\n".join(lan_lines(8080, [], picture=True))


@pytest.mark.parametrize(
    ("tools", "command"),
    [
        (["ufw", "iptables", "nft"], "sudo ufw allow 8080/tcp"),
        (["firewall-cmd", "nft"], "sudo firewall-cmd --add-port=8080/tcp"),
        (["nft", "iptables"], "sudo nft insert rule inet filter input tcp dport 8080 accept"),
        (["iptables"], "sudo iptables -I INPUT -p tcp --dport 8080 -j ACCEPT"),
        ([], "(no firewall tool was found"),
    ],
)
def test_the_firewall_command_is_that_of_the_tool_which_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tools: list[str], command: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("deployer.local.lan._SYSTEM", str(tmp_path))
    for tool in tools:
        (tmp_path / tool).touch(mode=0o755)

    assert [each[: len(command)] for each in firewall_commands(8080)] == [command]
