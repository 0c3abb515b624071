"""The file of image references: by digest or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from infra.config import StackConfig, validate_stack
from infra.errors import ConfigError
from infra.images import image_problems, load_images
from tests.infra.configs import DEV, DIGEST, IMAGES, PROD, PROD_GATEWAY_API


def config(folder: Path, content: object, values: dict[str, Any]) -> StackConfig:
    (folder / "images.json").write_text(json.dumps(content), encoding="utf-8")
    return validate_stack({**values, "stampchat:imagesFile": "images.json"})


def test_references_by_digest_are_read(tmp_path: Path) -> None:
    """As the image builder writes them."""
    assert load_images(config(tmp_path, IMAGES, DEV), tmp_path).gateway == IMAGES["gateway"]


@pytest.mark.parametrize("content", ["", "[]", "{", None])
def test_a_missing_or_damaged_file_says_what_next(tmp_path: Path, content: str | None) -> None:
    """The program never builds."""
    if content is not None:
        (tmp_path / "images.json").write_text(content)

    with pytest.raises(ConfigError, match="build the images first"):
        load_images(validate_stack({**DEV, "stampchat:imagesFile": "images.json"}), tmp_path)


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("stampchat/services:latest", "it names the tag 'latest', which can come to mean another image"),
        ("registry.net:5000/services:1.2", "it names the tag '1.2'"),
        ("registry.net:5000/services", "is 'registry.net:5000/services', not an image named by digest."),
        ("services@sha256:short", "is 'services@sha256:short', not an image named by digest."),
        (7, "is 7, not an image named by digest."),
        (None, "whose 'services' is missing."),
    ],
)
def test_what_names_no_digest_is_refused(tmp_path: Path, reference: object, said: str) -> None:
    """A tag can come to mean something else."""
    found = {**IMAGES, "services": reference}

    (problem,) = image_problems(config(tmp_path, {k: v for k, v in found.items() if v is not None}, DEV), tmp_path)

    assert problem.startswith("stampchat:imagesFile names ")
    assert said in problem


def test_a_tag_beside_a_digest_does_no_harm(tmp_path: Path) -> None:
    """The digest decides."""
    images = {**IMAGES, "services": f"registry.net:5000/services:latest@{DIGEST}"}

    assert image_problems(config(tmp_path, images, DEV), tmp_path) == []


def test_only_what_is_needed_has_to_be_there(tmp_path: Path) -> None:
    """A managed cluster runs no Postgres of ours, and with Emissary no gateway of ours."""
    only = {"services": IMAGES["services"]}

    assert load_images(config(tmp_path, only, PROD), tmp_path).postgres == ""
    assert len(image_problems(config(tmp_path, only, PROD_GATEWAY_API), tmp_path)) == 1
    assert len(image_problems(config(tmp_path, only, DEV), tmp_path)) == 2
