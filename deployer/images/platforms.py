"""Read platforms as people and registries write them."""

from __future__ import annotations

from collections.abc import Sequence

from deployer.errors import UsageError
from deployer.images.packages import ARCHITECTURES
from deployer.versions import machine_arch


def parse_platforms(platforms: Sequence[str]) -> list[str]:
    """Return the processors, in Go's words and in order.

    Args:
        platforms: "linux/amd64", several with commas between them, or none for this machine's.

    Raises:
        UsageError: one of them is none that images are made for.
    """
    words = [word.strip() for text in platforms for word in text.split(",") if word.strip()]
    known = {f"linux/{arch}": arch for arch in ARCHITECTURES}
    wrong = [word for word in words if word not in known]
    if wrong:
        raise UsageError(
            f"No image can be made for {', '.join(wrong)}.",
            advice=f"Name one or several of {', '.join(known)}, with commas between them.",
        )
    return sorted({known[word] for word in words}) or [machine_arch()]
