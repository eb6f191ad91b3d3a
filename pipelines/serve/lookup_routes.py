"""The routes of look-ups: whose key it is, how often it may ask, and the answer or the reason there is none."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated

import duckdb
from fastapi import APIRouter, Depends, Path, Query, Response, Security
from fastapi.security import APIKeyHeader
from pydantic import BaseModel, Field

from pipelines.doors import Door, channel_of_key
from pipelines.errors import OmnilakeError
from pipelines.keys import Keys
from pipelines.serve.lookups import Customer, Recommendations, find_customer, find_recommendations
from pipelines.serve.problems import ProblemError, describe
from pipelines.serve.rates import Bucket
from pipelines.serve.reader import Reading, SnapshotReader
from pipelines.warehouse import NothingPublishedError

log = logging.getLogger(__name__)

API_KEY = APIKeyHeader(
    name="X-API-Key", scheme_name="lookupKey", description="The channel's lookup_key_env.", auto_error=False
)

ChannelId = Annotated[str, Path(description="The channel whose key is sent.", examples=["mall"])]
MemberId = Annotated[str, Path(description="The channel's own id of the member, percent-encoded.", examples=["M1001"])]
StoreId = Annotated[
    str | None,
    Query(description="Where the shopper is; else the customer's preferred or home store.", examples=["S01"]),
]
Limit = Annotated[int, Query(ge=1, le=50, description="Articles at most.")]


class Health(BaseModel):
    """Whether there is something to serve."""

    snapshot_id: str | None = Field(description="Null: nothing that can be served.", examples=["20260630T013000-1a2b"])
    published_at: datetime | None = Field(description="UTC.")
    age_seconds: float | None
    detail: str = Field(description="What is wrong; empty if nothing is.")


class Lookups:
    """Answers from the current snapshot to callers with a channel's key."""

    def __init__(self, reader: SnapshotReader, keys: Keys, doors: Mapping[str, Door], per_second: int) -> None:
        self._reader = reader
        self._keys = keys
        self._doors = doors
        self._buckets = {channel: Bucket(per_second) for channel in doors}

    def admit(self, channel: str, key: str | None) -> None:
        """Raises ProblemError: 401 without a key of ours, 403 with another channel's, 429 beyond its rate."""
        owner = channel_of_key(self._doors.values(), key) if key else None
        if owner is None:
            raise ProblemError(
                HTTPStatus.UNAUTHORIZED,
                "X-API-Key is missing, or no channel's key.",
                {"WWW-Authenticate": 'ApiKey realm="omnilake"'},
            )
        if owner != channel:
            raise ProblemError(HTTPStatus.FORBIDDEN, "The key is not this channel's; it opens its own members only.")
        wait = self._buckets[owner].take()
        if wait:
            raise ProblemError(
                HTTPStatus.TOO_MANY_REQUESTS,
                "The key asks too often; --rate sets how often it may.",
                {"Retry-After": str(math.ceil(wait))},
            )

    def customer(self, channel: str, member_id: str, store_id: str | None, limit: int) -> Customer:
        """Raises ProblemError: 404 for a member nobody knows, 503 without a snapshot."""
        with self._reading() as reading:
            found = find_customer(reading, self._keys, channel, member_id, store_id, limit)
        if found is None:
            raise ProblemError(HTTPStatus.NOT_FOUND, "The channel has no such member, or we have not heard of it yet.")
        return found

    def recommendations(
        self, channel: str, member_id: str, store_id: str | None, limit: int, in_stock: bool
    ) -> Recommendations:
        """Raises ProblemError 503 without a snapshot."""
        with self._reading() as reading:
            return find_recommendations(reading, self._keys, channel, member_id, store_id, limit, in_stock)

    def health(self) -> Health:
        """Never raises: without a snapshot it says why."""
        try:
            with self._reader.read() as reading:
                age = (datetime.now(UTC) - reading.published_at).total_seconds()
                return Health(
                    snapshot_id=reading.snapshot_id,
                    published_at=reading.published_at,
                    age_seconds=round(age, 1),
                    detail="",
                )
        except OmnilakeError as error:
            return Health(snapshot_id=None, published_at=None, age_seconds=None, detail=_words(error))

    @contextmanager
    def _reading(self) -> Iterator[Reading]:
        try:
            with self._reader.read() as reading:
                yield reading
        except OmnilakeError as error:
            raise _unavailable(_words(error)) from error
        except duckdb.Error as error:
            log.error("the snapshot can't be read: %s", type(error).__name__)
            raise _unavailable("The snapshot can't be read; the log of the server says more.") from error


def lookup_router(lookups: Lookups) -> APIRouter:
    """The routes of look-ups and of health."""
    router = APIRouter(prefix="/v1", tags=["look-ups"])

    def admitted(channel: ChannelId, key: Annotated[str | None, Security(API_KEY)]) -> str:
        lookups.admit(channel, key)
        return channel

    faults = describe(
        HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.UNPROCESSABLE_ENTITY, HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.SERVICE_UNAVAILABLE,
        headers={HTTPStatus.TOO_MANY_REQUESTS: "Retry-After", HTTPStatus.SERVICE_UNAVAILABLE: "Retry-After"},
    )  # fmt: skip

    @router.get(
        "/customers/{channel}/{member_id:path}",
        operation_id="findCustomer",
        summary="Who a member is",
        response_model=Customer,
        responses=faults | describe(HTTPStatus.NOT_FOUND),
    )
    def find_customer_of_member(
        member_id: MemberId, store_id: StoreId = None, limit: Limit = 10, channel: str = Depends(admitted)
    ) -> Response:
        """Tags, segment and recommendations of the customer that the member is, over all channels. No personal data."""
        return _json(lookups.customer(channel, member_id, store_id, limit))

    @router.get(
        "/recommendations/{channel}/{member_id:path}",
        operation_id="findRecommendations",
        summary="What to offer a member",
        response_model=Recommendations,
        responses=faults,
    )
    def find_recommendations_of_member(
        member_id: MemberId,
        store_id: StoreId = None,
        limit: Limit = 10,
        in_stock: Annotated[bool, Query(description="Only articles that a store nearby has.")] = False,
        channel: str = Depends(admitted),
    ) -> Response:
        """Articles, those in stock nearby first. Of a member nobody knows, what sells best (`is_fallback`)."""
        return _json(lookups.recommendations(channel, member_id, store_id, limit, in_stock))

    @router.get("/health", operation_id="health", summary="Which snapshot is served")
    def health() -> Health:
        """Needs no key."""
        return lookups.health()

    return router


def _json(answer: BaseModel) -> Response:
    """Written at once: the framework would check every field of our own model again."""
    return Response(answer.model_dump_json(), media_type="application/json")


def _words(error: OmnilakeError) -> str:
    """Without the places of this machine: the caller is somebody else."""
    match error:
        case NothingPublishedError():
            return "Nothing is published yet; the first `omnilake run` does it."
        case _:
            return "The snapshot can't serve look-ups; `omnilake run` publishes a new one."


def _unavailable(words: str) -> ProblemError:
    return ProblemError(HTTPStatus.SERVICE_UNAVAILABLE, words, {"Retry-After": "60"})
