"""Say what a stack consists of, with this checkout's own images, and have them in a cluster under test."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from deployer import cluster
from deployer.images import build_images
from deployer.report import Silent
from stacks.program import deploy
from tests.conftest import EmbeddedCluster
from tests.infra.recording import record
from tests.order.objects import Json


def objects_of(stack: str, config: Mapping[str, str], images: Mapping[str, str], folder: Path) -> list[Json]:
    """List a stack's Kubernetes objects in the order of their registration, made-up secrets included.

    Args:
        stack: its name.
        config: as the engine hands it over.
        images: references by name.
        folder: an empty one, to stand in for a checkout.
    """
    (folder / ".stampchat").mkdir(exist_ok=True)
    (folder / ".stampchat" / "images.json").write_text(json.dumps(images), encoding="utf-8")
    recording = record(lambda: deploy(folder), config, stack=stack)
    return [recorded.inputs for recorded in recording.objects()]


def load_images(running: EmbeddedCluster) -> dict[str, str]:
    """Build the images, put them into a cluster, and return their references; what is there already costs nothing."""
    built = build_images(running.workspace, Silent())
    cluster.load_images(running.workspace, {image.reference: image.archive for image in built.values()}, Silent())
    return {name: image.reference for name, image in built.items()}
