"""Carry all that `up` needs to a machine without a network, in one file."""

from __future__ import annotations

from deployer.bundle.pack import Packed, pack_bundle
from deployer.bundle.use import Used, use_bundle, use_what_is_named

__all__ = ["Packed", "Used", "pack_bundle", "use_bundle", "use_what_is_named"]
