from __future__ import annotations

import hashlib
import socket
import time
from pathlib import Path

import pytest

from deployer.fetch import download
from deployer.fetch.download import download_archive, extract_files
from deployer.fetch.errors import DownloadError
from deployer.report import Silent
from tests.deployer.publisher import Publisher, archive

CONTENT = b"release" * 50_000


def fetch(releases: Publisher, destination: Path) -> None:
    download_archive(
        f"{releases.url}/tool.tar.gz",
        f"{releases.url}/sums.txt",
        archive_name="tool.tar.gz",
        destination=destination,
        report=Silent(),
    )


def test_a_file_that_matches_its_sum_is_put_in_place(releases: Publisher, tmp_path: Path) -> None:
    releases.publish("other.tar.gz", b"another")
    releases.publish("tool.tar.gz", CONTENT)

    fetch(releases, tmp_path / "tool.tar.gz")

    assert (tmp_path / "tool.tar.gz").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["tool.tar.gz"]


def test_a_sum_may_be_written_as_sha256sum_does_for_binary_files(releases: Publisher, tmp_path: Path) -> None:
    releases.publish("tool.tar.gz", CONTENT)
    releases.files["/sums.txt"] = releases.files["/sums.txt"].replace(b"  tool", b" *./tool")

    fetch(releases, tmp_path / "tool.tar.gz")

    assert (tmp_path / "tool.tar.gz").exists()


@pytest.mark.parametrize("kind", ["sha1", "sha512"])
def test_a_publisher_may_sum_by_another_algorithm(releases: Publisher, tmp_path: Path, kind: str) -> None:
    """That of the plugin random does: SHA-1, and "./" before the name."""
    releases.publish("tool.tar.gz", CONTENT)
    right = f"{hashlib.new(kind, CONTENT, usedforsecurity=False).hexdigest()}  ./tool.tar.gz\n".encode()
    releases.files["/sums.txt"] = right[:-40].replace(right[:8], b"00000000") + right[-40:]
    with pytest.raises(DownloadError, match=f"its {kind} is"):
        fetch(releases, tmp_path / "tool.tar.gz")
    releases.files["/sums.txt"] = right

    fetch(releases, tmp_path / "tool.tar.gz")

    assert (tmp_path / "tool.tar.gz").read_bytes() == CONTENT


def break_sum(releases: Publisher) -> None:
    releases.publish("tool.tar.gz", CONTENT, checksum="0" * 64)


def shorten_sum(releases: Publisher) -> None:
    releases.publish("tool.tar.gz", CONTENT, checksum="0" * 32)


def lose_entry(releases: Publisher) -> None:
    releases.publish("tool.tar.gz", CONTENT)
    releases.files["/sums.txt"] = b"abc  another.tar.gz\n"


def lose_sums(releases: Publisher) -> None:
    releases.publish("tool.tar.gz", CONTENT)
    del releases.files["/sums.txt"]


def cut_short(releases: Publisher) -> None:
    releases.publish("tool.tar.gz", CONTENT)
    releases.cut.add("/tool.tar.gz")


def lose_file(releases: Publisher) -> None:
    releases.publish("tool.tar.gz", CONTENT)
    del releases.files["/tool.tar.gz"]


