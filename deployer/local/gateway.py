"""Put Traefik in front of the services, with the routes of the deployed gateway."""

from __future__ import annotations

import json
from pathlib import Path

from deployer.errors import DeployError
from deployer.local.layout import AUTH as PAGE
from deployer.local.layout import SERVICES, Layout, programs
from deployer.local.places import LOOPBACK, Places

# infra.builders.traefik refuses the same.
_REFUSED_CHARACTERS = ("slash", "backslash", "nullcharacter")


def write_routes(layout: Layout, places: Places) -> None:
    """Write what the gateway serves: each service's public port under its prefix, which is taken off."""
    routers, backends, strips = {}, {}, {}
    for service in SERVICES:
        name, prefix = service.name, f"/{service.name}"
        # As Gateway API means a prefix: whole path elements, so /authentic is none of auth's.
        rule = f"Path(`{prefix}`) || PathPrefix(`{prefix}/`)"
        routers[name] = {"rule": rule, "entryPoints": ["web"], "service": name, "middlewares": [f"strip-{name}"]}
        strips[f"strip-{name}"] = {"stripPrefix": {"prefixes": [prefix]}}
        backends[name] = {"loadBalancer": {"servers": [{"url": places.public_url(name)}]}}
    # The page is auth's: its one document, and its files. Nothing else without a prefix is routed.
    routers["page"] = {"rule": "Path(`/`) || PathPrefix(`/web/`)", "entryPoints": ["web"], "service": PAGE.name}
    routes = {"http": {"routers": routers, "middlewares": strips, "services": backends}}
    # JSON is YAML too.
    layout.routes.write_text(json.dumps(routes, indent=2) + "\n", encoding="utf-8")


def gateway_command(layout: Layout, places: Places, *, lan: bool) -> tuple[str, ...]:
    """Return how Traefik is started; the arguments are those of the deployed one, where they apply.

    Args:
        layout: where its routes lie.
        places: where everything listens.
        lan: whether other machines may reach it.
    """
    point = "--entrypoints.web"
    return (
        str(_program()),
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
        "--log.level=ERROR",
        "--log.format=json",
        f"{point}.address={'' if lan else LOOPBACK}:{places.gateway}",
        # X_Forwarded_For is X-Forwarded-For to some servers: not to ours, and better not to any.
        f"{point}.http.aliasheadersstrategy=delete",
        # What is a slash to one reader of a path and a letter to another (..%2F): no path of ours has any.
        *(
            f"{point}.http.encodedcharacters.allowencoded{name}=false"
            for name in ("slash", "backslash", "nullcharacter")
        ),
        f"{point}.transport.respondingtimeouts.readtimeout=60s",
        f"{point}.transport.respondingtimeouts.idletimeout=180s",
        f"{point}.transport.lifecycle.gracetimeout=1s",
        f"--providers.file.filename={layout.routes}",
        "--providers.file.watch=false",
    )


def _program() -> Path:
    program = programs() / "traefik"
    if not program.exists():
        raise DeployError(
            f"There is no Traefik in {programs()}.",
            advice="The environment is not whole: remove it, and the next start makes it anew.",
        )
    return program
