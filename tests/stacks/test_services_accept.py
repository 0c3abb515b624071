"""What infra gives the services is what the services ask for: each loads its settings from a pod as recorded."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from infra.catalogue import APPLICATIONS, PAGE_FOLDER, Application
from services.settings import Source
from tests.infra.recording import Recording, files_of

KEYS = [application.key for application in APPLICATIONS]


def lay_mounts(recording: Recording, pod: dict[str, Any], root: Path) -> None:
    """Write every mounted Secret and ConfigMap where the container would see it."""
    sources = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    for mount in pod["spec"]["containers"][0]["volumeMounts"]:
        source = sources[mount["name"]]
        folder = root / mount["mountPath"].lstrip("/")
        folder.mkdir(parents=True)
        files: dict[str, str] = {}
        if "secret" in source:
            files = files_of(recording.object("Secret", source["secret"]["secretName"]))
        elif "configMap" in source:
            files = recording.object("ConfigMap", source["configMap"]["name"])["data"]
        for name, content in files.items():
            (folder / name).write_text(content, encoding="utf-8")


@pytest.mark.parametrize("application", APPLICATIONS, ids=KEYS)
def test_a_service_starts_from_its_pod(dev: Recording, application: Application, tmp_path: Path) -> None:
    """Nothing is missing, nothing is malformed, and nothing that is set goes unread."""
    pod = dev.object("Deployment", application.name)["spec"]["template"]
    lay_mounts(dev, pod, tmp_path)
    # What the image has of the page.
    page = tmp_path / PAGE_FOLDER.lstrip("/")
    page.mkdir(parents=True)
    (page / "index.html").write_text("the page")
    env = {
        variable["name"]: variable["value"]
        .replace("/run/stampchat", f"{tmp_path}/run/stampchat")
        .replace(PAGE_FOLDER, f"{tmp_path}{PAGE_FOLDER}")
        for variable in pod["spec"]["containers"][0]["env"]
    }
    source = Source(env)

    module = importlib.import_module(f"{application.module}.settings")
    settings = module.load_settings(source)
    source.finish()

    assert source.unread() == ()
    assert settings.server.public_port == application.public_port == module.PUBLIC_PORT
    assert settings.server.internal_port == application.internal_port == module.INTERNAL_PORT
    assert settings.server.trusted_hops == 1
