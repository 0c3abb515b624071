"""Load Pulumi's protocol without loading all of Pulumi: a plugin starts in half the time."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

_PACKAGES = ("pulumi", "pulumi.runtime", "pulumi.runtime.proto")


def lighten() -> None:
    """Put bare packages in the place of Pulumi's own, whose imports cost 150 ms.

    Call it at the start of a plugin's process, before the first import of `pulumi.runtime.proto`,
    and never in a process that needs the SDK itself.
    """
    if "pulumi" in sys.modules:
        return
    spec = importlib.util.find_spec("pulumi")
    if spec is None or not spec.submodule_search_locations:
        return
    folder = Path(spec.submodule_search_locations[0]).parent
    for name in _PACKAGES:
        package = ModuleType(name)
        package.__path__ = [str(folder.joinpath(*name.split(".")))]
        sys.modules[name] = package
