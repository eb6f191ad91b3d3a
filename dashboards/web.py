"""The server of the pages: Streamlit's, with signing in and out and a guard before everything else.

Belongs here: what is HTTP. A local account's session lies in a cookie that no script can read, so that the form is a
plain page and not one of Streamlit's. Does not belong here: passwords and sessions (`pipelines/accounts`).
"""

from __future__ import annotations

import sys
from functools import partial
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from urllib.parse import parse_qs, quote

# Streamlit puts the script's own folder on the path, where `dashboards` itself is not found.
_HERE = Path(__file__).resolve().parent
if str(_HERE.parent) not in sys.path:
    sys.path.insert(0, str(_HERE.parent))

import anyio  # noqa: E402
from starlette.concurrency import run_in_threadpool  # noqa: E402
from starlette.datastructures import Headers, MutableHeaders  # noqa: E402
from starlette.middleware import Middleware  # noqa: E402
from starlette.requests import Request  # noqa: E402
from starlette.responses import FileResponse, PlainTextResponse, RedirectResponse, Response  # noqa: E402
from starlette.routing import Route  # noqa: E402
from starlette.types import ASGIApp, Message, Receive, Scope, Send  # noqa: E402
from streamlit.starlette import App  # noqa: E402

from dashboards.access import may_fetch  # noqa: E402
from dashboards.sign_in_page import draw, language_of  # noqa: E402
from dashboards.visitor import (  # noqa: E402
    COOKIE,
    NOBODY_IN_PARTICULAR,
    account_of_session,
    oidc_secrets,
    sign_in_mode,
    state_of,
)
from pipelines.accounts.sessions import LASTS, sign_in, sign_out  # noqa: E402
from pipelines.accounts.store import has_accounts  # noqa: E402
from pipelines.activation.export_log import find_export  # noqa: E402
from pipelines.audit import record  # noqa: E402
from pipelines.errors import ConfigurationError  # noqa: E402
from pipelines.settings import load_settings  # noqa: E402

SIGN_IN, SIGN_OUT = "/sign-in", "/sign-out"
_OPEN = frozenset({SIGN_IN, SIGN_OUT, "/_stcore/health", "/favicon.png"})
_OPEN_BELOW = "/static/"
"""Streamlit's own scripts and styles: the same for everybody, and nothing of ours."""
_LARGEST_FORM = 16_384
_AT_ONCE = 2
"""Passwords hashed at a time: each takes 64 MiB, and nobody may exhaust the machine by guessing."""


async def show_sign_in(request: Request) -> Response:
    """The form; whoever is signed in goes on to where they were going."""
    settings = load_settings()
    if await run_in_threadpool(account_of_session, settings, request.cookies.get(COOKIE)):
        return _to(_next(request.query_params.get("next")))
    return await _form(request, _next(request.query_params.get("next")))


async def take_sign_in(request: Request) -> Response:
    """Check name and password; a session's token goes into the cookie, never into an address."""
    if not _is_own(request):
        return PlainTextResponse("Refused: this form was sent from another site.", status_code=403)
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_FORM:
            return PlainTextResponse("Refused: too large.", status_code=413)
    fields = parse_qs(body.decode(errors="replace"), keep_blank_values=True)
    name, password, target = (fields.get(field, [""])[0] for field in ("name", "password", "next"))
    settings = load_settings()
    async with _limit():
        engine = await run_in_threadpool(state_of, settings)
        token = await run_in_threadpool(sign_in, settings, engine, name, password)
    if token is None:
        return await _form(request, _next(target), refused=True)
    answer = _to(_next(target))
    answer.set_cookie(
        COOKIE, token, max_age=int(LASTS.total_seconds()), httponly=True, samesite="lax", secure=_is_https(request)
    )
    return answer


async def leave(request: Request) -> Response:
    """End the session and show the form."""
    if not _is_own(request):
        return PlainTextResponse("Refused: another site asked for it.", status_code=403)
    settings = load_settings()
    engine = await run_in_threadpool(state_of, settings)
    await run_in_threadpool(sign_out, settings, engine, request.cookies.get(COOKIE))
    answer = _to(SIGN_IN)
    answer.delete_cookie(COOKIE, httponly=True, samesite="lax", secure=_is_https(request))
    return answer


