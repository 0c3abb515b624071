"""Write what an image carries as a CycloneDX document and as a file of notices, the same bytes each time."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING

from deployer.images.contents import Component
from deployer.oci import Built

if TYPE_CHECKING:
    from cyclonedx.model.component import Component as Listed

SUFFIX = "cdx.json"
NOTICES_SUFFIX = "notices.txt"
# Names our documents among all UUIDs: https://www.rfc-editor.org/rfc/rfc9562#name-uuid-version-5
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "https://cyclonedx.org/stampchat")
_RULE = "=" * 100


def write_sbom(name: str, built: Built, components: Sequence[Component]) -> bytes:
    """Write a CycloneDX 1.6 document; its serial number is made from the image's digest, and no time is in it.

    Args:
        name: the image's own ("services").
        built: the image for one platform.
        components: what it carries.
    """
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component as Made
    from cyclonedx.model.component import ComponentType
    from cyclonedx.output.json import JsonV1Dot6

    image = Made(name=name, version=built.digest, type=ComponentType.CONTAINER, bom_ref=built.digest)
    document = Bom(serial_number=uuid.uuid5(_NAMESPACE, built.digest))
    document.metadata.timestamp = None  # type: ignore[assignment]  # a time would make each document new
    document.metadata.component = image
    listed = [_listed(component) for component in components]
    document.components.update(listed)
    document.register_dependency(image, listed)
    return (JsonV1Dot6(document).output_as_string(indent=1) + "\n").encode()


def write_notices(name: str, built: Built, components: Sequence[Component]) -> str:
    """Write every component with its licences, and each text once.

    Args:
        name: the image's own.
        built: the image for one platform.
        components: what it carries.
    """
    lines = [f"What the image {name} for linux/{built.arch} carries besides StampChat's own code.", built.digest, ""]
    texts: dict[str, list[str]] = {}
    for component in components:
        lines.append(f"{component.name} {component.version}: {'; '.join(component.licences) or 'see its text'}")
        for _, text in component.texts:
            texts.setdefault(text.strip(), []).append(f"{component.name} {component.version}")
    for text, names in texts.items():
        lines += ["", _RULE, *dict.fromkeys(names), _RULE, text]
    return "\n".join(lines) + "\n"


def _listed(component: Component) -> Listed:
    from cyclonedx.contrib.license.factories import LicenseFactory
    from cyclonedx.model.component import Component as Made
    from cyclonedx.model.component import ComponentType
    from cyclonedx.model.license import DisjunctiveLicense
    from packageurl import PackageURL

    # A component has one expression, or any number of names.
    licences = (
        [LicenseFactory().make_from_string(component.licences[0])]
        if len(component.licences) == 1
        else [DisjunctiveLicense(name=licence) for licence in component.licences]
    )
    return Made(
        name=component.name,
        version=component.version,
        type=ComponentType.LIBRARY,
        purl=PackageURL.from_string(component.purl),
        licenses=licences,
        bom_ref=component.purl,
    )
