"""The verb bundle."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cli.context import AsJson, settings_of, write, write_json


def bundle(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="Where the bundle is written.", dir_okay=False)] = None,
    *,
    use: Annotated[
        Path | None, typer.Option("--use", help="Take a bundle's parts into this machine's cache.", dir_okay=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Pack all that up needs into one file, for a machine without a network; or take such a file in, by --use.

    Both machines need the same processor, the same version of Python and the same commit of the checkout.

    [bold]Examples[/bold]

      ./stampchat bundle stampchat.tar.gz                       where there is a network

      STAMPCHAT_BUNDLE=stampchat.tar.gz ./stampchat up          where there is none

      ./stampchat bundle --use stampchat.tar.gz                 the same, without deploying
    """
    from deployer.bundle import pack_bundle, use_bundle
    from deployer.errors import UsageError

    if (file is None) == (use is None):
        raise UsageError("Name a file to write, or one to --use.", advice="./stampchat bundle stampchat.tar.gz")
    settings = settings_of(context)
    with settings.display() as display:
        if use is not None:
            used = use_bundle(settings.workspace, use, display)
            told = [f"{used.taken} of {used.files} files were taken from {used.path}; the cache had the others."]
            result = asdict(used)
        else:
            assert file is not None  # noqa: S101  # one of the two is there
            packed = pack_bundle(settings.workspace, file, display)
            told = [
                f"{packed.path}: {packed.size / 1e6:.0f} MB, {packed.files} files",
                f"  sha256 {packed.sha256}",
                f"  There: STAMPCHAT_BUNDLE={packed.path.name} ./stampchat up",
            ]
            result = asdict(packed)
    if as_json:
        write_json(result)
    else:
        write(*told)