@pytest.mark.parametrize(
    ("misbehave", "reason"),
    [
        (break_sum, "the publisher says 0000"),
        (shorten_sum, "of no kind that we know"),
        (lose_entry, "it has no sum for tool.tar.gz"),
        (lose_sums, "HTTP 404"),
        (cut_short, "cut short: 175,000 of 350,000 bytes"),
        (lose_file, "HTTP 404"),
    ],
)
def test_what_is_not_as_published_is_refused_and_leaves_nothing(
    releases: Publisher, tmp_path: Path, misbehave: object, reason: str
) -> None:
    assert callable(misbehave)
    misbehave(releases)

    with pytest.raises(DownloadError, match=reason) as caught:
        fetch(releases, tmp_path / "tool.tar.gz")

    assert caught.value.reachable
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("path", ["/sums.txt", "/tool.tar.gz"])
def test_a_publisher_that_hangs_is_given_up_within_seconds(
    releases: Publisher, tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_ANSWER_WITHIN", 0.3)
    releases.publish("tool.tar.gz", CONTENT)
    releases.hanging.add(path)
    started = time.monotonic()

    with pytest.raises(DownloadError, match="no answer within") as caught:
        fetch(releases, tmp_path / "tool.tar.gz")

    assert time.monotonic() - started < 60
    assert not caught.value.reachable


@pytest.mark.parametrize("path", ["/sums.txt", "/tool.tar.gz"])
def test_a_publisher_that_trickles_is_given_up(
    releases: Publisher, tmp_path: Path, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each byte is in time, and the last would come in hours."""
    monkeypatch.setattr(download, "_STALLED_AFTER", 1.0)
    releases.publish("tool.tar.gz", CONTENT)
    releases.trickling.add(path)

    with pytest.raises(DownloadError, match=r"too slow: \d+ bytes in \d+ s") as caught:
        fetch(releases, tmp_path / "tool.tar.gz")

    assert caught.value.reachable
    assert list(tmp_path.iterdir()) == []


def test_a_publisher_that_falls_silent_in_the_middle_is_given_up(
    releases: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_STALLED_AFTER", 0.01)
    releases.publish("tool.tar.gz", CONTENT)
    releases.trickling.add("/tool.tar.gz")

    with pytest.raises(DownloadError, match=r"broke off after|too slow|timed out"):
        fetch(releases, tmp_path / "tool.tar.gz")

    assert list(tmp_path.iterdir()) == []


def test_a_redirect_is_followed_for_sums_and_files_alike(releases: Publisher, tmp_path: Path) -> None:
    """As a release page sends people to where its files are stored."""
    releases.publish("tool.tar.gz", CONTENT)
    for name in ("sums.txt", "tool.tar.gz"):
        releases.files[f"/stored-{name}"] = releases.files[f"/{name}"]
        releases.moved[f"/{name}"] = f"{releases.url}/stored-{name}"

    fetch(releases, tmp_path / "tool.tar.gz")

    assert (tmp_path / "tool.tar.gz").read_bytes() == CONTENT
    assert releases.asked == ["/sums.txt", "/stored-sums.txt", "/tool.tar.gz", "/stored-tool.tar.gz"]


@pytest.mark.parametrize("path", ["/sums.txt", "/tool.tar.gz"])
@pytest.mark.parametrize("place", ["http://releases.example/x", "ftp://releases.example/x"])
def test_a_redirect_away_from_tls_is_refused(releases: Publisher, tmp_path: Path, path: str, place: str) -> None:
    releases.publish("tool.tar.gz", CONTENT)
    releases.moved[path] = place

    with pytest.raises(DownloadError, match=f"it redirects to {place}, not an https address"):
        fetch(releases, tmp_path / "tool.tar.gz")

    assert list(tmp_path.iterdir()) == []


def test_redirects_in_a_circle_end(releases: Publisher, tmp_path: Path) -> None:
    releases.moved["/sums.txt"] = f"{releases.url}/sums.txt"

    with pytest.raises(DownloadError, match="HTTP 302"):
        fetch(releases, tmp_path / "tool.tar.gz")


def test_a_list_of_sums_without_end_is_refused(
    releases: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "_CHECKSUMS_LIMIT", 100)
    releases.publish("tool.tar.gz", CONTENT)
    releases.files["/sums.txt"] *= 10

    with pytest.raises(DownloadError, match="longer than the 100 bytes"):
        fetch(releases, tmp_path / "tool.tar.gz")


def test_an_address_that_no_proxy_names_is_asked_directly(
    releases: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    releases.publish("tool.tar.gz", CONTENT)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    fetch(releases, tmp_path / "tool.tar.gz")

    assert releases.asked == ["/sums.txt", "/tool.tar.gz"]


def test_a_proxy_that_refuses_is_no_word_of_the_publisher(
    releases: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers for every address of a closed network: asking again soon is in vain."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{taken.getsockname()[1]}")
        releases.url = "https://releases.example"

        with pytest.raises(DownloadError) as caught:
            fetch(releases, tmp_path / "tool.tar.gz")

    assert not caught.value.reachable


def test_a_closed_port_is_an_unreachable_publisher(tmp_path: Path, releases: Publisher) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        releases.url = f"http://127.0.0.1:{taken.getsockname()[1]}"

        with pytest.raises(DownloadError, match="refused") as caught:
            fetch(releases, tmp_path / "tool.tar.gz")

    assert not caught.value.reachable


def test_only_https_is_asked_beyond_this_machine(tmp_path: Path, releases: Publisher) -> None:
    releases.url = "http://releases.example"

    with pytest.raises(DownloadError, match="not an https address"):
        fetch(releases, tmp_path / "tool.tar.gz")


def test_a_proxy_is_honoured(releases: Publisher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    releases.publish("tool.tar.gz", CONTENT)
    monkeypatch.setenv("http_proxy", releases.url)
    releases.url = "http://localhost:9"

    fetch(releases, tmp_path / "tool.tar.gz")

    assert releases.asked == ["http://localhost:9/sums.txt", "http://localhost:9/tool.tar.gz"]


def test_files_are_extracted_flat_whatever_their_folders(tmp_path: Path) -> None:
    packed = tmp_path / "a.tar.gz"
    packed.write_bytes(archive({"pulumi/tool": "one", "../../outside": "two", "pulumi/unwanted": "three"}))

    extract_files(packed, tmp_path / "into", only={"tool", "outside"})

    assert {path.name: path.read_text() for path in (tmp_path / "into").iterdir()} == {"tool": "one", "outside": "two"}
    assert (tmp_path / "into" / "tool").stat().st_mode & 0o777 == 0o755


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    packed = tmp_path / "a.tar.gz"
    packed.write_bytes(archive({"tool": "one" * 9000})[:60])

    with pytest.raises(DownloadError, match="not a readable archive"):
        extract_files(packed, tmp_path / "into")
