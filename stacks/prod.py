"""Deploy stack prod: a managed cluster, hosted databases, Ambassador or Gateway API, and a certificate."""

from __future__ import annotations

from pathlib import Path

import pulumi

from infra.ambassador import Ambassador
from infra.config import HostedConfig, StackConfig
from infra.gateway import Gateway
from infra.images import Images, load_images, needed_images
from infra.platform import Platform, load_charts
from infra.tls import Tls
from stacks.application import Application, deploy_application


def deploy(config: StackConfig, hosted: HostedConfig, root: Path) -> None:
    """Deploy and export the outputs."""
    images = load_images(config, root)
    application = deploy_application(config, images, root)
    platform = _install_platform(config, hosted, application, root)
    entry, address = _let_in(config, images, application.after(application.last, *platform), hosted)
    Tls("tls", hosted, config.gateway.kind, application.after(entry, *platform))
    pulumi.export("url", config.url)
    pulumi.export("gatewayAddress", address)
    pulumi.export("images", {name: getattr(images, name) for name in needed_images(config)})


def _install_platform(
    config: StackConfig, hosted: HostedConfig, application: Application, root: Path
) -> list[pulumi.Resource]:
    """Install what the cluster lacks, beside the application, which needs none of it."""
    if not hosted.install_platform:
        return []
    return [Platform("platform", config, load_charts(root), application.after())]


def _let_in(
    config: StackConfig, images: Images, after: pulumi.ResourceOptions, hosted: HostedConfig
) -> tuple[pulumi.Resource, pulumi.Input[str]]:
    if config.gateway.kind == "ambassador":
        # Emissary's load balancer is not ours to read; the name is what clients use.
        return Ambassador("ambassador", hosted.hostname, after, page=config.web is not None), hosted.hostname
    gateway = Gateway("gateway", config, images.gateway, after)
    return gateway, gateway.service.status.apply(_balancer_address)


def _balancer_address(status: dict[str, dict[str, list[dict[str, str]]]] | None) -> str:
    entries = ((status or {}).get("loadBalancer") or {}).get("ingress") or [{}]
    return entries[0].get("ip") or entries[0].get("hostname") or ""
