"""Add to a preview's report how the change came up on the runner, beside the base: python3 gather.py FOLDER.

The folder holds dev.json (`preview --json`), and of the base and of the change what `up --json` and
`images build --json` printed; what is missing was not reached, and that is said too.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def main(folder: Path) -> None:
    """Write the facts into dev.json."""
    report = load(folder / "dev.json") or {"stack": "dev", "error": "The preview was not reached."}
    base, up = load(folder / "base-up.json"), load(folder / "up.json")
    smoke = load(folder / "smoke.json")
    facts = [describe_up(up, base), describe_smoke(smoke)]
    facts += describe_images(load(folder / "images.json"), load(folder / "base-images.json"))
    report["facts"] = facts
    (folder / "dev.json").write_text(json.dumps(report), encoding="utf-8")


def load(path: Path) -> dict[str, Any]:
    """Read a JSON object; nothing where there is none."""
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return loaded if isinstance(loaded, dict) else {}


def seconds(up: dict[str, Any]) -> float:
    """Add up the steps that depend on the change: those before it depend on the cache."""
    return sum(float(step["seconds"]) for step in up.get("steps", []) if step["step"] in {"preview", "update", "ready"})


def describe_up(up: dict[str, Any], base: dict[str, Any]) -> str:
    """Say whether the change came up, and how long its update took."""
    if not up:
        return "The change did not come up on the runner: see the log of the job dev."
    counts = ", ".join(f"{count} {op}" for op, count in sorted(up.get("changes", {}).items()) if op != "same")
    first = f" (the base, from nothing: {seconds(base):.0f} s)" if base else ""
    return f"On the runner the base was updated to this change in {seconds(up):.0f} s: {counts or 'nothing'}{first}."


def describe_smoke(smoke: dict[str, Any]) -> str:
    """Say whether two people could chat."""
    if not smoke:
        return "Nobody chatted on it: the checks were not reached."
    checks = smoke.get("checks", [])
    return (
        f"Two people chatted on it: {len(checks)} checks, {'all passed' if smoke.get('passed') else 'NOT all passed'}."
    )


def describe_images(images: dict[str, Any], base: dict[str, Any]) -> list[str]:
    """Say how large each image is, and how that differs."""
    if not images:
        return []
    sizes = [
        f"{name} {image['size'] / 1e6:.1f} MB ({(image['size'] - base.get(name, image)['size']) / 1e6:+.1f})"
        for name, image in sorted(images.items())
    ]
    return [f"Images: {', '.join(sizes)}."]


if __name__ == "__main__":
    main(Path(sys.argv[1]))
