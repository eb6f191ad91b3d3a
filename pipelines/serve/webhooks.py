"""Webhooks in: verified over the raw body, durable on disk, and only then answered.

Belongs here: the routes, which fault is which status, and what a platform wants to hear. Does not belong here: how a
platform signs (its connector) and reading the records that changed (the next pull).
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from itertools import chain
from typing import Annotated, Any, Protocol, TypeVar, runtime_checkable

from fastapi import APIRouter, Path, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import BaseModel, Field

from pipelines import inbox
from pipelines.connectors.protocol import BadSignatureError, WebhookEvent
from pipelines.doors import SIGNATURE_HEADER, Door
from pipelines.feeds import hooks
from pipelines.feeds.contract import FEEDS
from pipelines.serve.bodies import read_body
from pipelines.serve.group_commit import GroupCommit
from pipelines.serve.problems import ProblemError, describe
from pipelines.settings import Settings

log = logging.getLogger(__name__)

Item = TypeVar("Item")

RETRY_SECONDS = 60
"""When a sender shall come again if nothing could be kept."""

_LARGE_BODY = 65_536


@runtime_checkable
class AnswersInOwnWords(Protocol):
    """A connector whose platform takes nothing but these words, as media type and body, for an answer."""

    webhook_answer: tuple[str, str]


class Accepted(BaseModel):
    """What was kept."""

    accepted: int = Field(description="Notices or rows that are durable now.", examples=[1])
    unreadable: int = Field(
        default=0, description="1: rightly signed, but not understood; noted in the log, not to be sent again."
    )


class Receiver:
    """Takes webhooks of the doors. body_limit: bytes of a body at most."""

    def __init__(self, settings: Settings, doors: Mapping[str, Door], body_limit: int) -> None:
        self._settings = settings
        self._doors = doors
        self._body_limit = body_limit
        # A group a channel or feed: a folder that can't be written is nobody else's trouble.
        self._notices: dict[str, GroupCommit[Sequence[WebhookEvent]]] = {}
        self._rows: dict[tuple[str, str], GroupCommit[Sequence[bytes]]] = {}

    async def take_notice(self, channel: str, request: Request) -> Response:
        """A platform's own webhook. The answer comes after its notices are on disk."""
        door = self._door(channel)
        if not door.has_webhooks:
            raise ProblemError(
                HTTPStatus.NOT_FOUND,
                "This channel takes no webhooks of a platform; post rows to /v1/webhooks/{channel}/{feed}.",
            )
        body = await read_body(request, self._body_limit)
        events = await self._verified(door, request, body)
        if events:
            await _durable(self._notice_group(channel), events)
        if isinstance(door.connector, AnswersInOwnWords):
            media_type, words = door.connector.webhook_answer
            return Response(words, media_type=media_type)
        return JSONResponse(Accepted(accepted=len(events or ()), unreadable=int(events is None)).model_dump())

    async def take_rows(self, channel: str, feed: str, request: Request) -> Accepted:
        """Rows of the landing contract from a channel that otherwise drops files."""
        door = self._door(channel)
        if door.hook_secret is None:
            raise ProblemError(
                HTTPStatus.NOT_FOUND, "This channel takes no rows; channels.yml gives it no webhook_secret_env."
            )
        if feed not in FEEDS:
            raise ProblemError(HTTPStatus.NOT_FOUND, f"There is no such feed; the feeds are {', '.join(FEEDS)}.")
        body = await read_body(request, self._body_limit)
        try:
            door.verify_rows(request.headers.get(SIGNATURE_HEADER, ""), body)
            rows = hooks.rows_of(body) if len(body) < _LARGE_BODY else await asyncio.to_thread(hooks.rows_of, body)
        except BadSignatureError as error:
            raise _unsigned() from error
        except UnicodeDecodeError as error:
            raise ProblemError(HTTPStatus.BAD_REQUEST, "The body is not UTF-8; nothing was kept.") from error
        if rows:
            await _durable(self._row_group(channel, feed), rows)
        return Accepted(accepted=len(rows))

    async def answer_challenge(self, channel: str, request: Request) -> str:
        """What a platform wants to see before it sends webhooks: its own text, if the question is rightly signed."""
        door = self._door(channel)
        echo = request.query_params.get("echostr")
        if not door.has_webhooks or echo is None:
            raise ProblemError(HTTPStatus.NOT_FOUND, "Webhooks are POST; GET answers a question with echostr only.")
        if await self._verified(door, request, b"") is None:
            raise _unsigned()
        return echo

    def _door(self, channel: str) -> Door:
        door = self._doors.get(channel)
        if door is None:
            raise ProblemError(HTTPStatus.NOT_FOUND, "There is no such channel in channels.yml.")
        return door

    async def _verified(self, door: Door, request: Request, body: bytes) -> list[WebhookEvent] | None:
        """Its events; None: rightly signed, but nothing we understand."""
        assert door.connector is not None  # noqa: S101 - has_webhooks
        arguments = (_in_ascii(request.headers), body, _in_ascii(request.query_params))
        try:
            if len(body) < _LARGE_BODY:
                return door.connector.verify_webhook(*arguments)
            return await asyncio.to_thread(door.connector.verify_webhook, *arguments)
        except BadSignatureError as error:
            raise _unsigned() from error
        except ValueError as error:
            # A platform would repeat a refused notice for days, or switch the webhook off. The sweep of the next pulls
            # reads the record anyway.
            log.warning(
                "webhook of %s not understood: %s (%d bytes, sha256 %s)",
                door.channel, type(error).__name__, len(body), hashlib.sha256(body).hexdigest(),
            )  # fmt: skip
            return None

    def _notice_group(self, channel: str) -> GroupCommit[Sequence[WebhookEvent]]:
        if channel not in self._notices:
            self._notices[channel] = GroupCommit(
                lambda groups: inbox.append(self._settings, channel, list(chain.from_iterable(groups)))
            )
        return self._notices[channel]

    def _row_group(self, channel: str, feed: str) -> GroupCommit[Sequence[bytes]]:
        if (channel, feed) not in self._rows:
            self._rows[channel, feed] = GroupCommit(
                lambda groups: hooks.keep(self._settings, channel, feed, list(chain.from_iterable(groups)))
            )
        return self._rows[channel, feed]


