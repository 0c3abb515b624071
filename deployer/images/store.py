"""Keep layers in the cache, each under a key of what it was made from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from deployer.fetch.atomic import exclusive
from deployer.fetch.seal import is_intact, seal
from deployer.files import write_whole
from deployer.oci import Entry, Layer, write_layer


@dataclass(frozen=True)
class LayerStore:
    """Make each layer once.

    Attributes:
        folder: holds NAME-KEY.tar.gz and, written last, NAME-KEY.json with its digest and size.
    """

    folder: Path

    def layer(self, name: str, key: str, build: Callable[[], Iterable[Entry]]) -> Layer:
        """Return the layer of this key, made now if it never was.

        Args:
            name: what it is, for people who look into the folder.
            key: of everything that it is made from (see key_of).
            build: returns its entries; called only if the layer is not there.
        """
        path, record = self._places(name, key)
        kept = _load(record, path)
        if kept is not None:
            return kept
        with exclusive(path):
            kept = _load(record, path)  # another clone may have made it while we waited
            if kept is None:
                kept = write_layer(path, build(), compress=True)
                seal(path)
                _save(record, kept)
        return kept

    def find(self, name: str, key: str) -> Layer | None:
        """Return the layer of this key, or None if it was never made.

        Args:
            name: what it is.
            key: of everything that it is made from.
        """
        path, record = self._places(name, key)
        return _load(record, path)

    def _places(self, name: str, key: str) -> tuple[Path, Path]:
        return self.folder / f"{name}-{key}.tar.gz", self.folder / f"{name}-{key}.json"


def key_of(*parts: object) -> str:
    """Return a short digest of what a layer is made from.

    Args:
        parts: JSON values, or bytes.
    """
    digest = hashlib.sha256()
    for part in parts:
        content = part if isinstance(part, bytes) else json.dumps(part, sort_keys=True).encode()
        digest.update(b"%d:" % len(content))
        digest.update(content)
    return digest.hexdigest()[:16]


def _load(record: Path, path: Path) -> Layer | None:
    """Return the layer if its record is there and its tar is as it was written."""
    try:
        layer = Layer(path=path, **json.loads(record.read_text(encoding="utf-8")))
        return layer if path.stat().st_size == layer.size and is_intact(path) else None
    except (OSError, ValueError, TypeError):
        return None


def _save(record: Path, layer: Layer) -> None:
    said = {name: value for name, value in vars(layer).items() if name != "path"}
    write_whole(record, json.dumps(said))
