"""Read a stack's config value by value, and remember what is wrong with each."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from typing import TypeVar

NAMESPACE = "stampchat"

# How alike a misspelt key has to be for another to be offered: hostnme is, port is not.
_ALIKE = 0.7
_DNS_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_Word = TypeVar("_Word", bound=str)


class SecretText:
    """Hold a secret config value that must not be printed.

    Args:
        value: the value, or None while it stands encrypted in a stack file.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str | None) -> None:
        self._value = value

    @property
    def sealed(self) -> bool:
        """Tell whether the value is still encrypted, so that only its presence can be checked."""
        return self._value is None

    def reveal(self) -> str:
        """Return the value itself.

        Raises:
            ValueError: it is still encrypted.
        """
        if self._value is None:
            raise ValueError("This config value is still encrypted.")
        return self._value

    def __repr__(self) -> str:
        return "SecretText('**********')"


class Values:
    """Read one key after another out of a mapping; a problem yields a stand-in, so that the report is whole.

    Args:
        values: the keys without their namespace, as a stack file or the engine gives them.
        path: what stands before a key in a problem, such as "stampchat:" or "stampchat:gateway.".
        problems: where problems are added; a nested mapping shares its parent's list.
    """

    def __init__(
        self, values: Mapping[str, object], path: str = f"{NAMESPACE}:", problems: list[str] | None = None
    ) -> None:
        self._values = values
        self._path = path
        self._read: set[str] = set()
        self.problems: list[str] = [] if problems is None else problems

    def problem(self, key: str, what: str) -> None:
        """Remember that a key is not usable."""
        self.problems.append(f"{self._path}{key} {what}" + ("" if what.endswith("?") else "."))

    def has(self, key: str) -> bool:
        """Tell whether a key is set, without reading it."""
        return self._values.get(key) is not None

    def text(self, key: str, default: str | None = None) -> str:
        """Return a string; without a default it has to be set."""
        value = self._take(key)
        if value is None:
            if default is None:
                self.problem(key, "is not set")
            return default or ""
        # A YAML reader of the 1.1 kind takes a bare off or no for a boolean; the engine's own does not.
        if value is False:
            return "off"
        if not isinstance(value, str) or not value.strip():
            self.problem(key, "is not a word")
            return default or ""
        return value.strip()

    def choice(self, key: str, allowed: tuple[_Word, ...], default: _Word | None = None) -> _Word:
        """Return one word out of a closed set."""
        value = self.text(key, default)
        for word in allowed:
            if value == word:
                return word
        if value:
            self.problem(key, f"is {value!r}, not one of {', '.join(allowed)}")
        return default or allowed[0]

    def integer(self, key: str, default: int, *, least: int, most: int) -> int:
        """Return a whole number within its limits."""
        value = self._take(key)
        if value is None:
            return default
        if isinstance(value, str) and re.fullmatch(r"-?\d{1,9}", value):
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool):
            self.problem(key, f"is {value!r}, not a whole number")
            return default
        if not least <= value <= most:
            self.problem(key, f"is {value}, not between {least} and {most}")
            return default
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        """Return true or false."""
        value = self._take(key)
        if value is None:
            return default
        if value in (True, "true"):
            return True
        if value in (False, "false"):
            return False
        self.problem(key, f"is {value!r}, not true or false")
        return default

    def words(self, key: str, default: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return a list of distinct words."""
        items = [str(item) if isinstance(item, str | int) else "" for item in self._list(key, default)]
        if any(not item.strip() for item in items) or len(set(items)) != len(items):
            self.problem(key, "is not a list of distinct words")
            return default
        return tuple(items)

    def numbers(self, key: str, default: tuple[int, ...]) -> tuple[int, ...]:
        """Return a list of distinct whole numbers from one up."""
        items = self._list(key, default)
        numbers = tuple(item for item in items if isinstance(item, int) and not isinstance(item, bool) and item > 0)
        if not numbers or len(set(numbers)) != len(items):
            self.problem(key, "is not a list of distinct whole numbers from 1 up")
            return default
        return numbers

    def host_name(self, key: str) -> str:
        """Return a DNS name that a certificate can be had for."""
        value = self.text(key)
        labels = value.split(".")
        least_labels = 2
        if value and not (len(labels) >= least_labels and all(_DNS_LABEL.fullmatch(label) for label in labels)):
            self.problem(key, f"is {value!r}, not a DNS name in lower case such as chat.your-domain.org")
        return value

    def secret(self, key: str) -> SecretText:
        """Return a secret, encrypted or not; it has to be set."""
        value = self._take(key)
        if isinstance(value, Mapping) and isinstance(value.get("secure"), str):
            return SecretText(None)
        # The firebase account is JSON; the engine's reader may have handed it over parsed.
        if isinstance(value, Mapping) and value:
            return SecretText(json.dumps(value))
        if isinstance(value, str) and value.strip():
            return SecretText(value.strip())
        self.problem(key, "is not set" if value is None else "is not text")
        return SecretText(None)

    def nested(self, key: str) -> Values:
        """Return the reader of a nested mapping; an absent one is empty."""
        value = self._take(key)
        if value is not None and not isinstance(value, Mapping):
            self.problem(key, "is not a mapping")
            value = None
        return Values(value or {}, f"{self._path}{key}.", self.problems)

    def mapping(self, key: str) -> dict[str, str]:
        """Return a mapping of words to words; an absent one is empty."""
        value = self._take(key)
        if value is None:
            return {}
        if not isinstance(value, Mapping) or not all(isinstance(item, str) for item in value.values()):
            self.problem(key, "is not a mapping of words to words")
            return {}
        return {str(name): str(item) for name, item in value.items()}

    def ignore(self, *keys: str) -> None:
        """Take keys for known whose values are of no use to us."""
        self._read.update(keys)

    def reject_unread(self, reason: str = "is not a key that this program knows") -> None:
        """Report every key that nothing has read: misspelt, or of another place."""
        for key in sorted(set(self._values) - self._read):
            # Only what is not set already can have been meant.
            free = sorted(name for name in self._read if not self.has(name))
            near = difflib.get_close_matches(key, free, n=1, cutoff=_ALIKE)
            self.problem(key, f"{reason}; did you mean {near[0]}?" if near else reason)

    def _take(self, key: str) -> object:
        self._read.add(key)
        value = self._values.get(key)
        # The engine hands over a structured value as JSON text, a stack file as the structure itself.
        if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
            try:
                return json.loads(value)
            except ValueError:
                return value
        return value

    def _list(self, key: str, default: tuple[object, ...]) -> list[object]:
        value = self._take(key)
        if value is None:
            return list(default)
        return value if isinstance(value, list) else [value]


def split_keys(values: Mapping[str, object]) -> tuple[dict[str, object], list[str]]:
    """Return our own keys without their namespace, and the names of those that are nobody's here.

    Args:
        values: the `config` mapping of a stack's file, or what the engine gives.
    """
    own: dict[str, object] = {}
    foreign = []
    for key, value in values.items():
        namespace, separator, name = key.rpartition(":")
        if namespace in (NAMESPACE, ""):
            own[name] = value
        # The engine's own settings, such as pulumi:tags, are its business.
        elif not separator or namespace != "pulumi":
            foreign.append(key)
    return own, foreign


def foreign_problem(key: str) -> str:
    """Say what is wrong with a key of another namespace than ours."""
    namespace, _, name = key.rpartition(":")
    near = difflib.get_close_matches(namespace, [NAMESPACE], cutoff=_ALIKE)
    hint = f"did you mean {NAMESPACE}:{name}?" if near else f"every key of ours starts with {NAMESPACE}:."
    return f"{key} is not a key that this program knows; {hint}"
