"""The sign-in form: a page of plain HTML, in the reader's language, which loads nothing.

Belongs here: its markup and looks. The words are in the locales under `sign_in`.
"""

from __future__ import annotations

from html import escape
from urllib.parse import parse_qs, urlsplit

from starlette.responses import HTMLResponse

from dashboards.formats import LanguageCode
from dashboards.language import LANGUAGES, Language

_STYLE = """
body { margin: 0; min-height: 100vh; display: grid; place-items: center; background: #F4F6F9; color: #1F2933;
  font-family: 'Source Sans', 'PingFang SC', 'Microsoft YaHei', 'Noto Sans CJK SC', sans-serif; }
main { background: #FFF; border: 1px solid #DDE3EA; border-radius: .6rem; padding: 2.2rem; width: 21rem; }
h1 { font-size: 1.35rem; margin: 0 0 1.2rem; }
label { display: block; margin: .9rem 0 .3rem; font-size: .9rem; }
input { width: 100%; box-sizing: border-box; padding: .55rem .7rem; border: 1px solid #8794A3; border-radius: .4rem;
  font: inherit; }
button { margin-top: 1.4rem; width: 100%; padding: .6rem; border: 0; border-radius: .4rem; background: #0072B2;
  color: #FFF; font: inherit; font-weight: 600; cursor: pointer; }
:focus-visible { outline: 3px solid #56B4E9; outline-offset: 1px; }
.fault { border-left: 4px solid #D55E00; background: #FDF1EA; padding: .6rem .8rem; }
.note { border-left: 4px solid #0072B2; background: #F3F8FC; padding: .6rem .8rem; }
code { overflow-wrap: anywhere; }
"""
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
}


def language_of(target: str, accepted: str) -> LanguageCode:
    """The language of the page that was asked for, else the browser's where it is Chinese, else English."""
    chosen = parse_qs(urlsplit(target).query).get("lang", [""])[0]
    for code in LANGUAGES:
        if chosen == code:
            return code
    return "zh" if accepted.lower().startswith("zh") else "en"


def draw(code: LanguageCode, target: str, *, refused: bool, has_accounts: bool) -> HTMLResponse:
    """The form; `target` is where to go afterwards. refused: after a wrong name or password (401)."""
    text = Language(code).text
    note = ""
    if refused:
        note = f'<p class="fault" role="alert">{escape(text("sign_in.refused"))}</p>'
    elif not has_accounts:
        command = "omnilake users add NAME --role admin"
        note = f'<p class="note">{escape(text("sign_in.no_accounts"))}<br><code>{command}</code></p>'
    page = f"""<!doctype html>
<html lang="{"zh-CN" if code == "zh" else "en"}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(text("sign_in.title"))} · omnilake</title><style>{_STYLE}</style></head>
<body><main>
<h1>{escape(text("sign_in.title"))}</h1>
{note}
<form method="post" action="/sign-in">
<label for="name">{escape(text("sign_in.name"))}</label>
<input id="name" name="name" autocomplete="username" autocapitalize="none" required autofocus>
<label for="password">{escape(text("sign_in.password"))}</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<input type="hidden" name="next" value="{escape(target, quote=True)}">
<button type="submit">{escape(text("sign_in.submit"))}</button>
</form>
</main></body></html>"""
    return HTMLResponse(page, status_code=401 if refused else 200, headers=_HEADERS)
