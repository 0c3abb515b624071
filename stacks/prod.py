"""Deploy stack prod: a managed cluster, hosted databases, Ambassador or Gateway API, and a certificate."""

from __future__ import annotations

from pathlib import Path

import pulumi

from infra.ambassador import Ambassador
from infra.config import HostedConfig, StackConfig
from infra.gateway import Gateway
from infra.images import Images, load_images
from infra.tls import Tls
from stacks.application import Application, deploy_application


def deploy(config: StackConfig, hosted: HostedConfig, root: Path) -> None:
    """Deploy and export the outputs."""
    needed = ("services", "gateway") if config.gateway.kind == "gateway-api" else ("services",)
    images = load_images(root / config.images_file, needed=needed)
    application = deploy_application(config, images, root)
    entry, address = _let_in(config, hosted, images, application)
    Tls("tls", hosted, config.gateway.kind, application.after(entry))
    pulumi.export("url", config.url)
    pulumi.export("gatewayAddress", address)
    pulumi.export("images", {name: getattr(images, name) for name in needed})


def _let_in(
    config: StackConfig, hosted: HostedConfig, images: Images, application: Application
) -> tuple[pulumi.Resource, pulumi.Input[str]]:
    after = application.after(application.last)
    if config.gateway.kind == "ambassador":
        # Emissary's load balancer is not ours to read; the name is what clients use.
        return Ambassador("ambassador", hosted.hostname, after), hosted.hostname
    gateway = Gateway("gateway", config, images.gateway, after)
    return gateway, gateway.service.status.apply(_balancer_address)


def _balancer_address(status: dict[str, dict[str, list[dict[str, str]]]] | None) -> str:
    entries = ((status or {}).get("loadBalancer") or {}).get("ingress") or [{}]
    return entries[0].get("ip") or entries[0].get("hostname") or ""
