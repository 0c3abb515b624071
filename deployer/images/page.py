"""Make the layer of the web page in the services' image."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from deployer.oci import Entry
from deployer.report import Report
from deployer.web import build_page, fetch_modules

# infra.catalogue says the same, and a test compares the two.
FOLDER = "app/web"


def read_page(web: Path, *, cache: Path, report: Report) -> dict[str, bytes]:
    """Return the page's files; the same sources and lock make the same bytes on any machine.

    Args:
        web: the folder with its sources.
        cache: our cache folder.
        report: where progress goes.

    Raises:
        DeployError: its npm packages cannot be had, or its modules do not fit together.
    """
    return build_page(web, fetch_modules(web, cache=cache, report=report))


def page_entries(files: Mapping[str, bytes]) -> Iterable[Entry]:
    """Return the files in /app/web.

    Args:
        files: what read_page returned.
    """
    return [Entry(f"{FOLDER}/{name}", source=content) for name, content in files.items()]
