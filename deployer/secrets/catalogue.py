"""Name every secret of a deployment: where it is kept, what makes it valid, who uses it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deployer.errors import UsageError

NAMESPACE = "stampchat"
# A plain value beside the secrets: the day on which each was set.
SINCE = f"{NAMESPACE}:secretsSince"
# Another: until when the tokens of the system before ours are accepted.
LEGACY_UNTIL = f"{NAMESPACE}:legacyTokensUntil"


def _judge_database(url: str, _project_id: str) -> list[str]:
    from infra.config import database_url_problems

    return database_url_problems(url)


def _name_database(url: str) -> str:
    from infra.config import parse_database_url

    return str(parse_database_url(url))


def _judge_firebase(account: str, project_id: str) -> list[str]:
    from infra.config import service_account_problems

    return service_account_problems(account, project_id)


def _name_firebase(account: str) -> str:
    from infra.config import service_account_project

    return f"project {service_account_project(account)}"


def _judge_legacy(secret: str, _project_id: str) -> list[str]:
    from infra.config import legacy_secret_problem

    problem = legacy_secret_problem(secret)
    return [problem] if problem else []


def _judge_pull(credentials: str, _project_id: str) -> list[str]:
    from infra.config import pull_secret_problems

    return pull_secret_problems(credentials)


def _name_pull(credentials: str) -> str:
    from infra.config import pull_secret_hosts

    return f"for {', '.join(pull_secret_hosts(credentials))}"


def _judge_bus(url: str, _project_id: str) -> list[str]:
    from infra.config import bus_url_problems

    return bus_url_problems(url)


def _name_bus(url: str) -> str:
    from infra.config import describe_bus_url

    return describe_bus_url(url)


def _needs_bus(config: Mapping[str, Any]) -> bool:
    bus = config.get(f"{NAMESPACE}:bus")
    return isinstance(bus, Mapping) and bus.get("kind") == "nats"


@dataclass(frozen=True)
class Given:
    """Be a secret that only the user has; it stands encrypted in the stack's file.

    Attributes:
        name: what it is called on the command line.
        key: its key in the stack's config, without the namespace.
        what: what to ask for, in a few words.
        used_by: the services whose pods mount it, and roll when it changes.
        judge: what `problems` asks.
        describe: says of a good value what is no secret in it.
        is_needed: tells of a stack's config, by full key, whether it cannot do without the secret.
    """

    name: str
    key: str
    what: str
    used_by: tuple[str, ...]
    judge: Callable[[str, str], list[str]] = _judge_database
    describe: Callable[[str], str] = _name_database
    is_needed: Callable[[Mapping[str, Any]], bool] = lambda _: True

    @property
    def full_key(self) -> str:
        """The key as the engine has it."""
        return f"{NAMESPACE}:{self.key}"

    def problems(self, text: str, project_id: str = "") -> list[str]:
        """List what is wrong with a value, without quoting it.

        Args:
            text: the value.
            project_id: the Firebase project that the stack names, or nothing.
        """
        return self.judge(text, project_id)


@dataclass(frozen=True)
class Generated:
    """Be a secret that the program generates; each generation is a resource of its own.

    Attributes:
        name: what it is called on the command line.
        key: the config key that lists its generations, the newest last; nothing where it is not rotated.
        resource: the name of a generation's resource in the state.
        used_by: the services whose pods roll when it changes.
        overlap: what the older generation stays valid for once the new one is deployed; nothing where it goes at once.
    """

    name: str
    key: str
    resource: Callable[[int], str]
    used_by: tuple[str, ...]
    overlap: str

    @property
    def full_key(self) -> str:
        """The key as the engine has it."""
        return f"{NAMESPACE}:{self.key}"

    def generations(self, config: Mapping[str, Any]) -> list[int]:
        """Return the generations that the stack's config lists."""
        listed = config.get(self.full_key) or [1]
        return [int(number) for number in listed]


def _later(name: str) -> Callable[[int], str]:
    """Name generations so that the first keeps the name which it had before there were any others."""
    return lambda generation: name if generation == 1 else f"{name}-{generation}"


