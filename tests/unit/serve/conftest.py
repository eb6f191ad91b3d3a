"""Doors, a stub of a platform that signs like most do, and a client of the application."""

from __future__ import annotations

import hashlib
import hmac
import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import pytest

from pipelines.connectors.protocol import BadSignatureError, Capabilities, Check, Page, WebhookEvent
from pipelines.doors import Door
from pipelines.keys import Keys, ensure_keys
from pipelines.serve.app import create_app
from pipelines.serve.reader import SnapshotReader
from pipelines.settings import Settings

with warnings.catch_warnings():  # it recommends a fork of its client's library
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

SECRET = b"a secret of the mall"
HOOK_SECRET = b"a secret of the tills"
BODY_LIMIT = 5_000


class StubMall:
    """A platform whose webhooks are {"id", "event", "version"}, signed with hex HMAC-SHA256 in `x-signature`."""

    channel = "mall"

    def capabilities(self) -> Capabilities:
        return Capabilities({}, frozenset({"orders"}), has_webhooks=True)

    def pull(
        self, feed: str, since: datetime, until: datetime, state: Mapping[str, Any] | None = None
    ) -> Iterator[Page]:
        yield Page({})

    def fetch(self, feed: str, source_ids: Sequence[str]) -> Page:
        return Page({})

    def verify_webhook(self, headers: Mapping[str, str], body: bytes, query: Mapping[str, str]) -> list[WebhookEvent]:
        if not hmac.compare_digest(headers.get("x-signature", ""), sign(body, SECRET)):
            raise BadSignatureError("not ours")
        content = json.loads(body)
        if content.get("event") == "a fault of the connector":
            raise RuntimeError(f"quotes {content}")
        if "id" not in content:
            raise ValueError("no id")
        return [WebhookEvent("orders", content["id"], content["event"], content.get("version"))]

    def check(self) -> list[Check]:
        return []


class TalkativeMall(StubMall):
    """A platform that wants its own words, and asks first whether the address is ours."""

    channel = "talkative"
    webhook_answer = ("text/plain", "success")

    def verify_webhook(self, headers: Mapping[str, str], body: bytes, query: Mapping[str, str]) -> list[WebhookEvent]:
        if "echostr" not in query:
            return super().verify_webhook(headers, body, query)
        if query.get("signature") != "right" or body:
            raise BadSignatureError("not ours")
        return []


def sign(body: bytes, secret: bytes) -> str:
    return hmac.new(secret, body, hashlib.sha256).hexdigest()


@pytest.fixture
def doors() -> dict[str, Door]:
    return {
        "mall": Door("mall", StubMall(), lookup_key=b"key of the mall"),
        "talkative": Door("talkative", TalkativeMall()),
        "pos": Door("pos", hook_secret=HOOK_SECRET, lookup_key=b"key of the tills"),
        "kiosk": Door("kiosk"),
    }


@pytest.fixture
def keys(settings: Settings) -> Keys:
    return ensure_keys(settings, {})


@pytest.fixture
def reader(settings: Settings) -> Iterator[SnapshotReader]:
    reader = SnapshotReader(settings)
    yield reader
    reader.close()


@pytest.fixture
def client(settings: Settings, doors: dict[str, Door], keys: Keys, reader: SnapshotReader) -> Iterator[TestClient]:
    with TestClient(create_app(settings, doors, keys, reader, body_limit=BODY_LIMIT)) as client:
        yield client
