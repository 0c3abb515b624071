"""Images and their SBOMs arrive in a real registry as they are, once, and the tag moves last."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from deployer import oci
from deployer.oci import INDEX, MANIFEST, Built
from deployer.registry import Credentials, Registry, Repository, parse_registry
from deployer.registry.errors import RegistryError
from deployer.registry.push import SBOM, Pusher
from deployer.report import Silent
from tests.deployer.registry.registry import USER, Running, serve, small_image
from tests.tools import go_tool

CRANE = "github.com/google/go-containerregistry/cmd/crane@v0.20.6"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Run a registry that asks for nothing."""
    with serve(tmp_path_factory.mktemp("registry")) as found:
        yield found


def pusher(running: Running, credentials: Credentials | None = None) -> Pusher:
    """Push under team/."""
    return Pusher(Registry(parse_registry(f"{running.host}/team"), credentials or Credentials()), Silent())


def read(running: Running, path: str, accept: str = MANIFEST) -> Any:
    """Ask the registry as anybody may."""
    with urlopen(Request(f"http://{running.host}/v2/{path}", headers={"accept": accept}), timeout=60) as answer:
        return json.loads(answer.read())


def both(folder: Path, content: bytes) -> list[Built]:
    """Make an image for two platforms."""
    return [small_image(folder, arch=arch, content=content + arch.encode()) for arch in ("amd64", "arm64")]


def test_an_image_is_pushed_once(running: Running, tmp_path: Path) -> None:
    """By its digest and its tag; what is there is not sent again, and a sister borrows it."""
    image = small_image(tmp_path, content=b"once")
    size = image.size + len(image.config)
    own = pusher(running)

    first = own.push("once", [image], {}, ["one"])
    again = pusher(running).push("once", [image], {}, ["one"])
    sister = own.push("sister", [image], {}, ["one"])

    assert (first.sent, first.skipped) == (size, 0)
    assert (again.sent, again.skipped) == (0, size)
    assert (sister.sent, sister.skipped) == (0, size)
    for name in ("once", "sister"):
        for reference in ("one", image.digest):
            assert oci.canonical_json(read(running, f"team/{name}/manifests/{reference}")) == image.manifest


def test_an_index_names_each_platform(running: Running, tmp_path: Path) -> None:
    """As an independent client finds them, layers and all."""
    builds = both(tmp_path, b"index")
    pusher(running).push("several", builds, {}, ["two"])
    crane = go_tool(CRANE)
    place = f"{running.host}/team/several"

    def ask(*words: str) -> str:
        done = subprocess.run([crane, *words, "--insecure"], check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    assert ask("digest", f"{place}:two") == oci.digest_of_all(builds)
    for built in builds:
        platform = f"linux/{built.arch}"
        assert ask("digest", "--platform", platform, f"{place}:two") == built.digest
        assert json.loads(ask("config", "--platform", platform, f"{place}:two"))["architecture"] == built.arch
    # Every byte is fetched and its digest counted again.
    ask("validate", "--remote", f"{place}@{oci.digest_of_all(builds)}")


def test_an_sbom_refers_to_its_image(running: Running, tmp_path: Path) -> None:
    """Under the tag that stands in for the referrers API, beside what is there, and once."""
    image = small_image(tmp_path, content=b"described")
    documents = {image.digest: b'{"bomFormat": "CycloneDX"}'}
    fallback = f"team/described/manifests/{image.digest.replace(':', '-')}"

    pusher(running).push("described", [image], documents, [])
    pusher(running).push("described", [image], documents, [])
    (listed,) = read(running, fallback, INDEX)["manifests"]
    pusher(running).push("described", [image], {image.digest: b'{"other": 1}'}, [])

    artifact = read(running, f"team/described/manifests/{listed['digest']}")
    assert listed["artifactType"] == artifact["artifactType"] == SBOM
    assert artifact["subject"]["digest"] == image.digest
    assert read(running, f"team/described/blobs/{artifact['layers'][0]['digest']}") == {"bomFormat": "CycloneDX"}
    beside = read(running, fallback, INDEX)["manifests"]
    assert (beside[0]["digest"], len(beside)) == (listed["digest"], 2)


def test_a_push_cut_off_leaves_the_tag_as_it_was(
    running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the next one finishes it."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    before, after = both(tmp_path / "a", b"before"), both(tmp_path / "b", b"after")
    pusher(running).push("cut", before, {}, ["live"])
    real = Repository.send_blob
    calls = []

    def die(self: Repository, digest: str, source: bytes | Path, **options: Any) -> bool:
        calls.append(digest)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return real(self, digest, source, **options)

    with monkeypatch.context() as patched:
        patched.setattr(Repository, "send_blob", die)
        with pytest.raises(KeyboardInterrupt):
            pusher(running).push("cut", after, {}, ["live"])
    assert oci.canonical_json(read(running, "team/cut/manifests/live", INDEX)) == oci.build_index(before)

    pusher(running).push("cut", after, {}, ["live"])
    assert oci.canonical_json(read(running, "team/cut/manifests/live", INDEX)) == oci.build_index(after)


def test_a_registry_that_asks_gets_the_credentials(tmp_path: Path) -> None:
    """Right ones, wrong ones and none."""
    image = small_image(tmp_path)
    with serve(tmp_path / "registry", password=True) as running:
        assert pusher(running, USER).push("private", [image], {}, ["x"]).sent == image.size + len(image.config)
        for credentials, said in ((Credentials(), "no credentials for"), (Credentials("pusher", "no"), "are wrong")):
            with pytest.raises(RegistryError, match=said) as caught:
                Registry(parse_registry(running.host), credentials).check()
            with pytest.raises(RegistryError, match=said):
                pusher(running, credentials).push("private", [image], {}, ["x"])
            assert "401" in str(caught.value)
            assert USER.password not in str(caught.value)