_ALL = ("auth", "chat", "notifications")
AUTH_DATABASE = Given("auth-database-url", "authDatabaseUrl", "the auth service's database", ("auth",))
CHAT_DATABASE = Given("chat-database-url", "chatDatabaseUrl", "the chat service's database", ("chat",))
NOTIFICATIONS_DATABASE = Given(
    "notifications-database-url",
    "notificationsDatabaseUrl",
    "the notifications service's database",
    ("notifications",),
)
FIREBASE = Given(
    "firebase-service-account",
    "firebaseServiceAccount",
    "the Firebase service account's JSON file",
    ("notifications",),
    judge=_judge_firebase,
    describe=_name_firebase,
    is_needed=lambda config: config.get(f"{NAMESPACE}:push", "off") == "fcm",
)
LEGACY = Given(
    "legacy-token-secret",
    "legacyTokenSecret",
    "the secret with which the original signed its tokens, in base64",
    _ALL,
    judge=_judge_legacy,
    describe=lambda _: "",
    is_needed=lambda config: bool(config.get(LEGACY_UNTIL)),
)
# The kubelet reads it at each pull, so no pod rolls when it changes.
PULL = Given(
    "image-pull-secret",
    "imagePullSecret",
    "the images' registry's credentials: a Docker config.json",
    (),
    judge=_judge_pull,
    describe=_name_pull,
    is_needed=lambda _: False,
)
BUS = Given(
    "bus-url",
    "busUrl",
    "the address of NATS, or of the chat's database past its pooler, by which its pods tell each other",
    ("chat",),
    judge=_judge_bus,
    describe=_name_bus,
    is_needed=_needs_bus,
)
DATABASES = (AUTH_DATABASE, CHAT_DATABASE, NOTIFICATIONS_DATABASE)
# For a role that owns the tables, where the service's own does not.
MIGRATING = tuple(
    Given(
        f"{service}-migrate-database-url",
        f"{service}MigrateDatabaseUrl",
        f"{service}'s role that migrates",
        (service,),
        is_needed=lambda _: False,
    )
    for service in _ALL
)
GIVEN = (*DATABASES, *MIGRATING, BUS, FIREBASE, LEGACY, PULL)
# What may be asked for an answer; an address of NATS is not.
ANSWERING = (*DATABASES, BUS)

PRIVATE_KEY = Generated(
    "private-key",
    "signingKeys",
    lambda generation: f"private-key-{generation}",
    _ALL,
    "tokens that it signed stay good for their hour",
)
SECRET_KEY_BASE = Generated("secret-key-base", "secretKeyBases", _later("secret-key-base"), ("chat",), "")
INTERNAL_CREDENTIAL = Generated(
    "internal-credential", "internalCredentials", _later("internal-credential"), _ALL, "pods that still show it"
)
GENERATED = (PRIVATE_KEY, SECRET_KEY_BASE, INTERNAL_CREDENTIAL)


def find_given(name: str) -> Given:
    """Return a secret that the user sets, by its name or its config key.

    Raises:
        UsageError: there is none of that name.
    """
    for secret in GIVEN:
        if name in (secret.name, secret.key, secret.full_key):
            return secret
    if name in _names(GENERATED):
        raise UsageError(
            f"{name} is generated and never set by hand.", advice=f"`./stampchat secrets rotate {name}` renews it."
        )
    raise UsageError(f"There is no secret {name!r}.", advice=f"Known are {', '.join(_names(GIVEN))}.")


def find_generated(name: str) -> Generated:
    """Return a secret that can be rotated, by its name; underscores, as in the cluster's Secrets, do as well.

    Raises:
        UsageError: there is none of that name.
    """
    for secret in GENERATED:
        if name.replace("_", "-") == secret.name:
            return secret
    if name in _names(GIVEN):
        raise UsageError(
            f"{name} is yours, so its new value comes from you.",
            advice=f"Make a new one where it comes from, then `./stampchat secrets set {name}`.",
        )
    raise UsageError(f"There is no secret {name!r}.", advice=f"Known are {', '.join(_names(GENERATED))}.")


def _names(secrets: Sequence[Given | Generated]) -> list[str]:
    return [secret.name for secret in secrets]
