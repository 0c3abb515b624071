"""Have the host's certificate issued and renewed by cert-manager."""

from __future__ import annotations

import pulumi

from infra.builders.tls import certificate, cluster_issuer
from infra.catalogue import GATEWAY_NAMESPACE, NAMESPACE
from infra.component import Component
from infra.config import GatewayKind, HostedConfig

# A challenge takes a minute; a name that does not point here yet never passes one, and the wait should end.
PATIENCE = pulumi.CustomTimeouts(create="10m", update="10m")
# An account is made in seconds, or refused.
ISSUER_PATIENCE = pulumi.CustomTimeouts(create="3m", update="3m")


class Tls(Component):
    """Make the issuer and the certificate, and wait until both are ready.

    Args:
        name: in the engine's state.
        hosted: the host and who signs its certificate.
        gateway: which gateway answers the challenge, and where its certificate has to lie.
        opts: the cluster's provider, and what comes first.
    """

    def __init__(self, name: str, hosted: HostedConfig, gateway: GatewayKind, opts: pulumi.ResourceOptions) -> None:
        super().__init__("Tls", name, opts)
        issuer = self.place(cluster_issuer(hosted.acme, gateway), custom_timeouts=ISSUER_PATIENCE)
        namespace = GATEWAY_NAMESPACE if gateway == "gateway-api" else NAMESPACE
        self.place(certificate(hosted.hostname, namespace), after=[issuer], custom_timeouts=PATIENCE)
        self.register_outputs({"hostname": hosted.hostname})
