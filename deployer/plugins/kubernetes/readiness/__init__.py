"""Wait until an object is what was asked for, and find the reason when it is not."""

from deployer.plugins.kubernetes.readiness.deletion import wait_gone
from deployer.plugins.kubernetes.readiness.waiting import wait_ready

__all__ = ["wait_gone", "wait_ready"]
