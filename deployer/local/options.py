"""Hold what the user asks of `local`, and check the Firebase part of it before anything starts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from deployer.errors import UsageError


@dataclass(frozen=True)
class LocalOptions:
    """Say how `local` runs.

    Attributes:
        port: the gateway's port; None for the one of last time, or 8080.
        lan: whether other machines may reach the gateway.
        fresh: whether data and secrets are made anew.
        confirm: asks a person before data is deleted.
        firebase: the service account's file, for pushes and the google login.
        project_id: the Firebase project, for the google login alone.
        as_json: whether machines read the output.
        colour: whether the output is coloured.
        quiet: whether only warnings and errors are shown.
    """

    port: int | None = None
    lan: bool = False
    fresh: bool = False
    confirm: Callable[[str], bool] = lambda _: True
    firebase: Path | None = None
    project_id: str = ""
    as_json: bool = False
    colour: bool = False
    quiet: bool = False


@dataclass(frozen=True)
class Firebase:
    """Say which Firebase project vouches for people, and with which account pushes are sent.

    Attributes:
        project_id: the project; empty leaves the google login off.
        service_account: the file; None leaves pushes off.
    """

    project_id: str = ""
    service_account: Path | None = None

    @property
    def logins(self) -> str:
        """Who may vouch for people, as the auth service's setting has it."""
        return "dev,google" if self.project_id else "dev"


def load_firebase(options: LocalOptions) -> Firebase:
    """Check what was given of Firebase.

    Raises:
        UsageError: the file cannot be read, is another one, or belongs to another project.
    """
    if options.firebase is None:
        return Firebase(project_id=options.project_id)
    from infra.config import service_account_problems, service_account_project

    path = options.firebase.expanduser().absolute()
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(
            f"The service account {path} cannot be read: {reason}.", advice="Name the file: `--firebase FILE`."
        ) from error
    if problems := service_account_problems(text, options.project_id):
        raise UsageError(
            f"{path} cannot be used as the Firebase service account.", said="\n".join(f"it {each}" for each in problems)
        )
    return Firebase(project_id=service_account_project(text), service_account=path)
