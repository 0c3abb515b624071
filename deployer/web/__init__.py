"""Make the page of web/ into files that can be served: named by what is in them, with the npm packages that it uses."""

from deployer.web.build import build_page
from deployer.web.modules import fetch_modules
from deployer.web.publish import publish_page

__all__ = ["build_page", "fetch_modules", "publish_page"]
