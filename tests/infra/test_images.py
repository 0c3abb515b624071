"""The file of image references: by digest or not at all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infra.errors import ConfigError
from infra.images import load_images
from tests.infra.configs import IMAGES


def write(folder: Path, content: object) -> Path:
    path = folder / "images.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_references_by_digest_are_read(tmp_path: Path) -> None:
    """As the image builder writes them."""
    assert load_images(write(tmp_path, IMAGES)).gateway == IMAGES["gateway"]


def test_a_missing_file_says_what_next(tmp_path: Path) -> None:
    """The program never builds."""
    with pytest.raises(ConfigError, match="build the images first"):
        load_images(tmp_path / "images.json")


def test_a_tag_is_refused(tmp_path: Path) -> None:
    """It can come to mean something else."""
    with pytest.raises(ConfigError, match="'services' is 'stampchat/services:latest', not an image named by digest"):
        load_images(write(tmp_path, {**IMAGES, "services": "stampchat/services:latest"}))


def test_only_what_is_needed_has_to_be_there(tmp_path: Path) -> None:
    """A managed cluster runs no Postgres of ours."""
    assert load_images(write(tmp_path, {"services": IMAGES["services"]}), needed=("services",)).postgres == ""
