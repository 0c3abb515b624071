"""A Pulumi engine, wherever we are: found, downloaded or built."""

from __future__ import annotations

from deployer.engine.acquire import Engine, ensure_engine, is_engine_at_hand

__all__ = ["Engine", "ensure_engine", "is_engine_at_hand"]
