"""The page's files: named by their content, the same on any machine, with what others wrote and its licence."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from pathlib import Path

import pytest

from deployer.errors import DeployError, ProcessError
from deployer.images.page import FOLDER
from deployer.local.layout import load_layout
from deployer.report import Silent
from deployer.web import build_page, fetch_modules, publish_page
from deployer.web.modules import Modules, fetch_packages
from deployer.workspace import ROOT, Workspace, load_workspace
from infra.catalogue import PAGE_FILES, PAGE_FOLDER
from services.page import PREFIX

WEB = ROOT / "web"


@pytest.fixture(scope="module")
def modules() -> Modules:
    return fetch_modules(WEB, cache=load_workspace().cache, report=Silent())


@pytest.fixture
def web(tmp_path: Path) -> Path:
    return Path(shutil.copytree(WEB, tmp_path / "elsewhere" / "web"))


def test_the_same_sources_make_the_same_files(web: Path, modules: Modules) -> None:
    """Wherever the checkout lies; each name but two has the digest of what is in it."""
    files = build_page(WEB, modules)

    assert build_page(web, modules) == files
    for name, content in files.items():
        if name not in {"index.html", "packages.json"}:
            assert name.split(".")[1] == hashlib.sha256(content).hexdigest()[:12]
    assert {name.split(".")[0] for name in files} == {
        "google", "icon", "index", "lean-qr", "licences", "main", "packages", "style",
    }  # fmt: skip


def test_the_index_and_the_script_name_what_is_there(modules: Modules) -> None:
    """And nothing of any other host."""
    files = build_page(WEB, modules)
    index = files["index.html"].decode()
    (main,) = [name for name in files if name.startswith("main.")]
    named = set(re.findall(r'"(/[^"]*)"', index)) | {
        f"/web/{name}" for name in re.findall(r'import\("\./([^"]+)"\)', files[main].decode())
    }

    assert named == {f"/web/{name}" for name in files if name not in {"index.html", "packages.json"}}
    assert "//" not in index.replace("<!doctype", "")


def test_a_change_makes_new_names_of_what_it_is_in_alone(web: Path, modules: Modules) -> None:
    before = set(build_page(web, modules))
    with (web / "google.js").open("a") as file:
        file.write('\nexport const changed = "yes";\n')
    after = set(build_page(web, modules))

    # The main script names the other one.
    assert {name.split(".")[0] for name in after - before} == {"google", "main"}


def test_what_others_wrote_is_told_with_its_licence(modules: Modules) -> None:
    """To an SBOM, and to whoever looks at the page; the builder itself is sent to nobody."""
    files = build_page(WEB, modules)
    listed = json.loads(files["packages.json"])
    (notices,) = [content.decode() for name, content in files.items() if name.startswith("licences.")]

    assert [(each["name"], each["licence"]) for each in listed] == [("lean-qr", "MIT"), ("phoenix", "MIT")]
    assert all("Permission is hereby granted" in each["notice"] and each["notice"] in notices for each in listed)


@pytest.mark.parametrize(
    ("name", "content"),
    [("dom.js", "export const = 1;"), ("dom.js", 'import "./nowhere.js";'), ("main.js", 'import "none-such";')],
)
def test_a_mistake_is_told_with_its_place(web: Path, modules: Modules, name: str, content: str) -> None:
    (web / name).write_text(content)

    with pytest.raises(ProcessError) as raised:
        build_page(web, modules)
    assert name in str(raised.value)


def test_a_page_is_laid_out_whole_or_not_at_all(web: Path, modules: Modules, tmp_path: Path) -> None:
    """What was served goes on being served while web/ has a mistake."""
    cache = load_workspace().cache
    publish_page(web, tmp_path / "page", cache=cache, report=Silent())
    before = {path.name for path in (tmp_path / "page").iterdir()}
    (web / "main.js").write_text("this is none")
    with pytest.raises(DeployError):
        publish_page(web, tmp_path / "page", cache=cache, report=Silent())

    assert {path.name for path in (tmp_path / "page").iterdir()} == before == set(build_page(WEB, modules))


def test_a_machine_without_node_takes_it_from_a_wheel(tmp_path: Path) -> None:
    """By a PATH on which there is neither node nor npm; npm leaves nothing at home and trusts whom the machine does."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("sh", "env"):
        (tools / name).symlink_to(shutil.which(name) or "")
    # The wheels are the machine's own, so that Node is fetched once a machine; the packages are installed anew.
    cache = tmp_path / "cache"
    cache.mkdir()
    shared = load_workspace().cache / "wheels"
    shared.mkdir(parents=True, exist_ok=True)
    (cache / "wheels").symlink_to(shared)
    home = tmp_path / "home"
    home.mkdir()
    environ = {**os.environ, "PATH": str(tools), "HOME": str(home)}
    # Where a registry is reached by way of a proxy with a certificate of its own, this would be missed.
    environ.pop("NODE_EXTRA_CA_CERTS", None)

    folder = fetch_packages(WEB, WEB / "node.txt", cache=cache, report=Silent(), environ=environ)

    assert (folder / "phoenix" / "package.json").is_file()
    assert list(home.iterdir()) == list(cache.rglob("_cacache")) == []


def test_the_page_is_in_one_place_for_all() -> None:
    """The image, the stack, the gateways and the service say the same."""
    assert f"/{FOLDER}" == PAGE_FOLDER
    assert PAGE_FILES == PREFIX
    assert load_layout(Workspace(ROOT, ROOT / "home", ROOT / "cache")).page.name == "page"


def test_the_lock_names_digests_and_no_address() -> None:
    """Of each package for each processor."""
    for folder in (WEB, ROOT / "tests" / "web" / "npm"):
        lock = json.loads((folder / "package-lock.json").read_text())
        packages = {name: each for name, each in lock["packages"].items() if name}
        assert all(each["integrity"].startswith("sha512-") for each in packages.values())
        assert "://" not in json.dumps(packages)
