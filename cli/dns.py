"""The verb dns."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cli.context import AsJson, Stack, settings_of, write, write_json

if TYPE_CHECKING:
    from deployer.dns import Dns
    from deployer.issuance import Issuance


def dns(
    context: typer.Context,
    stack: Stack = "prod",
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the name leads to the deployment.")] = False,
    timeout: Annotated[int, typer.Option(help="With --wait: the most seconds to wait.", min=1)] = 1800,
    as_json: AsJson = False,
) -> None:
    """Print the DNS record to make, what the name leads to now, and whether the certificate can come.

    Exits 1 while the name does not lead here.

    [bold]Examples[/bold]

      ./stampchat dns prod

      ./stampchat dns prod --wait --timeout 3600
    """
    from deployer.dns import look_up, wait_for

    settings = settings_of(context)
    with settings.display() as display:

        def look() -> Dns:
            return look_up(settings.workspace, stack, display)

        found = wait_for(look, display, seconds=timeout) if wait else look()
    if as_json:
        write_json({**asdict(found), "certificate_can_work": found.certificate_can_work})
    else:
        _tell(found)
    if not found.certificate_can_work:
        raise typer.Exit(1)


def _tell(found: Dns) -> None:
    if not found.records:
        write("The load balancer has no address yet; clouds take a minute or two. Ask again.")
    for record in found.records:
        write(f"Record     {record.name}. {record.kind} {record.value}")
    if any(record.kind == "CNAME" for record in found.records):
        write("           (a bare domain can have no CNAME: use your provider's ALIAS or ANAME there)")
    write(f"Leads to   {', '.join(found.resolves_to) or 'nothing, as seen from here'}")
    if found.certificate_can_work:
        write("That is this deployment, and the way of the challenge is open: the certificate can come.")
    elif found.leads_here:
        write(f"That is this deployment, but the challenge would fail: {found.challenge}.")
    else:
        write("That is not this deployment yet, so no certificate can come.")
    if found.issuance is not None:
        _tell_issuance(found.issuance)


def _tell_issuance(issuance: Issuance) -> None:
    if issuance.ready:
        write(f"Certificate there, good until {issuance.ends}")
    else:
        write("Certificate not there yet, or not good any more; cert-manager says:")
    for words in issuance.words:
        write(f"           {words}")
