"""How omnilake talks HTTP: one client, its errors, its pacing and its tokens, for every connector and destination.

Belongs here: what is the same for all platforms: time-outs, retries, TLS, exact numbers, no secret in any text. Does
not belong here: a platform's endpoints, and what its bodies mean (one file a platform).
"""

from pipelines.http import exact_json, waiting
from pipelines.http.auth import Token, TokenAuth, client_credentials, in_header, in_query
from pipelines.http.bulk import BulkHttp
from pipelines.http.client import Http, Reply, quick_calls
from pipelines.http.clock import watch_clock
from pipelines.http.errors import BusyError, CredentialsError, DoubtfulError, RefusedError, UnreachableError
from pipelines.http.rate import Rate

__all__ = [
    "BulkHttp",
    "BusyError",
    "CredentialsError",
    "DoubtfulError",
    "Http",
    "Rate",
    "RefusedError",
    "Reply",
    "Token",
    "TokenAuth",
    "UnreachableError",
    "client_credentials",
    "exact_json",
    "in_header",
    "in_query",
    "quick_calls",
    "waiting",
    "watch_clock",
]
