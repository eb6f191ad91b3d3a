"""Shopify's GraphQL Admin API: one call, its cost, and what its answers mean.

Belongs here: sending documents, paging by cursor, and telling the errors of HTTP 200 apart. Does not belong here: which
fields are read (connectors.shopify_documents) or changed (destinations.shopify).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from pipelines.connectors.amounts import money
from pipelines.connectors.options import SettingsReader
from pipelines.connectors.times import seconds_text
from pipelines.connectors.tls import require_tls
from pipelines.http import (
    BusyError,
    CredentialsError,
    DoubtfulError,
    Http,
    Rate,
    RefusedError,
    Reply,
    TokenAuth,
    client_credentials,
    in_header,
)

API_VERSION = "2026-07"
PAGE_SIZE = 50
"""Of at most 250; nested lines count too, and one query may cost 1,000 points: a page that is too dear is halved."""

NESTED_PAGE_SIZE = 100

_TOKEN_HEADER = "X-Shopify-Access-Token"  # noqa: S105 - the header's name
_POINTS_PER_SECOND, _BUCKET = 100.0, 1000.0
"""What the smallest plan has, until an answer says what this shop has."""


@dataclass(frozen=True)
class Listing:
    """A connection that can be read by time of change. name: of the query. fields: of one node."""

    name: str
    type_name: str
    fields: str
    sort_key: str | None = "UPDATED_AT"

    def document(self) -> str:
        """The query of one page."""
        sort = f", sortKey: {self.sort_key}" if self.sort_key else ""
        return (
            f"query {self.name}($first: Int!, $after: String, $query: String) {{ "
            f"{self.name}(first: $first, after: $after, query: $query{sort}) {{ "
            f"nodes {{ {self.fields} }} pageInfo {{ hasNextPage endCursor }} }} }}"
        )

    def by_ids(self) -> str:
        """The query of single nodes."""
        return f"query nodes($ids: [ID!]!) {{ nodes(ids: $ids) {{ ... on {self.type_name} {{ {self.fields} }} }} }}"


def open_shop(read: SettingsReader, channel: str) -> Shopify:
    """The shop that a channel's settings name. Raises ConfigurationError naming the channel and the setting.

    Settings: url, ca_file, api_version; access_token_env, or client_id and client_secret_env; webhook_secret_env.
    """
    url, ca_file = require_tls(read.url(), channel), read.ca_file()
    version = read.text("api_version", API_VERSION, f"a version such as {API_VERSION}")
    token, client_id = read.secret("access_token", None), read.text("client_id", None)
    secret = read.secret("client_secret") if client_id and not token else read.secret("client_secret", None)
    if not token and not client_id:
        token = read.secret("access_token")
    headers, auth = {}, None
    secrets = [one for one in (token, secret, read.secret("webhook_secret", None)) if one]
    if token:
        headers = {_TOKEN_HEADER: token}
    else:
        login = Http(url, secrets=secrets, ca_file=ca_file)
        grant = client_credentials(login, "/admin/oauth/access_token", client_id, secret, method="client_secret_post")
        auth = TokenAuth(grant, in_header(_TOKEN_HEADER, ""))
    rate = Rate(_POINTS_PER_SECOND, _BUCKET)
    http = Http(url, headers=headers, auth=auth, secrets=secrets, ca_file=ca_file, rate=rate)
    return Shopify(http, version, rate)


def gid(type_name: str, number: str) -> str:
    """The global id of a number."""
    return number if number.startswith("gid://") else f"gid://shopify/{type_name}/{number}"


def number_of(global_id: Any) -> str:
    """The number at the end of a global id. Raises AttributeError if it is no text."""
    return str(global_id.rsplit("/", 1)[-1].split("?")[0])


class Shopify:
    """One shop. Safe to share between threads."""

    def __init__(self, http: Http, version: str, rate: Rate | None = None) -> None:
        self._http = http
        self._path = f"/admin/api/{version}/graphql.json"
        self._rate = rate
        self._costs: dict[str, float] = {}
        self._page_sizes: dict[str, int] = {}

    def query(self, document: str, variables: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """`data` of a query. Raises the errors of pipelines.http."""
        body = {"query": document, "variables": dict(variables or {})}
        name = _operation(document)
        reply = self._http.read("POST", self._path, json=body, check=self._check(name), cost=self._cost(name))
        return dict(reply.json()["data"])

    def mutate(self, document: str, variables: Mapping[str, Any]) -> tuple[dict[str, Any], set[str]]:
        """`data` of a mutation, and the names of its fields whose effect nobody knows."""
        body = {"query": document, "variables": dict(variables)}
        name = _operation(document)
        check = self._check(name, may_be_partial=True)
        answer = self._http.effect("POST", self._path, json=body, check=check, cost=self._cost(name)).json()
        doubtful = {str(error["path"][0]) for error in answer.get("errors") or []}
        return dict(answer["data"]), doubtful

    def changed(
        self, listing: Listing, since: datetime, until: datetime, cursor: str | None
    ) -> Iterator[tuple[list[dict[str, Any]], str | None]]:
        """Pages of the nodes that changed in [since, until], oldest change first, each with the next page's cursor.

        A row that changes meanwhile leaves the window at its end; the cursor stands behind what was read, so none of
        the others is skipped.
        """
        end = until if until.microsecond == 0 else until.replace(microsecond=0) + timedelta(seconds=1)
        query = f"updated_at:>='{seconds_text(since)}' AND updated_at:<='{seconds_text(end)}'"
        while True:
            found = self._page(listing, query, cursor)
            more = found["pageInfo"]["hasNextPage"]
            cursor = found["pageInfo"]["endCursor"] if more else None
            yield found["nodes"], cursor
            if cursor is None:
                return

    def nodes(self, listing: Listing, numbers: Sequence[str]) -> list[dict[str, Any]]:
        """The nodes of those ids; unknown ones are left out."""
        ids = [gid(listing.type_name, number) for number in numbers]
        found = self.query(listing.by_ids(), {"ids": ids})["nodes"]
        return [node for node in found if node]

    def whole(self, node: dict[str, Any], type_name: str, field: str, fields: str) -> list[dict[str, Any]]:
        """Every node of a nested connection, of which the outer query brought the first page."""
        connection = node[field]
        nodes = list(connection["nodes"])
        document = (
            f"query more($id: ID!, $after: String) {{ node(id: $id) {{ ... on {type_name} {{ "
            f"{field}(first: {NESTED_PAGE_SIZE}, after: $after) {{ "
            f"nodes {{ {fields} }} pageInfo {{ hasNextPage endCursor }} }} }} }} }}"
        )
        while connection.get("pageInfo", {}).get("hasNextPage"):
            after = connection["pageInfo"]["endCursor"]
            inner = self.query(document, {"id": node["id"], "after": after})["node"]
            if inner is None:
                break  # deleted meanwhile
            connection = inner[field]
            nodes += connection["nodes"]
        return nodes

    def _page(self, listing: Listing, query: str, cursor: str | None) -> dict[str, Any]:
        while True:
            first = self._page_sizes.get(listing.name, PAGE_SIZE)
            try:
                variables = {"first": first, "after": cursor, "query": query}
                return dict(self.query(listing.document(), variables)[listing.name])
            except RefusedError as error:
                if error.code != "MAX_COST_EXCEEDED" or first == 1:
                    raise
                self._page_sizes[listing.name] = first // 2

    def _cost(self, name: str) -> float:
        return self._costs.get(name, 1.0)

    def _check(self, name: str, may_be_partial: bool = False) -> Any:
        def check(reply: Reply) -> None:
            body = reply.json()
            if not isinstance(body, dict):
                raise DoubtfulError("Shopify's answer is no JSON object.")
            wait = self._learn(name, body)
            errors = body.get("errors")
            if not errors:
                if not isinstance(body.get("data"), dict):
                    raise DoubtfulError("Shopify answered without data and without an error.")
                return
            codes = _codes(errors)
            if "THROTTLED" in codes:
                raise BusyError("Shopify's cost bucket is empty.", wait)
            if may_be_partial and isinstance(body.get("data"), dict) and all(_has_path(error) for error in errors):
                return
            _raise(codes)

        return check

    def _learn(self, name: str, body: Mapping[str, Any]) -> float:
        """Take over the bucket's state; how long a throttled call should wait."""
        try:
            cost = body["extensions"]["cost"]
            status = cost["throttleStatus"]
            available, restored = float(status["currentlyAvailable"]), float(status["restoreRate"])
            requested = float(cost["requestedQueryCost"])
            if self._rate and restored > 0:
                self._rate.learn(available, restored, float(status["maximumAvailable"]))
        except (KeyError, TypeError, ValueError):
            return 1.0
        self._costs[name] = requested
        return max((requested - available) / restored, 0.5) if restored > 0 else 1.0


def amount_of(bag: Any) -> Decimal:
    """The shop's money of a money bag; zero for none. Raises KeyError or ValueError if it is no bag."""
    if bag is None:
        return Decimal(0)
    return money(bag["shopMoney"]["amount"])


def _operation(document: str) -> str:
    return document.split("(", 1)[0].split("{", 1)[0].split()[-1]


def _codes(errors: Any) -> set[str]:
    if not isinstance(errors, list):
        return {"REFUSED"}
    return {str((error.get("extensions") or {}).get("code", "REFUSED")) for error in errors if isinstance(error, dict)}


def _has_path(error: Any) -> bool:
    return isinstance(error, dict) and isinstance(error.get("path"), list) and bool(error["path"])


def _raise(codes: set[str]) -> None:
    # The messages are not quoted: they repeat what was sent.
    if codes & {"ACCESS_DENIED", "UNAUTHORIZED"}:
        raise CredentialsError("Shopify denies access: the app lacks a scope, or approval for protected customer data.")
    if codes & {"INTERNAL_SERVER_ERROR", "TIMEOUT"}:
        raise DoubtfulError("Shopify had an internal error.")
    code = sorted(codes)[0]
    raise RefusedError(f"Shopify refuses the query ({code}).", code=code)
