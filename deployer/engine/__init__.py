"""A Pulumi engine, wherever we are: found, downloaded or built."""

from __future__ import annotations

from deployer.engine.acquire import Engine, ensure_engine

__all__ = ["Engine", "ensure_engine"]
