"""Build the web page for `local`: at the start, and whenever web/ has changed."""

from __future__ import annotations

from deployer.errors import DeployError
from deployer.local.console import Console
from deployer.local.layout import Layout
from deployer.report import Silent
from deployer.web import publish_page

_NONE = """\
<!doctype html><title>StampChat</title>
<p>The page could not be built; the window of <code>local</code> says why. Everything else is served.
"""


def publish(layout: Layout, console: Console) -> bool:
    """Build the page, and tell whether that went well; what cannot be built stops nothing else.

    Args:
        layout: where its sources are, and where it goes.
        console: where a failure is told.
    """
    try:
        publish_page(layout.root / "web", layout.page, cache=layout.cache, report=Silent())
    except DeployError as error:
        console.tell(f"the page is not built: {error}", level="error")
        if not layout.page.is_dir():
            layout.page.mkdir(parents=True)
            (layout.page / "index.html").write_text(_NONE, encoding="utf-8")
        return False
    return True
