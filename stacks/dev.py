"""Deploy stack dev: everything on one machine, reached by Gateway API at a port of the node."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pulumi

from infra.config import StackConfig
from infra.gateway import Gateway
from infra.images import load_images
from stacks.application import deploy_application


def deploy(config: StackConfig, root: Path) -> None:
    """Deploy and export the outputs."""
    images = load_images(config, root)
    application = deploy_application(config, images, root)
    Gateway("gateway", config, images.gateway, application.after(application.last))
    pulumi.export("url", config.url)
    pulumi.export("gatewayAddress", urlsplit(config.url).netloc)
    pulumi.export("images", {"services": images.services, "postgres": images.postgres, "gateway": images.gateway})
