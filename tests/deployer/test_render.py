"""A folder of YAML."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from deployer.errors import UsageError
from deployer.render import render
from deployer.workspace import load_workspace
from tests.infra.configs import IMAGES


def test_a_folder_is_written_once_and_in_order(tmp_path: Path) -> None:
    """What is there already may hold secrets by now."""
    workspace = replace(load_workspace(), home=tmp_path)
    workspace.images.write_text(json.dumps(IMAGES))

    paths = render(workspace, "dev", tmp_path / "out")

    assert paths == sorted(paths)
    assert paths[0].name == "01-stampchat.yaml"
    documents = [document for path in paths for document in yaml.safe_load_all(path.read_text())]
    assert documents[0]["kind"] == "Namespace"
    assert all(document["apiVersion"] and document["kind"] for document in documents)
    with pytest.raises(UsageError, match="not written over"):
        render(workspace, "dev", tmp_path / "out")
