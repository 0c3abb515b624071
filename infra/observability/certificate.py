"""Watch the certificate by cert-manager's own series; https://cert-manager.io/docs/devops-tips/prometheus-metrics/."""

from __future__ import annotations

from infra.catalogue import TLS_SECRET
from infra.observability.alert import Alert

# The Certificate's name. Its namespace is no help: a scraped series' own label of that name becomes exported_namespace,
# unless whoever scrapes honours it.
OURS = f'name="{TLS_SECRET}"'
ENDS = "certmanager_certificate_expiration_timestamp_seconds"
RENEWAL = "certmanager_certificate_renewal_timestamp_seconds"
READY = "certmanager_certificate_ready_status"


def moment(series: str) -> str:
    """Ask for one of the certificate's moments, in seconds since 1970; it is 0 before there is a certificate.

    A cluster's own monitor may scrape cert-manager besides ours, and cert-manager may have several pods.
    """
    return f"max by (name) ({series}{{{OURS}}} > 0)"


def _less_left(part: int) -> str:
    """Say whether less than a part of the time between renewal and end is left; its value is what is left.

    cert-manager renews when a third of a certificate's life is left, so no limit in days holds for every authority:
    Let's Encrypt's certificates live for 90 days, or for 6.
    """
    return f"{moment(ENDS)} - time() < ({moment(ENDS)} - {moment(RENEWAL)}) / {part}"


CERTIFICATE_ALERTS = (
    Alert(
        "CertificateNotRenewed",
        # A sixth of its life, which is where `up` fails, too: 15 days of 90.
        _less_left(2),
        "1h",
        "warning",
        "The certificate should have been renewed long ago",
        "It ends in {{ $value | humanizeDuration }}; half of the time that cert-manager takes for a renewal is over.",
    ),
    Alert(
        "CertificateExpires",
        # A thirtieth of its life: 3 days of 90.
        _less_left(10),
        "15m",
        "critical",
        "The certificate is about to end",
        "It ends in {{ $value | humanizeDuration }} (with a minus it has ended), and nobody can connect from then on.",
    ),
    Alert(
        "CertificateNotReady",
        f'max by (name) ({READY}{{{OURS},condition="True"}}) == 0',
        "30m",
        "critical",
        "There is no good certificate",
        "For half an hour cert-manager has called Certificate {{ $labels.name }} not ready.",
    ),
    Alert(
        "CertificateUnwatched",
        f"absent({ENDS}{{{OURS}}})",
        "1h",
        "warning",
        "Nobody watches the certificate",
        "Prometheus has had no figure of Certificate {{ $labels.name }} for an hour: cert-manager does not run, or"
        " nobody scrapes it.",
    ),
)
