"""Lay the page out in a folder, for a service that runs on this machine."""

from __future__ import annotations

from pathlib import Path

from deployer.fetch.atomic import exclusive, replace_folder, staging
from deployer.report import Report
from deployer.web.build import build_page
from deployer.web.modules import fetch_modules


def publish_page(web: Path, folder: Path, *, cache: Path, report: Report) -> None:
    """Build the page and put it in the place of the last one, whole or not at all.

    Args:
        web: the folder with its sources.
        folder: where it goes.
        cache: our cache folder.
        report: where progress goes.

    Raises:
        DeployError: its npm packages cannot be had, or its modules do not fit together.
    """
    files = build_page(web, fetch_modules(web, cache=cache, report=report))
    with exclusive(folder), staging(folder) as fresh:
        (fresh / "page").mkdir()
        for name, content in files.items():
            (fresh / "page" / name).write_bytes(content)
        replace_folder(fresh / "page", folder)