async def _durable(group: GroupCommit[Item], item: Item) -> None:
    try:
        await group.keep(item)
    except OSError as error:
        log.error("nothing can be kept: %s", error.strerror)
        raise ProblemError(
            HTTPStatus.SERVICE_UNAVAILABLE,
            "The disk takes nothing now, so nothing was kept; send it again.",
            {"Retry-After": str(RETRY_SECONDS)},
        ) from error


def _in_ascii(texts: Mapping[str, str]) -> dict[str, str]:
    """Names and values without a character that `hmac.compare_digest` refuses to compare: no signature has any."""
    return {name: value.encode("ascii", "backslashreplace").decode() for name, value in texts.items()}


def _unsigned() -> ProblemError:
    return ProblemError(HTTPStatus.UNAUTHORIZED, "The signature is missing or not that of the body under our secret.")


ChannelId = Annotated[str, Path(description="A channel's id in channels.yml.", examples=["mall"])]


def webhook_router(receiver: Receiver) -> APIRouter:
    """The routes of webhooks."""
    router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])
    faults = describe(
        HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND, HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.SERVICE_UNAVAILABLE,
        headers={HTTPStatus.SERVICE_UNAVAILABLE: "Retry-After"},
    )  # fmt: skip

    @router.post(
        "/{channel}",
        operation_id="takeWebhook",
        summary="A platform says that records changed",
        response_model=Accepted,
        responses=faults | {200: {"description": "Durable on disk. Platforms that want other words get those."}},
        openapi_extra={"requestBody": _any_body("The platform's own payload, signed the platform's own way.")},
    )
    async def take_webhook(channel: ChannelId, request: Request) -> Response:
        """Verified over the raw body with the connector of the channel. Replays and any order are harmless: the record
        is read again at the platform."""
        return await receiver.take_notice(channel, request)

    @router.get(
        "/{channel}",
        operation_id="answerChallenge",
        summary="A platform asks whether this address is ours",
        response_class=PlainTextResponse,
        responses=describe(HTTPStatus.UNAUTHORIZED, HTTPStatus.NOT_FOUND),
    )
    async def answer_challenge(channel: ChannelId, request: Request) -> str:
        """Sends `echostr` back if the connector finds the question rightly signed, as WeChat asks."""
        return await receiver.answer_challenge(channel, request)

    @router.post(
        "/{channel}/{feed}",
        operation_id="takeRows",
        summary="A channel without a platform posts rows",
        responses=faults | {200: {"description": "Durable in the landing folder; the next run takes them."}},
        openapi_extra={
            "requestBody": _rows_body(),
            "security": [{"signature": []}],
        },
    )
    async def take_rows(
        channel: ChannelId,
        feed: Annotated[str, Path(description="A feed of the landing contract.", examples=["orders"])],
        request: Request,
    ) -> Accepted:
        """JSON object, array of objects, or JSON lines of the landing contract, in UTF-8, signed with
        `X-Omnilake-Signature`: hex HMAC-SHA256 of the raw body under the channel's webhook_secret_env. A row that can't
        be used goes into quarantine in the next run. The newest `updated_at` of a key wins, whatever the order."""
        return await receiver.take_rows(channel, feed, request)

    return router


def _any_body(description: str) -> dict[str, Any]:
    return {
        "required": True,
        "description": description,
        "content": {
            "application/json": {"schema": {}, "example": {"id": 1001, "updated_at": "2026-06-30T02:00:00Z"}},
            "application/xml": {"schema": {"type": "string"}},
        },
    }


def _rows_body() -> dict[str, Any]:
    row = {"type": "object", "additionalProperties": True}
    example = {
        "order_id": "A1", "updated_at": "2026-06-30T10:00:00+08:00", "placed_at": "2026-06-30T10:00:00+08:00",
        "status": "paid", "currency": "CNY", "paid_amount": "89.00", "member_id": "M1",
        "lines": [{"line_id": "1", "sku": "S1", "quantity": 1, "unit_price": "89.00"}],
    }  # fmt: skip
    return {
        "required": True,
        "content": {
            "application/json": {"schema": {"oneOf": [row, {"type": "array", "items": row}]}, "example": [example]},
            "application/x-ndjson": {"schema": {"type": "string"}},
        },
    }
