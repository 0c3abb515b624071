"""Take in secrets: from a file, from standard input, or typed unseen."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from cli.context import Settings, write_json
from cli.secrets_told import tell_stored

if TYPE_CHECKING:
    from deployer.secrets.catalogue import Given

# What is no path but a value itself; it is never printed again.
_VALUES = ("://", "{", "\n", "-----BEGIN")
_LONGEST_NAME = 255
# Windows writes the second of these, and some editors the first.
_BYTE_ORDER_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}


def read_value(path: Path) -> str:
    """Return what a file holds, in whatever encoding an editor has left it; - is standard input.

    Raises:
        UsageError: it is no file's name but a value, it cannot be read, or it is no text.
    """
    from deployer.errors import UsageError

    name = str(path)
    if any(sign in name.replace(":/", "://") for sign in _VALUES) or len(path.name) > _LONGEST_NAME:
        raise UsageError(
            "A file's name is asked for, and this is no name but perhaps the secret itself.",
            advice="Others can read a command line, and the shell keeps it. Take what you typed for known by now: "
            "renew it where it comes from, then give it by file or by standard input. Nothing was changed.",
        )
    try:
        content = sys.stdin.buffer.read() if name == "-" else path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}.", advice="Nothing was changed.") from error
    encoding = next((found for mark, found in _BYTE_ORDER_MARKS.items() if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        # Without the cause: it carries what was read.
        raise UsageError(
            f"{'Standard input' if name == '-' else path} is no text in UTF-8.",
            advice="Give the file as it was downloaded, or write it anew with a text editor. Nothing was changed.",
        ) from None


def option_of(secret: Given) -> str:
    """Name the option of `secrets init` that takes a secret."""
    from deployer.secrets.catalogue import FIREBASE

    return "--firebase" if secret is FIREBASE else f"--{secret.name}-file"


def require_somebody(options: list[str], whats: list[str]) -> None:
    """See that there is somebody to be asked for what was not given.

    Raises:
        UsageError: there is not; every option that is missing is named.
    """
    from deployer.errors import UsageError

    if options and not sys.stdin.isatty():
        width = max(map(len, options))
        raise UsageError(
            "Nobody is here to be asked for what is still needed.",
            said="\n".join(f"{option:<{width}}  {what}" for option, what in zip(options, whats, strict=True)),
            advice="Give it by these options, or start this on a terminal. Nothing was changed.",
        )


def ask_for(secret: Given) -> str:
    """Ask for a secret: unseen, or for the file that holds it where nobody types such a thing."""
    from deployer.secrets.catalogue import DATABASES, FIREBASE, PULL

    if secret in (FIREBASE, PULL):
        return read_value(Path(prompt(f"Where is {secret.what}")).expanduser())
    of = "The URL of " if secret in DATABASES else ""
    return prompt(f"{of}{secret.what}, unseen", hide=True)


def prompt(what: str, *, hide: bool = False) -> str:
    """Ask a person on the terminal; the question goes to standard error."""
    return str(typer.prompt(what, hide_input=hide, err=True))


def store_given(
    settings: Settings,
    stack: str,
    values: dict[Given, str],
    plain: dict[str, str],
    *,
    provider: str = "",
    as_json: bool,
) -> None:
    """Store what was given, encrypted, and tell what follows from it.

    Raises:
        UsageError: something in it cannot be used; nothing was written.
    """
    from deployer.secrets.store import store

    with settings.display() as display:
        stored = store(settings.workspace, stack, values, plain, display, provider=provider)
    if as_json:
        write_json(
            {"file": str(stored.path), "set": stored.names, "restarts": stored.restarts, "answers": stored.answers}
        )
    else:
        tell_stored(stored, stack)