async def fetch_export(request: Request) -> Response:
    """A file that the asker exported on the page; of nobody else, and of personal data only while they may."""
    settings = load_settings()
    engine = await run_in_threadpool(state_of, settings)
    account = NOBODY_IN_PARTICULAR
    if sign_in_mode() != "off":
        found = await run_in_threadpool(account_of_session, settings, request.cookies.get(COOKIE))
        if found is None:
            return PlainTextResponse("Not signed in.", status_code=401)
        account = found
    export = await run_in_threadpool(find_export, engine, request.path_params["export_id"])
    if export is None or not may_fetch(account, export):
        return PlainTextResponse("There is no such export of yours.", status_code=404)
    path = Path(export["file"]).resolve()
    if not path.is_relative_to(settings.exports.resolve()) or not path.is_file():
        return PlainTextResponse("The file is gone; export it again.", status_code=410)
    about, details = f"segment:{export['segment']}", {"export": export["export_id"]}
    await run_in_threadpool(partial(record, settings, account.name, "export.fetch", about, details, engine=engine))
    return FileResponse(path, filename=path.name, headers={"Cache-Control": "no-store"})


class Guard:
    """Lets nothing through without a session but the form, and gives every answer the headers of a private page."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        path = scope["path"]
        if sign_in_mode() == "accounts" and path not in _OPEN and not path.startswith(_OPEN_BELOW):
            headers = Headers(scope=scope)
            try:
                account = await run_in_threadpool(account_of_session, load_settings(), _cookie(headers))
            except ConfigurationError as error:
                await _broken(error)(scope, receive, send)
                return
            if account is None:
                await self._refuse(scope, headers, receive, send)
                return

        async def send_private(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer = MutableHeaders(scope=message)
                answer.setdefault("X-Frame-Options", "DENY")
                answer.setdefault("X-Content-Type-Options", "nosniff")
                answer.setdefault("Referrer-Policy", "same-origin")
            await send(message)

        await self.app(scope, receive, send_private)

    async def _refuse(self, scope: Scope, headers: Headers, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008, "reason": "not signed in"})
            return
        answer: Response = PlainTextResponse("Not signed in.", status_code=401)
        if scope["method"] in ("GET", "HEAD") and "text/html" in headers.get("accept", ""):
            query = scope["query_string"].decode("latin-1")
            wanted = scope["path"] + (f"?{query}" if query else "")
            answer = _to(f"{SIGN_IN}?next={quote(wanted, safe='')}")
        await answer(scope, receive, send)


def _broken(error: Exception) -> Response:
    return PlainTextResponse(f"The pages cannot start: {error}", status_code=503)


async def _tell_broken(_request: Request, error: Exception) -> Response:
    return _broken(error)


def _limit() -> anyio.CapacityLimiter:
    global _limiter
    if _limiter is None:  # it belongs to the running event loop
        _limiter = anyio.CapacityLimiter(_AT_ONCE)
    return _limiter


_limiter: anyio.CapacityLimiter | None = None


async def _form(request: Request, target: str, *, refused: bool = False) -> Response:
    engine = await run_in_threadpool(state_of, load_settings())
    known = await run_in_threadpool(has_accounts, engine)
    language = language_of(target, request.headers.get("accept-language", ""))
    return draw(language, target, refused=refused, has_accounts=known)


def _to(place: str) -> RedirectResponse:
    return RedirectResponse(place, status_code=303, headers={"Cache-Control": "no-store"})


def _next(target: str | None) -> str:
    """Where to go afterwards: a place of this server, whatever the address says."""
    if not target or not target.startswith("/") or target[1:2] in ("/", "\\") or any(ord(sign) < 33 for sign in target):
        return "/"
    return "/" if target.startswith((SIGN_IN, SIGN_OUT)) else target


def _cookie(headers: Headers) -> str | None:
    try:
        found = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        return None
    return found.value if found else None


def _is_own(request: Request) -> bool:
    """Whether the request comes from a page of this server, or from nowhere else."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    return origin is None or origin.partition("://")[2] == request.headers.get("host")


def _is_https(request: Request) -> bool:
    return "https" in (request.url.scheme, request.headers.get("x-forwarded-proto", ""))


app = App(
    _HERE / "app.py",
    secrets=oidc_secrets() if sign_in_mode() == "oidc" else {},
    routes=[
        Route(SIGN_IN, show_sign_in, methods=["GET"]),
        Route(SIGN_IN, take_sign_in, methods=["POST"]),
        Route(SIGN_OUT, leave, methods=["GET"]),
        Route("/exports/{export_id}/{name}", fetch_export, methods=["GET"]),
    ],
    middleware=[Middleware(Guard)],
    exception_handlers={ConfigurationError: _tell_broken},
)
