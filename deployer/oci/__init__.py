"""Write container images without a container engine: deterministic layers, manifests and archives."""

from deployer.oci.archive import write_archive, write_archive_of
from deployer.oci.images import (
    INDEX,
    MANIFEST,
    Built,
    ImageSpec,
    build,
    build_index,
    canonical_json,
    describe,
    digest_of,
    digest_of_all,
)
from deployer.oci.layers import Entry, Layer, write_layer

__all__ = [
    "INDEX",
    "MANIFEST",
    "Built",
    "Entry",
    "ImageSpec",
    "Layer",
    "build",
    "build_index",
    "canonical_json",
    "describe",
    "digest_of",
    "digest_of_all",
    "write_archive",
    "write_archive_of",
    "write_layer",
]
