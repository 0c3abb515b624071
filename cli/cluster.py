"""The verbs under cluster."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from cli.context import AsJson, Yes, ask, settings_of, write, write_json
from cli.status import component_lines, cost_lines, lan_line, policies_line
from cli.up import Cluster, Lan, Port, lan_told, lan_urls

MetricsServer = Annotated[
    bool | None,
    typer.Option("--metrics/--no-metrics", help="Whether it has metrics-server (default: as before; at first it has)."),
]

Policies = Annotated[
    bool | None,
    typer.Option(
        "--policies/--no-policies",
        help="Whether it makes network policies hold (default: as before; at first it does).",
    ),
]

OwnRegistry = Annotated[
    bool | None,
    typer.Option(
        "--registry/--no-registry", help="Whether it has a registry (default: as before; at first it has none)."
    ),
]

app = typer.Typer(no_args_is_help=True)


@app.callback()
def cluster() -> None:
    """Start, look at and stop the Kubernetes cluster of stack dev; up starts it by itself."""


@app.command()
def up(
    context: typer.Context,
    *,
    port: Port = None,
    cluster: Cluster = "",
    lan: Lan = None,
    metrics: MetricsServer = None,
    policies: Policies = None,
    registry: OwnRegistry = None,
    as_json: AsJson = False,
) -> None:
    """Start the cluster, or repair it: what is missing is built, what died is started again, data is kept.

    [bold]Examples[/bold]

      ./stampchat cluster up

      ./stampchat cluster up --cluster k3d    made by k3d in Docker, and kept there

      ./stampchat cluster up --no-metrics     without metrics-server, now and at every later start

      ./stampchat cluster up --no-policies    network policies are declared and do not hold

      ./stampchat cluster up --registry       with a registry, from which Pods pull what is pushed to it
    """
    from deployer.cluster import Choice
    from deployer.local_cluster import start

    settings = settings_of(context)
    choice = Choice(metrics=metrics, policies=policies, registry=registry, lan=lan)
    with settings.display() as display:
        started = start(settings.workspace, port, choice, display, wanted=cluster)
    info = started.info
    if as_json:
        told = {"name": info.name, "kubeconfig": info.kubeconfig, "address": info.address, "url": info.url}
        write_json({**told, "missing": started.missing, "lan": lan_urls(started.lan_port)})
        return
    write(*[f"{name} is {reason}" for name, reason in started.missing.items()])
    write(f"Cluster {info.name} runs at {info.address}.", f"  export KUBECONFIG={info.kubeconfig}")
    write(*lan_told(started.lan_port))


@app.command()
def extras(context: typer.Context) -> None:
    """Build what the cluster does without until it is built, metrics-server and kube-router, which up leaves for later.

    [bold]Example[/bold]

      ./stampchat cluster extras
    """
    from deployer import cluster as contract

    settings = settings_of(context)
    with settings.display() as display:
        built = contract.build_extras(settings.workspace, display)
    write(f"Built: {', '.join(built) or 'nothing is wanted'}.")


@app.command()
def status(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Show the cluster's parts, what it costs and how long its certificates last; exits 1 when it does not run.

    [bold]Example[/bold]

      ./stampchat cluster status
    """
    from deployer import cluster as contract

    found = contract.status(settings_of(context).workspace)
    if as_json:
        write_json(asdict(found))
    else:
        ready = "its node is ready" if found.node_ready else "its node is not ready"
        write(f"Cluster {found.name} {f'runs, {ready}' if found.running else 'does not run'}.")
        write(*component_lines(found), *cost_lines(found))
        if found.running:
            write(policies_line(found), *lan_line(found))
    if not found.running:
        raise typer.Exit(1)


@app.command()
def registry(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Say where the cluster's own registry is, and how to push to it and pull from it.

    [bold]Example[/bold]

      ./stampchat cluster registry
    """
    from deployer.own_registry import own_registry

    found = own_registry(settings_of(context).workspace)
    if as_json:
        write_json(asdict(found))
        return
    write(
        f"The cluster's registry answers at https://{found.address}, for this machine alone.",
        f"Pods pull from it, without a secret, by the name {found.name}.",
        "",
        f"  Push our images    ./stampchat images push --registry {found.name}/stampchat --file images.cluster.json",
        "  Or any image       with any tool, to the address; a Pod names it by the name",
        f"    authority        {found.authority}",
        f"    user, password   {found.username}, {found.password_file}",
    )


@app.command()
def down(
    context: typer.Context,
    *,
    purge: Annotated[bool, typer.Option("--purge", help="Delete its data too: everything in stack dev.")] = False,
    yes: Yes = False,
) -> None:
    """Stop the cluster; nothing of it stays on this machine but its data, and with --purge not even that.

    [bold]Examples[/bold]

      ./stampchat cluster down

      ./stampchat cluster down --purge
    """
    from deployer.errors import UsageError
    from deployer.local_cluster import stop

    settings = settings_of(context)
    question = "The cluster's data is about to be deleted: everything in stack dev, its messages included."
    if purge and not ask(question, yes=yes):
        raise UsageError("Not confirmed; nothing was changed.", advice="Answer yes, or give --yes.")
    with settings.display() as display:
        was_there = stop(settings.workspace, display, purge=purge)
    if not was_there:
        write("There is no cluster of this checkout; `./stampchat up` makes one.")
    else:
        write("The cluster is gone, its data too." if purge else "The cluster is stopped; up starts it with its data.")


@app.command()
def kubeconfig(context: typer.Context) -> None:
    """Print the path of the cluster's kubeconfig.

    [bold]Example[/bold]

      export KUBECONFIG="$(./stampchat cluster kubeconfig)"
    """
    from deployer.local_cluster import kubeconfig as find

    write(str(find(settings_of(context).workspace)))
