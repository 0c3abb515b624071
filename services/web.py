"""Make the two aiohttp applications of a service, and turn every failure into its JSON answer in one place."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

import msgspec
from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from services import errors
from services.cors import allow_origins
from services.health import Health
from services.logs import describe
from services.metrics import Metrics
from services.observe import MACHINE_PATHS, PUBLIC, find_route, observe
from services.rate_limits import RequestRates
from services.settings import Secret, ServerSettings
from services.tokens import Claims, Verifier

SERVER = web.AppKey("server", ServerSettings)
HEALTH = web.AppKey("health", Health)
METRICS = web.AppKey("metrics", Metrics)
VERIFIER = web.AppKey("verifier", Verifier)
CREDENTIAL = web.AppKey("credential", Secret)
OPENAPI = web.AppKey("openapi", dict[str, Any])
RATES = web.AppKey("rates", RequestRates)

FORWARDED_HEADER = "X-Forwarded-For"
# Postgres text holds no NUL; every column of the original's is varchar(255).
NO_NUL = r"\A[^\x00]*\Z"
Line = Annotated[str, msgspec.Meta(min_length=1, max_length=255, pattern=NO_NUL)]

STATUS: Mapping[type[errors.RequestError], int] = {
    errors.Malformed: 400,
    errors.NotAuthenticated: 401,
    errors.NotFound: 404,
    errors.NotAllowed: 405,
    errors.TooSlow: 408,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.Unsupported: 415,
    errors.Invalid: 422,
    errors.TooManyRequests: 429,
    errors.BadGateway: 502,
    errors.Unavailable: 503,
}
_READING = frozenset({hdrs.METH_GET, hdrs.METH_HEAD, hdrs.METH_OPTIONS})

T = TypeVar("T")
logger = logging.getLogger(__name__)


def create_public_app(
    *, server: ServerSettings, health: Health, metrics: Metrics, login_path: str = "", socket_path: str = ""
) -> web.Application:
    """Make the application that the gateway reaches; it serves the routes that its service adds and nothing else.

    Args:
        server: where it listens and what it accepts.
        health: what readiness reports.
        metrics: where answers are counted.
        login_path: the one call whose rate is bounded more tightly.
        socket_path: the one call whose rate is not bounded here, since sockets have limits of their own.
    """
    limit = _limit_addresses(login_path, socket_path)
    app = web.Application(
        middlewares=[
            observe(PUBLIC, metrics, client_address),
            allow_origins(server.allowed_origins),
            _answer_errors,
            limit,
        ],
        client_max_size=server.max_body_bytes,
    )
    app[SERVER], app[HEALTH], app[METRICS] = server, health, metrics
    app[RATES] = RequestRates(server.rates, metrics.count_limited)
    return app


def create_internal_app(
    *, server: ServerSettings, health: Health, metrics: Metrics, credential: Secret, openapi: dict[str, Any]
) -> web.Application:
    """Make the application for machines: health, metrics and the API's description are open, the rest asks who calls.

    Args:
        server: where it listens and what it accepts.
        health: what readiness reports.
        metrics: what is scraped.
        credential: what callers of every other route have to show.
        openapi: the description of the public port.
    """
    app = web.Application(
        middlewares=[observe("internal", metrics, client_address), _answer_errors, _require_credential],
        client_max_size=max(server.max_body_bytes, 1024 * 1024),
    )
    app[SERVER], app[HEALTH], app[METRICS] = server, health, metrics
    app[CREDENTIAL], app[OPENAPI] = credential, openapi
    app.router.add_get("/livez", _livez)
    app.router.add_get("/readyz", _readyz)
    app.router.add_get("/metrics", _metrics)
    app.router.add_get("/openapi.json", _openapi)
    return app


def json_response(data: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """Answer with JSON."""
    body = msgspec.json.encode(data)
    return web.Response(body=body, status=status, headers=headers, content_type="application/json", charset="utf-8")


def error_response(error: errors.RequestError) -> web.Response:
    """Answer with the one shape that errors have."""
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    headers: dict[str, str] = {}
    if error.retry_after is not None:
        headers[hdrs.RETRY_AFTER] = str(error.retry_after)
    if isinstance(error, errors.NotAuthenticated):
        headers[hdrs.WWW_AUTHENTICATE] = "Bearer"
    return json_response({"error": {"code": error.code, "message": error.message}}, status=status, headers=headers)


async def read_body(request: web.Request) -> bytes:
    """Read the body, within its limits of size and time.

    Raises:
        TooLarge: it is, or says that it will be, over the limit.
        TooSlow: it does not come.
        Unsupported: it is compressed; nothing of ours sends such a thing, and a few bytes can unpack to gigabytes.
    """
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").strip().lower() != "identity":
        raise errors.Unsupported("A compressed body is not accepted.")
    if request.content_length is not None and request.content_length > request.client_max_size:
        raise errors.TooLarge("The body is too large.")
    try:
        async with asyncio.timeout(request.app[SERVER].connections.body_seconds):
            return await request.read()
    except TimeoutError as error:
        raise errors.TooSlow("The body did not come in time.") from error
    except web.RequestPayloadError as error:
        raise errors.Malformed("The body broke off.") from error


async def read_json(request: web.Request, kind: type[T]) -> T:
    """Read the body as one msgspec type; unknown fields are ignored.

    Raises:
        Unsupported: it says that it is something else than JSON.
        Malformed: the body is not JSON.
        Invalid: it is JSON, but a field is missing, of the wrong type or out of its limits.
        TooLarge: it is over the limit.
        TooSlow: it does not come.
    """
    if hdrs.CONTENT_TYPE in request.headers and not _is_json(request.content_type):
        raise errors.Unsupported("The body must be JSON, and its Content-Type application/json.")
    try:
        return msgspec.json.decode(await read_body(request), type=kind)
    except msgspec.ValidationError as error:
        raise errors.Invalid(f"The body does not fit: {error}.") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise errors.Malformed("The body is not JSON.") from error


def _is_json(content_type: str) -> bool:
    kind = content_type.lower()
    return kind == "application/json" or kind.endswith("+json")


def bearer_token(request: web.Request) -> str:
    """Return the bearer of the Authorization header.

    Raises:
        NotAuthenticated: there is none.
    """
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise errors.NotAuthenticated("A bearer token is needed.")
    return token.strip()


def authenticate(request: web.Request) -> Claims:
    """Return whom the request's bearer speaks for; the application holds a VERIFIER.

    Raises:
        NotAuthenticated: no bearer, or one that does not verify.
        TooManyRequests: this person calls too often.
    """
    claims = request.app[VERIFIER].verify(bearer_token(request))
    request.app[RATES].check_user(claims.identity, writes=request.method not in _READING)
    return claims


def client_address(request: web.Request) -> str:
    """Return the address of the client that the trusted proxies saw.

    Each proxy appends the address that it saw, so the last `trusted_hops` entries are theirs, and what stands before
    them is whatever the client chose to send.
    """
    lines = request.headers.getall(FORWARDED_HEADER, [])
    forwarded = forwarded_address(request.app[SERVER].trusted_hops, lines)
    return (request.remote or "") if forwarded is None else forwarded


def forwarded_address(hops: int, lines: Sequence[str]) -> str | None:
    """Return the address that the trusted proxies saw, if there are so many.

    Args:
        hops: trusted proxies.
        lines: the values of X-Forwarded-For.
    """
    if not hops or not lines:
        return None
    forwarded = [part.strip() for line in lines for part in line.split(",")]
    return forwarded[-hops] if hops <= len(forwarded) else None


def _limit_addresses(login_path: str, socket_path: str) -> Middleware:
    @web.middleware
    async def limit(request: web.Request, handler: Handler) -> web.StreamResponse:
        route = find_route(request)
        if route != socket_path:
            request.app[RATES].check_address(client_address(request), is_login=route == login_path)
        return await handler(request)

    return limit


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except errors.RequestError as error:
        if error.__cause__ is not None and isinstance(error, errors.Unavailable):
            logger.warning("unavailable", extra={"fields": {"code": error.code, "cause": describe(error.__cause__)}})
        return error_response(error)
    except web.HTTPException as answer:
        return _answer_router(answer)
    except Exception:
        logger.exception("a request failed")
        failure = {"error": {"code": "internal", "message": "Something went wrong on our side."}}
        return json_response(failure, status=500)


def _answer_router(answer: web.HTTPException) -> web.Response:
    """Put what aiohttp itself refuses into our words."""
    if isinstance(answer, web.HTTPMethodNotAllowed):
        response = error_response(errors.NotAllowed("This path has no such method."))
        response.headers[hdrs.ALLOW] = ", ".join(sorted(answer.allowed_methods))
        return response
    if isinstance(answer, web.HTTPRequestEntityTooLarge):
        return error_response(errors.TooLarge("The body is too large."))
    if isinstance(answer, web.HTTPNotFound):
        return error_response(errors.NotFound("There is nothing here."))
    code = answer.reason.lower().replace(" ", "_") if answer.reason else "failed"
    return json_response({"error": {"code": code, "message": f"{answer.reason}."}}, status=answer.status)


@web.middleware
async def _require_credential(request: web.Request, handler: Handler) -> web.StreamResponse:
    if request.path not in MACHINE_PATHS and not request.app[CREDENTIAL].matches(bearer_token(request)):
        raise errors.NotAuthenticated("The credential is not ours.")
    return await handler(request)


async def _livez(_request: web.Request) -> web.Response:
    return json_response({"status": "alive"})


async def _readyz(request: web.Request) -> web.Response:
    report = await request.app[HEALTH].report()
    word = "ready" if report.is_ready else "not ready"
    answer = {"status": word, "checks": report.checks, "degraded": report.degraded}
    return json_response(answer, status=200 if report.is_ready else 503)


async def _metrics(request: web.Request) -> web.Response:
    headers = {hdrs.CONTENT_TYPE: "text/plain; version=0.0.4; charset=utf-8"}
    return web.Response(body=request.app[METRICS].render(), headers=headers)


async def _openapi(request: web.Request) -> web.Response:
    return json_response(request.app[OPENAPI])
