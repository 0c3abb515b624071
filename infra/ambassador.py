"""Let requests in by an Emissary-ingress (Ambassador) that the cluster has."""

from __future__ import annotations

import pulumi

from infra.builders.ambassador import (
    HTTP_PORT,
    HTTPS_PORT,
    acme_mapping,
    acme_service,
    host,
    listener,
    page_mappings,
    rest_mapping,
    socket_mapping,
)
from infra.catalogue import APPLICATIONS
from infra.component import Component


class Ambassador(Component):
    """Tell Emissary where to listen, for which host, and what goes where; no Mapping names an internal port.

    Args:
        name: in the engine's state.
        hostname: the DNS name that clients use.
        page: whether the web page is served.
        opts: the cluster's provider, and what comes first.
    """

    def __init__(self, name: str, hostname: str, opts: pulumi.ResourceOptions, *, page: bool) -> None:
        super().__init__("Ambassador", name, opts)
        self.place(acme_service())
        listeners = [
            self.place(listener("stampchat-http", HTTP_PORT, "HTTP")),
            self.place(listener("stampchat-https", HTTPS_PORT, "HTTPS")),
        ]
        entry = self.place(host("stampchat", hostname), after=listeners)
        mappings = [rest_mapping(application, hostname) for application in APPLICATIONS]
        if page:
            mappings += page_mappings(hostname)
        for mapping in (*mappings, socket_mapping(hostname), acme_mapping(hostname)):
            self.place(mapping, after=[entry])
        self.register_outputs({"hostname": hostname})
