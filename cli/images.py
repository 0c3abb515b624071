"""The verbs under images."""

from __future__ import annotations

import typer

from cli.context import AsJson, settings_of, write, write_json

app = typer.Typer(no_args_is_help=True, help="Build the container images.")


@app.callback()
def images() -> None:
    """Build the container images; up does it by itself."""


@app.command()
def build(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Build the three images without Docker, and print their references; what is unchanged is not built again.

    [bold]Example[/bold]

      ./stampchat images build
    """
    from deployer.images import build_images

    settings = settings_of(context)
    with settings.display() as display:
        built = build_images(settings.workspace, display)
    if as_json:
        write_json(
            {
                name: {"reference": image.reference, "archive": str(image.archive), "size": image.size}
                for name, image in built.items()
            }
        )
        return
    for name, image in built.items():
        write(f"{name:<10} {image.size / 1e6:>6.1f} MB  {image.reference}")
