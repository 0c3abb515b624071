"""Let the web pages of some origins call us from a browser (https://fetch.spec.whatwg.org/#http-cors-protocol)."""

from __future__ import annotations

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

METHODS = "GET, POST, PUT, PATCH, DELETE"
# Tokens travel in a header and never in a cookie, so credentials stay off.
HEADERS = "Authorization, Content-Type, X-Request-ID"
EXPOSED = "Retry-After, X-Request-ID"
PREFLIGHT_SECONDS = 600


def allow_origins(origins: frozenset[str]) -> Middleware:
    """Make the middleware; a page of any other origin gets no header of ours, and its browser keeps the answer.

    Args:
        origins: in lower case, such as https://chat.example.org.
    """

    @web.middleware
    async def allow(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get(hdrs.ORIGIN)
        if not origins or origin is None:
            return await handler(request)
        is_welcome = origin.lower() in origins
        if is_welcome and request.method == hdrs.METH_OPTIONS and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers:
            response: web.StreamResponse = web.Response(status=204)
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = METHODS
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = HEADERS
            response.headers[hdrs.ACCESS_CONTROL_MAX_AGE] = str(PREFLIGHT_SECONDS)
        else:
            response = await handler(request)
        if is_welcome and not response.prepared:
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
            response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = EXPOSED
        if not response.prepared:
            others = response.headers.get(hdrs.VARY)
            response.headers[hdrs.VARY] = f"{others}, {hdrs.ORIGIN}" if others else hdrs.ORIGIN
        return response

    return allow
