"""Destinations on the small servers of tests/support, for the contract test: one server a test, the same one each time
that the test connects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

from pipelines.connectors import youzan_api
from pipelines.destinations import odoo, shopify, wechat, woocommerce, youzan
from pipelines.destinations.protocol import Destination, Operation
from tests.examples import corner_destination
from tests.support.corner_server import KEY, CornerServer
from tests.support.platform_server import PlatformServer
from tests.support.shopify_server import ShopifyServer
from tests.support.till_server import TillServer
from tests.support.wechat_server import WeChatServer
from tests.support.woocommerce_server import WooCommerceServer
from tests.support.youzan_server import YouzanServer

PREFIX = "omnilake:"

_running: dict[Path, PlatformServer] = {}


def _server(folder: Path, make: Callable[[], PlatformServer]) -> PlatformServer:
    """The server of the test that has this folder; those of earlier tests end."""
    if folder not in _running:
        while _running:
            _running.popitem()[1].__exit__()
        _running[folder] = make().__enter__()
    return _running[folder]


def _known() -> list[str]:
    """The addresses that the contract test uses."""
    return [f"c{number}" for number in range(20)]


def corner_shop(folder: Path) -> Destination:
    options = replace(_server(folder, CornerServer).options(), secrets={"api_key": KEY})
    return corner_destination.connect("corner", list(Operation), options, PREFIX)


def shopify_shop(folder: Path) -> Destination:
    def make() -> ShopifyServer:
        server = ShopifyServer()
        for number in range(len(_known())):
            server.add_customer(str(1000 + number))
        return server

    server = _server(folder, make)
    return _Numbered(shopify.connect("shopify", list(Operation), server.options(), PREFIX))


def woocommerce_shop(folder: Path) -> Destination:
    def make() -> WooCommerceServer:
        server = WooCommerceServer()
        for number in range(len(_known())):
            server.add_customer(str(1000 + number))
        return server

    server = _server(folder, make)
    return _Numbered(woocommerce.connect("woocommerce", list(Operation), server.options(), PREFIX))


class _Numbered:
    """A destination whose ids are numbers, for tests that call their customers c0, c1, …"""

    def __init__(self, destination: Destination) -> None:
        self._destination = destination

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> Any:
            return getattr(self._destination, name)(*(_numbered(argument) for argument in arguments))

        return call


def _numbered(value: Any) -> Any:
    if isinstance(value, list):
        return [_numbered(one) for one in value]
    if hasattr(value, "source_id"):
        return replace(value, source_id=str(1000 + int(value.source_id[1:])), recipient=_numbered(value.recipient))
    if hasattr(value, "address"):
        return replace(value, address=str(1000 + int(value.address[1:])))
    return value


def odoo_till(folder: Path) -> Destination:
    def make() -> TillServer:
        server = TillServer()
        for number in range(len(_known())):
            server.add("res.partner", {"id": 1000 + number, "name": "王", "category_id": []})
        return server

    server = _server(folder, make)
    return _Numbered(odoo.connect("odoo", list(Operation), server.options(), PREFIX))


def youzan_shop(folder: Path) -> Destination:
    def make() -> YouzanServer:
        server = YouzanServer()
        for open_id in _known():
            server.add_customer(open_id)
        return server

    options = _server(folder, make).options()
    settings = {**options.settings, "activities": {"recall": 555}}
    with mock.patch.object(youzan_api, "TAG_CALLS_PER_SECOND", 10_000):
        return youzan.connect("youzan", list(Operation), replace(options, settings=settings), PREFIX)


def wechat_account(folder: Path) -> Destination:
    def make() -> WeChatServer:
        server = WeChatServer()
        for openid in _known():
            server.add_follower(openid)
        return server

    server = _server(folder, make)
    return wechat.connect("wechat", list(Operation), server.options(), PREFIX)
