"""Stand in for the plugins that cannot be had: resource providers and the Python language host.

Light on purpose: each plugin's process imports this first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deployer.plugins.install import Plugins
    from deployer.report import Report
    from deployer.workspace import Workspace

__all__ = ["ensure_plugins"]


def ensure_plugins(workspace: Workspace, report: Report) -> Plugins:
    """Put the resource plugins and the language host in place; see `install.install_plugins`."""
    from deployer.plugins.install import install_plugins

    return install_plugins(workspace, report)
