"""Watch a deployment from its services' own metrics, through the cluster's API: nothing has to be installed for it."""

from __future__ import annotations

from deployer.top.picture import Certificate, Database, Picture, Row
from deployer.top.watch import Watch, as_plain

__all__ = ["Certificate", "Database", "Picture", "Row", "Watch", "as_plain"]
