"""Generate what nobody should choose, and hand everything secret to the cluster under the original's names and keys."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

import pulumi
import pulumi_random as random

from infra.builders.labels import labels
from infra.builders.objects import opaque_secret, registry_secret
from infra.catalogue import (
    APPLICATIONS,
    AUTH,
    BUS_SECRET,
    CHAT,
    DATABASE_CA,
    DATABASE_CA_FILE,
    DATABASE_NAME,
    DATABASE_USER,
    FIREBASE_SECRET,
    INTERNAL_SECRET,
    LEGACY_SECRET,
    NAMESPACE,
    POSTGRES_PORT,
    PULL_SECRET,
    TOKEN_KEYS,
    Application,
)
from infra.checksum import checksum
from infra.component import Component
from infra.config import HostedConfig, SecretText, StackConfig
from infra.token_keys import token_keys

# 64 letters and digits carry 381 bits, and need no quoting in an address, a file or a shell.
LENGTH = 64

SecretValue = pulumi.Output[str]


class Secrets(Component):
    """Make the Secrets and the ConfigMap of public token keys.

    Secrets keep their names when they change: pods roll by the checksum in their template, and the old pods' mounts
    stay whole meanwhile. (Names with a suffix would leave those who read the original's names with nothing.)

    Attributes:
        checksums: one for each Secret and ConfigMap, for the pods that mount it.
    """

    checksums: dict[str, pulumi.Output[str]]

    def __init__(self, name: str, config: StackConfig, opts: pulumi.ResourceOptions) -> None:
        super().__init__("Secrets", name, opts)
        self._rollout_key = self._generate("rollout-key")
        private_keys = self._signing_keys(config)
        values = self._application_values(config)
        values[AUTH.secret]["private_key"] = private_keys[-1]
        values[CHAT.secret]["secret_key_base"] = self._secret_key_base(config)
        credentials = [self._generate(_generation("internal-credential", n)) for n in config.internal_credentials]
        # The newest comes first: a service shows the first line and takes any.
        values[INTERNAL_SECRET] = {"credential": pulumi.Output.all(*reversed(credentials)).apply("\n".join)}
        if config.firebase_service_account is not None:
            account = pulumi.Output.secret(config.firebase_service_account.reveal())
            values[FIREBASE_SECRET] = {"firebase_service_account": account}
        if config.legacy_tokens is not None:
            old = pulumi.Output.secret(config.legacy_tokens.secret.reveal())
            values[LEGACY_SECRET] = {"legacy_token_secret": old}
        if config.bus.url is not None:
            values[BUS_SECRET] = {"url": _bus_url(config, config.bus.url)}
        if config.hosted is not None and config.hosted.image_pull_secret is not None:
            # The kubelet reads it at each pull, so a new one needs no new pods.
            shown = pulumi.Output.secret(config.hosted.image_pull_secret.reveal())
            self.place(registry_secret(PULL_SECRET, NAMESPACE, shown))
        for secret, content in values.items():
            self.place(opaque_secret(secret, NAMESPACE, content))
        public = pulumi.Output.unsecret(pulumi.Output.all(*private_keys).apply(token_keys))
        self._place_config_map(TOKEN_KEYS, public)
        self.checksums = {
            **{secret: self._checksum(content) for secret, content in values.items()},
            TOKEN_KEYS: self._checksum(public),
        }
        if config.hosted is not None and config.hosted.database_ca:
            authority = {DATABASE_CA_FILE.rpartition("/")[2]: config.hosted.database_ca}
            self._place_config_map(DATABASE_CA, authority)
            self.checksums[DATABASE_CA] = self._checksum(authority)
        self.register_outputs({})

    def _application_values(self, config: StackConfig) -> dict[str, dict[str, SecretValue]]:
        """Find each service's database: a hosted one by its address, one of ours by a password that we generate."""
        values: dict[str, dict[str, SecretValue]] = {}
        for application in APPLICATIONS:
            if config.hosted is not None:
                hosted = config.hosted
                url = _hosted_url(hosted, hosted.databases[application.key])
                if application.key in hosted.migrate_databases:
                    migrating = _hosted_url(hosted, hosted.migrate_databases[application.key])
                    values[application.migrate_secret] = {"database_url": migrating}
            else:
                password = self._generate(application.database_secret)
                values[application.database_secret] = {"password": password}
                url = database_url(application, password)
            values[application.secret] = {"database_url": url}
        return values

    def _signing_keys(self, config: StackConfig) -> list[SecretValue]:
        """Generate the token keys; without the one that signs, everybody would be logged out, so prod protects it.

        The older ones of a rotation are there to be dropped.
        """
        newest = config.signing_keys[-1]
        return [
            self._generate(f"private-key-{number}", protect=config.hosted is not None and number == newest)
            for number in config.signing_keys
        ]

    def _secret_key_base(self, config: StackConfig) -> SecretValue:
        """Generate chat's own key, protected in prod, and keep the one before it until the next rotation.

        The engine refuses to delete what its state calls protected, so a key has to lose that first.
        """
        number = config.secret_key_base
        if config.hosted is not None and number > 1:
            self._generate(_generation("secret-key-base", number - 1))
        return self._generate(_generation("secret-key-base", number), protect=config.hosted is not None)

    def _generate(self, name: str, *, protect: bool = False) -> SecretValue:
        generated = random.RandomPassword(name, length=LENGTH, special=False, opts=self.child(protect=protect))
        # The provider says that it is secret; were it ever not to, ours must not be the deployment that shows it.
        return pulumi.Output.secret(generated.result)

    def _place_config_map(self, name: str, data: pulumi.Input[dict[str, str]]) -> None:
        metadata = {"name": name, "namespace": NAMESPACE, "labels": labels(name, "secret")}
        self.place({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})

    def _checksum(self, values: pulumi.Input[Mapping[str, pulumi.Input[str]]]) -> pulumi.Output[str]:
        keyed = pulumi.Output.all(key=self._rollout_key, values=values)
        return pulumi.Output.unsecret(keyed.apply(lambda both: checksum(both["key"], both["values"])))


def _generation(name: str, generation: int) -> str:
    """Name a generation's resource; the first keeps the name that it had before there were any others."""
    return name if generation == 1 else f"{name}-{generation}"


def _hosted_url(hosted: HostedConfig, url: SecretText) -> SecretValue:
    """Add the authority that signed the server's certificate, where that is one of the user's own."""
    text = url.reveal()
    if hosted.database_ca and "sslrootcert=" not in text:
        text = f"{text}&sslrootcert={DATABASE_CA_FILE}"
    return pulumi.Output.secret(text)


def _bus_url(config: StackConfig, url: SecretText) -> SecretValue:
    if config.bus.kind == "postgres" and config.hosted is not None:
        return _hosted_url(config.hosted, url)
    return pulumi.Output.secret(url.reveal())


def database_url(application: Application, password: SecretValue) -> SecretValue:
    """Compose the address of a database of ours; the password makes it a secret too."""
    # Within the cluster, between two pods that a NetworkPolicy joins, and the server has no certificate.
    place = f"{application.database}:{POSTGRES_PORT}/{DATABASE_NAME}?sslmode=disable"
    return pulumi.Output.secret(
        password.apply(lambda word: f"postgresql://{DATABASE_USER}:{quote(word, safe='')}@{place}")
    )
