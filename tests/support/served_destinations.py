"""Destinations on the small servers of tests/support, for the contract test: one server a test, the same one each time
that the test connects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from unittest import mock

from pipelines.connectors import youzan_api
from pipelines.destinations import shopify, wechat, woocommerce, youzan
from pipelines.destinations.protocol import Destination, Operation
from tests.support.platform_server import PlatformServer
from tests.support.shopify_server import ShopifyServer
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


def shopify_shop(folder: Path) -> Destination:
    def make() -> ShopifyServer:
        server = ShopifyServer()
        for number in _known():
            server.add_customer(number)
        return server

    server = _server(folder, make)
    return shopify.connect("shopify", list(Operation), server.options(), PREFIX)


def woocommerce_shop(folder: Path) -> Destination:
    def make() -> WooCommerceServer:
        server = WooCommerceServer()
        for number in _known():
            server.add_customer(number)
        return server

    server = _server(folder, make)
    return woocommerce.connect("woocommerce", list(Operation), server.options(), PREFIX)


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
