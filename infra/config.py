"""Know what a stack's config may say, and turn it into one frozen value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from infra.bus import BusConfig, bus_url_problems, describe_bus_url, read_bus
from infra.collector import read_collector
from infra.connections import connection_problems
from infra.database_url import DatabaseAddress, database_url_problems, parse_database_url
from infra.errors import ConfigError
from infra.hosted import DATABASE_URL_KEYS, MIGRATE_URL_KEYS, AcmeConfig, HostedConfig, read_hosted
from infra.images import image_problems
from infra.legacy_tokens import LegacyConfig, legacy_secret_problem, read_legacy_tokens
from infra.observability.config import ObservabilityConfig, read_observability
from infra.pull_secret import pull_secret_hosts, pull_secret_problems
from infra.service_account import service_account_problems, service_account_project
from infra.token_keys import public_key
from infra.values import SecretText, Values, foreign_problem, split_keys
from infra.web import WebConfig, read_web

__all__ = [
    "DATABASE_URL_KEYS",
    "GROUNDS",
    "MIGRATE_URL_KEYS",
    "AcmeConfig",
    "BusConfig",
    "ClusterConfig",
    "ConfigError",
    "DatabaseAddress",
    "GatewayConfig",
    "HostedConfig",
    "LegacyConfig",
    "ObservabilityConfig",
    "SecretText",
    "StackConfig",
    "bus_url_problems",
    "database_url_problems",
    "describe_bus_url",
    "image_problems",
    "inspect_stack",
    "legacy_secret_problem",
    "parse_database_url",
    "public_key",
    "pull_secret_hosts",
    "pull_secret_problems",
    "service_account_problems",
    "service_account_project",
    "validate_stack",
]

Place = Literal["dev", "prod"]
GatewayKind = Literal["gateway-api", "ambassador"]
Push = Literal["off", "fcm"]
LogLevel = Literal["debug", "info", "warning", "error"]

# What can make the cluster of stack dev; the command line reads it, the program takes the cluster that it is given.
GROUNDS = ("embedded", "kind", "k3d")

DEFAULT_URL = "http://127.0.0.1:8080"
# Where the embedded cluster's commands put them, seen from the checkout.
DEFAULT_KUBECONFIG = ".stampchat/cluster/kubeconfig"
DEFAULT_IMAGES_FILE = ".stampchat/images.json"
# The embedded cluster's forwarder tells the client's address. It runs on the node, whose own connections reach a Pod
# from the Pod network's first address; no Pod can have that one.
DEFAULT_FORWARDER = "10.244.0.1/32"
# Connections that one pod of a service may open. In prod ten pods and the one more of a rolling update fit a database
# of the usual hundred connections, chat's with its one besides, on which it hears the others.
DEFAULT_POOL = {"dev": 10, "prod": 7}


@dataclass(frozen=True)
class ClusterConfig:
    """Name the cluster; nothing is ever deployed to whatever context happens to be current.

    Attributes:
        kubeconfig: a path, relative to the checkout or absolute; None reads KUBECONFIG or ~/.kube/config.
        context: a context in it; None is the only one of a file that our own cluster wrote.
    """

    kubeconfig: str | None
    context: str | None


@dataclass(frozen=True)
class GatewayConfig:
    """Say how requests enter the cluster.

    Attributes:
        kind: Gateway API on a Traefik of ours, or an Emissary-ingress (Ambassador) that the cluster has.
        node_port: where the node listens, in dev.
        proxy_protocol_from: networks whose PROXY header is believed.
        ambassador_namespace: where Emissary's pods run.
    """

    kind: GatewayKind
    node_port: int
    proxy_protocol_from: tuple[str, ...]
    ambassador_namespace: str


@dataclass(frozen=True)
class StackConfig:
    """Hold everything that a program reads from a stack's config.

    Attributes:
        place: what kind of deployment this is.
        url: where clients reach it.
        cluster: which cluster it goes to.
        images_file: the file of image references that a build or a push wrote.
        login: how users log in: dev, google.
        push: whether pushes go out, and through what.
        firebase_project_id: the project that signs users in, or nothing.
        firebase_service_account: the key file that pushes are sent with, or None.
        allowed_origins: web origins that may open a websocket; apps send none.
        log_level: of the three services.
        replicas: pods per service; the least that an autoscaler keeps in prod.
        max_replicas: the most that an autoscaler adds.
        database_pool_size: connections that one pod of a service may open.
        bus: how the chat's pods tell each other.
        otlp_endpoint: the collector that traces go to, or nothing.
        signing_keys: generations of the token key; the last one signs, all of them verify.
        internal_credentials: generations of the services' credential; the last one is shown, all of them are taken.
        secret_key_base: the generation of chat's own key.
        legacy_tokens: what the tokens of the system before ours are signed with, while they are accepted.
        gateway: how requests enter.
        observability: who watches.
        web: the web page, or None where it is off.
        hosted: what only prod has, else None.
    """

    place: Place
    url: str
    cluster: ClusterConfig
    images_file: str
    login: tuple[str, ...]
    push: Push
    firebase_project_id: str
    firebase_service_account: SecretText | None
    allowed_origins: tuple[str, ...]
    log_level: LogLevel
    replicas: int
    max_replicas: int
    database_pool_size: int
    bus: BusConfig
    otlp_endpoint: str
    signing_keys: tuple[int, ...]
    internal_credentials: tuple[int, ...]
    secret_key_base: int
    legacy_tokens: LegacyConfig | None
    gateway: GatewayConfig
    observability: ObservabilityConfig
    web: WebConfig | None
    hosted: HostedConfig | None


def validate_stack(values: Mapping[str, object]) -> StackConfig:
    """Turn a stack's config into one frozen value; a pure function over what a stack file or the engine gives.

    Args:
        values: the `config` mapping of Pulumi.STACK.yaml, encrypted secrets and all, or the engine's own strings.

    Raises:
        ConfigError: with every problem, each with its key's path.
    """
    config, problems = inspect_stack(values)
    if problems:
        raise ConfigError(problems)
    return config


def inspect_stack(values: Mapping[str, object]) -> tuple[StackConfig, list[str]]:
    """Read a stack's config and list what is wrong with it; a wrong value has a stand-in, so that others can be judged.

    Args:
        values: as `validate_stack` takes them.
    """
    own, foreign = split_keys(values)
    reader = Values(own)
    reader.problems += [foreign_problem(key) for key in foreign]
    place: Place = reader.choice("place", ("dev", "prod"))
    hosted = read_hosted(reader) if place == "prod" else None
    login = _read_login(reader, place)
    push: Push = reader.choice("push", ("off", "fcm"), "off")
    project = reader.text("firebaseProjectId") if "google" in login else ""
    replicas = reader.integer("replicas", 1 if place == "dev" else 3, least=1 if place == "dev" else 2, most=100)
    config = StackConfig(
        place=place,
        url=_read_url(reader) if hosted is None else f"https://{hosted.hostname}",
        cluster=_read_cluster(reader, place),
        images_file=reader.text("imagesFile", DEFAULT_IMAGES_FILE),
        login=login,
        push=push,
        firebase_project_id=project,
        firebase_service_account=reader.secret("firebaseServiceAccount") if push == "fcm" else None,
        allowed_origins=reader.words("allowedOrigins"),
        log_level=reader.choice("logLevel", ("debug", "info", "warning", "error"), "info"),
        replicas=replicas,
        max_replicas=reader.integer("maxReplicas", max(10, replicas), least=replicas, most=1000),
        database_pool_size=reader.integer("databasePoolSize", DEFAULT_POOL[place], least=1, most=1000),
        bus=read_bus(
            reader, one_pod=hosted is None and replicas == 1, authority=None if hosted is None else hosted.database_ca
        ),
        otlp_endpoint=read_collector(reader),
        signing_keys=reader.numbers("signingKeys", (1,)),
        internal_credentials=reader.numbers("internalCredentials", (1,)),
        secret_key_base=reader.numbers("secretKeyBases", (1,))[-1],
        legacy_tokens=read_legacy_tokens(reader),
        gateway=_read_gateway(reader, place),
        observability=read_observability(reader),
        web=read_web(reader, default=place == "dev", login=login, project=project),
        hosted=hosted,
    )
    _check_firebase(reader, config)
    _check_connections(reader, config)
    # For people and `secrets check`: on which day each secret was set.
    reader.nested("secretsSince")
    reader.reject_unread(f"is not a key that stack place {place} knows")
    return config, reader.problems


def _read_cluster(reader: Values, place: Place) -> ClusterConfig:
    named = reader.has("context")
    if place == "prod" and not named:
        reader.problem("context", "is not set; name the context of the cluster in your kubeconfig")
    if place == "dev" and reader.choice("cluster", GROUNDS, GROUNDS[0]) != GROUNDS[0] and named:
        reader.problem("cluster", "and stampchat:context each name a cluster; leave one of them away")
    context = reader.text("context", "") if named else None
    kubeconfig = reader.text("kubeconfig", "") or (DEFAULT_KUBECONFIG if place == "dev" and not named else None)
    return ClusterConfig(kubeconfig=kubeconfig, context=context)


def _read_login(reader: Values, place: Place) -> tuple[str, ...]:
    login = reader.words("login", ("dev",) if place == "dev" else ("google",))
    for way in login:
        if way not in ("dev", "google"):
            reader.problem("login", f"holds {way!r}, not one of dev, google")
    if not login:
        reader.problem("login", "is empty, so nobody could log in")
    if place == "prod" and "dev" in login:
        reader.problem("login", "holds dev, which lets anybody be anybody; stack prod refuses it")
    return login


def _read_url(reader: Values) -> str:
    url = reader.text("url", DEFAULT_URL)
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/"):
        reader.problem("url", f"is {url!r}, not an address such as {DEFAULT_URL}")
    return url.rstrip("/")


def _read_gateway(reader: Values, place: Place) -> GatewayConfig:
    nested = reader.nested("gateway")
    kinds: tuple[GatewayKind, ...] = ("gateway-api",) if place == "dev" else ("ambassador", "gateway-api")
    gateway = GatewayConfig(
        kind=nested.choice("kind", kinds, kinds[0]),
        node_port=nested.integer("nodePort", 30080, least=30000, most=32767),
        proxy_protocol_from=nested.words("proxyProtocolFrom", (DEFAULT_FORWARDER,) if place == "dev" else ()),
        ambassador_namespace=nested.text("ambassadorNamespace", "emissary"),
    )
    nested.reject_unread()
    return gateway


def _check_firebase(reader: Values, config: StackConfig) -> None:
    secret = config.firebase_service_account
    if secret is None or secret.sealed:
        return
    for problem in service_account_problems(secret.reveal(), config.firebase_project_id):
        reader.problem("firebaseServiceAccount", problem)


def _check_connections(reader: Values, config: StackConfig) -> None:
    if config.hosted is None:
        return
    # An autoscaler's most, and the one pod more that a rolling update starts first.
    pods = config.max_replicas + 1
    databases, bus = config.hosted.databases, config.bus
    listening = None if bus.kind != "postgres" else bus.url or databases["chat"]
    for problem in connection_problems(
        databases, config.database_pool_size, pods, config.hosted.max_connections, listening=listening
    ):
        reader.problem("databasePoolSize", problem)
