"""Remember what could not be reached, so that not every run waits for it again."""

from __future__ import annotations

import json
import time
from pathlib import Path

from deployer.files import write_whole

_REMEMBER = 24 * 3600.0


def failed_lately(cache: Path, key: str) -> str | None:
    """Return why an attempt failed within the last day, or None when it is worth another try."""
    try:
        entry = _load(cache)[key]
        age = time.time() - float(entry["at"])
        reason = str(entry["reason"])
    except (LookupError, TypeError, ValueError):  # none, or a damaged one
        return None
    return reason if 0 <= age < _REMEMBER else None


def remember_failure(cache: Path, key: str, reason: str) -> None:
    """Note that an attempt failed just now."""
    entries = _load(cache) | {key: {"at": time.time(), "reason": reason}}
    path = _path(cache)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, json.dumps(entries, indent=1))


def _path(cache: Path) -> Path:
    return cache / "unreachable.json"


def _load(cache: Path) -> dict[str, dict[str, float | str]]:
    try:
        loaded = json.loads(_path(cache).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return loaded if isinstance(loaded, dict) else {}
