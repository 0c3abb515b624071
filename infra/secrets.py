"""Generate what nobody should choose, and hand everything secret to the cluster under the original's names and keys."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

import pulumi
import pulumi_random as random

from infra.builders.labels import labels
from infra.builders.objects import opaque_secret
from infra.catalogue import (
    APPLICATIONS,
    AUTH,
    CHAT,
    DATABASE_NAME,
    DATABASE_USER,
    FIREBASE_SECRET,
    INTERNAL_SECRET,
    LEGACY_SECRET,
    NAMESPACE,
    POSTGRES_PORT,
    TOKEN_KEYS,
    Application,
)
from infra.checksum import checksum
from infra.component import Component
from infra.config import StackConfig
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

    checksums: Mapping[str, pulumi.Output[str]]

    def __init__(self, name: str, config: StackConfig, opts: pulumi.ResourceOptions) -> None:
        super().__init__("Secrets", name, opts)
        self._rollout_key = self._generate("rollout-key")
        private_keys = [self._generate(f"private-key-{generation}") for generation in config.signing_keys]
        values = self._application_values(config)
        values[AUTH.secret]["private_key"] = private_keys[-1]
        values[CHAT.secret]["secret_key_base"] = self._generate(_generation("secret-key-base", config.secret_key_base))
        credentials = [self._generate(_generation("internal-credential", n)) for n in config.internal_credentials]
        # The newest comes first: a service shows the first line and takes any.
        values[INTERNAL_SECRET] = {"credential": pulumi.Output.all(*reversed(credentials)).apply("\n".join)}
        if config.firebase_service_account is not None:
            account = pulumi.Output.secret(config.firebase_service_account.reveal())
            values[FIREBASE_SECRET] = {"firebase_service_account": account}
        if config.legacy_tokens is not None:
            old = pulumi.Output.secret(config.legacy_tokens.secret.reveal())
            values[LEGACY_SECRET] = {"legacy_token_secret": old}
        for secret, content in values.items():
            self.place(opaque_secret(secret, NAMESPACE, content))
        public = pulumi.Output.unsecret(pulumi.Output.all(*private_keys).apply(token_keys))
        self._place_token_keys(public)
        self.checksums = {
            **{secret: self._checksum(content) for secret, content in values.items()},
            TOKEN_KEYS: self._checksum(public),
        }
        self.register_outputs({})

    def _application_values(self, config: StackConfig) -> dict[str, dict[str, SecretValue]]:
        """Find each service's database: a hosted one by its address, one of ours by a password that we generate."""
        values: dict[str, dict[str, SecretValue]] = {}
        for application in APPLICATIONS:
            if config.hosted is not None:
                url = pulumi.Output.secret(config.hosted.databases[application.key].reveal())
            else:
                password = self._generate(application.database_secret)
                values[application.database_secret] = {"password": password}
                url = database_url(application, password)
            values[application.secret] = {"database_url": url}
        return values

    def _generate(self, name: str) -> SecretValue:
        generated = random.RandomPassword(name, length=LENGTH, special=False, opts=self.child())
        # The provider says that it is secret; were it ever not to, ours must not be the deployment that shows it.
        return pulumi.Output.secret(generated.result)

    def _place_token_keys(self, data: pulumi.Output[dict[str, str]]) -> None:
        metadata = {"name": TOKEN_KEYS, "namespace": NAMESPACE, "labels": labels(TOKEN_KEYS, "secret")}
        self.place({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})

    def _checksum(self, values: pulumi.Input[Mapping[str, pulumi.Input[str]]]) -> pulumi.Output[str]:
        keyed = pulumi.Output.all(key=self._rollout_key, values=values)
        return pulumi.Output.unsecret(keyed.apply(lambda both: checksum(both["key"], both["values"])))


def _generation(name: str, generation: int) -> str:
    """Name a generation's resource; the first keeps the name that it had before there were any others."""
    return name if generation == 1 else f"{name}-{generation}"


def database_url(application: Application, password: SecretValue) -> SecretValue:
    """Compose the address of a database of ours; the password makes it a secret too."""
    # Within the cluster, between two pods that a NetworkPolicy joins, and the server has no certificate.
    place = f"{application.database}:{POSTGRES_PORT}/{DATABASE_NAME}?sslmode=disable"
    return pulumi.Output.secret(
        password.apply(lambda word: f"postgresql://{DATABASE_USER}:{quote(word, safe='')}@{place}")
    )
