"""The verbs under images."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.context import AsJson, settings_of, write, write_json

if TYPE_CHECKING:
    from deployer.images import BuiltImage
    from deployer.registry import Credentials

app = typer.Typer(no_args_is_help=True, help="Build the container images, and push them to a registry.")

Platform = Annotated[
    list[str],
    typer.Option(
        "--platform",
        help="linux/amd64, linux/arm64, or both with a comma between: an index over both. This machine's unless said.",
        default_factory=list,
        show_default=False,
    ),
]
_REGISTRY = "The registry, and a path in it: registry.your-company.net/stampchat"


@app.callback()
def images() -> None:
    """Build the container images, and push them to a registry; for stack dev up does all that is needed by itself."""


@app.command()
def build(
    context: typer.Context,
    *,
    registry: Annotated[str, typer.Option(help=f"{_REGISTRY}. Nothing is sent there.")] = "",
    platform: Platform,
    as_json: AsJson = False,
) -> None:
    """Build the three images without Docker, and print their references; what is unchanged is not built again.

    The same sources make the same digests, anywhere and any day: with [bold]--registry[/bold] the references are
    those that a push would write. An SBOM (CycloneDX) and the licences of what is in an image lie beside its archive.

    [bold]Examples[/bold]

      ./stampchat images build

      ./stampchat images build --platform linux/amd64,linux/arm64
    """
    from deployer.images import build_images
    from deployer.publish import document_images
    from deployer.registry import parse_registry

    settings = settings_of(context)
    prefix = parse_registry(registry).prefix if registry else ""
    with settings.display() as display:
        built = build_images(settings.workspace, display, registry=prefix, platforms=platform)
        document_images(built, display)
    if as_json:
        write_json({name: _described(image) for name, image in built.items()})
        return
    for name, image in built.items():
        write(f"{name:<10} {image.size / 1e6:>6.1f} MB  {image.reference}")


@app.command()
def push(
    context: typer.Context,
    *,
    registry: Annotated[str, typer.Option(help=_REGISTRY)],
    platform: Platform,
    tag: Annotated[str, typer.Option(help="A tag, besides the one that is made of what is in the image.")] = "",
    username: Annotated[str, typer.Option(help="For the registry; Docker's configuration is asked unless given.")] = "",
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password, or a token, from standard input.")
    ] = False,
    file: Annotated[
        Path | None,
        typer.Option(help="Where the references are written; .stampchat/images.json unless given.", dir_okay=False),
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Ask by http. A registry on this machine always is.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Build the images, push them with an SBOM each, and write their references for the stack's imagesFile.

    What the registry has is not sent again, and a tag moves last: a push that is cut off leaves it as it was.

    [bold]Examples[/bold]

      ./stampchat images push --registry registry.your-company.net/stampchat --platform linux/amd64,linux/arm64

      ./stampchat images push --registry ghcr.io/you/stampchat --username you --password-stdin < token
    """
    from deployer.publish import push_images
    from deployer.registry import parse_registry

    settings = settings_of(context)
    name = parse_registry(registry, insecure=insecure)
    credentials = _credentials(username, from_stdin=password_stdin)
    with settings.display() as display:
        published = push_images(
            settings.workspace, name, display, platforms=platform, tag=tag, credentials=credentials, file=file
        )
    if as_json:
        from dataclasses import asdict

        write_json({image: asdict(each) for image, each in published.items()})
        return
    for image, each in published.items():
        sent = f"{each.sent / 1e6:.1f} MB sent" if each.sent else "nothing new"
        write(f"{image:<10} {each.size / 1e6:>6.1f} MB  {sent:<14} {each.reference}")
    write(f"The references are in {file or settings.workspace.images}.")


@app.command()
def notices(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="services, postgres or gateway.")],
) -> None:
    """Print the licences of all that an image carries, with their texts.

    They are in the image as well: /usr/share/doc/*/copyright of Debian's packages, *.dist-info of Python's.

    [bold]Example[/bold]

      ./stampchat images notices services
    """
    from deployer.errors import UsageError
    from deployer.images import make_images
    from deployer.images.sbom import NOTICES_SUFFIX
    from deployer.publish import document_images

    settings = settings_of(context)
    with settings.display() as display:
        built = make_images(settings.workspace, display)
        if name not in built:
            raise UsageError(f"There is no image {name!r}.", advice=f"There are {', '.join(built)}.")
        document_images(built, display)
    image = built[name]
    write(image.beside(image.builds[0], NOTICES_SUFFIX).read_text(encoding="utf-8").rstrip())


@app.command()
def lock(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Take Debian's newest packages (security updates) for the images, and write which into debian-images.lock.

    [bold]Example[/bold]

      ./stampchat images lock
    """
    from deployer.images.packages import LOCK, write_lock

    settings = settings_of(context)
    workspace = settings.workspace
    with settings.display() as display:
        new = write_lock(workspace.root / LOCK, cache=workspace.cache, report=display)
    if as_json:
        write_json({"new": new})
        return
    write(*(new or ["Debian has nothing newer."]))


def _credentials(username: str, *, from_stdin: bool) -> Credentials | None:
    from deployer.errors import UsageError
    from deployer.registry import Credentials

    if bool(username) != from_stdin:
        raise UsageError(
            "--username and --password-stdin go together.",
            advice="A password on the command line could be read by others, so it comes by standard input.",
        )
    if not username:
        return None
    password = sys.stdin.read().strip("\r\n")
    if not password:
        raise UsageError("There is no password on standard input.", advice="Give it by a pipe or a file.")
    return Credentials(username, password)


def _described(image: BuiltImage) -> dict[str, object]:
    from deployer.images.sbom import SUFFIX

    return {
        "reference": image.reference,
        "archive": str(image.archive),
        "size": image.size,
        "platforms": {
            f"linux/{built.arch}": {
                "digest": built.digest,
                "size": built.size,
                "sbom": str(image.beside(built, SUFFIX)),
            }
            for built in image.builds
        },
    }
