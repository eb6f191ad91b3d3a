"""Destination `rest`: effects as JSON to a retailer's own API, one by one or in batches.

Every record carries its key: as header `Idempotency-Key` when sent alone, as `key` in its body always. The receiver
keeps the keys it has seen, applies none twice, and answers which of them it has. docs/platforms/rest.md is the
contract for whoever writes the receiving side.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from pipelines.connectors.options import SettingsReader
from pipelines.connectors.protocol import Options
from pipelines.destinations.protocol import (
    Capabilities,
    CouponIssue,
    Found,
    Operation,
    Outcome,
    OutcomeKind,
    Recipient,
    RecommendationList,
    Record,
    TagChange,
    applied,
    rejected,
    retry_after,
    unknown,
)
from pipelines.errors import ConfigurationError
from pipelines.http import BulkHttp, DoubtfulError, Rate, RefusedError, Reply

PATHS = {Operation.TAGS: "/tags", Operation.RECOMMENDATIONS: "/recommendations", Operation.COUPON: "/coupons"}
"""Beneath `url`, unless the entry says others."""

_CONCURRENCY = 64
_LARGEST_BATCH = 5_000
_LONGEST_ANSWER = 200
_CONFLICT = 409


def connect(name: str, operations: Iterable[Operation], options: Options, prefix: str) -> RestDestination:
    """Settings: url; token_env (sent as bearer); batch_size (1: one by one); timeout; calls_per_second; paths of the
    operations; reads_back and resend_is_safe, if the API keeps keys; ca_file. prefix begins every tag name.
    """
    read = SettingsReader(options, f"Destination {name!r} of kind rest")
    url, token = read.url(), read.secret("token", None)
    given = read.mapping("paths")
    unknown_paths = sorted(set(map(str, given)) - {operation.value for operation in PATHS})
    if unknown_paths or not all(isinstance(path, str) and path.startswith("/") for path in given.values()):
        raise ConfigurationError(
            f"Destination {name!r} has unusable paths; give paths that begin with / for any of: "
            f"{', '.join(sorted(operation.value for operation in PATHS))}."
        )
    calls_per_second = read.whole("calls_per_second", 0, least=0, most=1_000_000)
    made = RestDestination(
        name,
        operations,
        BulkHttp(
            url,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            secrets=[token] if token else [],
            ca_file=read.ca_file(),
            timeout=read.whole("timeout", 30, most=600),
            rate=Rate(calls_per_second, burst=calls_per_second) if calls_per_second else None,
        ),
        prefix=prefix,
        batch_size=read.whole("batch_size", 1, most=_LARGEST_BATCH),
        paths={operation: given.get(operation.value, PATHS[operation]) for operation in PATHS},
        reads_back=read.flag("reads_back", True),
        resend_is_safe=read.flag("resend_is_safe", False),
        channel=options.channel or None,
    )
    read.end()
    return made


class RestDestination:
    """Sends JSON. With batch_size 1 a call is a record; a fault then concerns that record alone."""

    def __init__(
        self,
        name: str,
        operations: Iterable[Operation],
        http: BulkHttp,
        *,
        prefix: str,
        batch_size: int = 1,
        paths: dict[Operation, str] | None = None,
        reads_back: bool = True,
        resend_is_safe: bool = False,
        channel: str | None = None,
    ) -> None:
        self.name = name
        self._http = http
        self._prefix = prefix
        self._one_by_one = batch_size == 1
        self._paths = paths or PATHS
        taken = frozenset(operations) & PATHS.keys()
        self._capabilities = Capabilities(
            operations=taken,
            batch_size=dict.fromkeys(PATHS, batch_size),
            reads_back=taken if reads_back else frozenset(),
            resend_is_safe=taken if resend_is_safe else frozenset(),
            channel=channel,
            concurrency=_CONCURRENCY,
        )

    def capabilities(self) -> Capabilities:
        return self._capabilities

    def resolve_customer(self, recipient: Recipient) -> str | None:
        return recipient.address

    def apply_tags(self, changes: Sequence[TagChange]) -> list[Outcome]:
        return self._send(Operation.TAGS, changes, [self._tags(change) for change in changes])

    def issue_coupon(self, coupons: Sequence[CouponIssue]) -> list[Outcome]:
        return self._send(Operation.COUPON, coupons, [_coupon(coupon) for coupon in coupons])

    def put_recommendations(self, lists: Sequence[RecommendationList]) -> list[Outcome]:
        return self._send(Operation.RECOMMENDATIONS, lists, [_recommendations(one) for one in lists])

    def read_back(self, operation: Operation, records: Sequence[Record]) -> dict[str, Found]:
        if not records:
            return {}
        keys = [record.key for record in records]
        reply = self._http.effect(
            "POST", self._paths[operation] + "/found", _encoded({"keys": keys}), headers=_JSON, check=_is_json
        )
        held = reply.json().get("keys") if isinstance(reply.json(), dict) else None
        if not isinstance(held, list):
            raise DoubtfulError(f"Destination {self.name!r} answered a look-up without a list of `keys`.")
        present = set(map(str, held))
        return {key: Found.PRESENT if key in present else Found.ABSENT for key in keys}

    def received(self, operation: Operation) -> int | None:
        return None

    def _tags(self, change: TagChange) -> dict[str, Any]:
        return {
            **_common(change),
            "add": [{"tag": self._prefix + tag.name, "value": tag.value} for tag in change.add],
            "remove": [{"tag": self._prefix + tag.name, "value": tag.value} for tag in change.remove],
        }

    def _send(self, operation: Operation, records: Sequence[Record], bodies: Sequence[dict[str, Any]]) -> list[Outcome]:
        if not records:
            return []
        path = self._paths[operation]
        if self._one_by_one:
            return [self._send_one(path, record, body) for record, body in zip(records, bodies, strict=True)]
        reply = self._http.effect("POST", path, _encoded({"records": bodies}), headers=_JSON, check=_is_json)
        return _outcomes(records, reply)

    def _send_one(self, path: str, record: Record, body: dict[str, Any]) -> Outcome:
        try:
            self._http.effect("POST", path, _encoded(body), headers={**_JSON, "Idempotency-Key": record.key})
        except RefusedError as error:
            if error.status == _CONFLICT:
                return unknown(record.key, "the key is in use there")
            raise
        return applied(record.key)


_JSON = {"Content-Type": "application/json", "Accept": "application/json"}


def _encoded(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_plain).encode()


def _plain(value: Any) -> str:
    # Money travels as text: no receiver's parser makes a float of it.
    if isinstance(value, Decimal):
        return format(value, "f")
    raise TypeError(f"{type(value).__name__} has no place in a record")


def _is_json(reply: Reply) -> None:
    if reply.body:
        reply.json()


def _outcomes(records: Sequence[Record], reply: Reply) -> list[Outcome]:
    """A batch without a body was taken whole; with `results`, each record has its own."""
    answer = reply.json() if reply.body else {}
    if not isinstance(answer, dict) or "results" not in answer:
        return [applied(record.key) for record in records]
    results = answer["results"]
    if not isinstance(results, list):
        raise DoubtfulError("The answer to a batch has `results` that are no list.")
    ours = {record.key for record in records}
    return [_outcome(result) for result in results if isinstance(result, dict) and result.get("key") in ours]


def _outcome(result: dict[str, Any]) -> Outcome:
    key, reason = result["key"], str(result.get("reason") or "refused without a reason")[:_LONGEST_ANSWER]
    match result.get("outcome"):
        case OutcomeKind.APPLIED | OutcomeKind.ALREADY as kind:
            return Outcome(key, OutcomeKind(kind))
        case OutcomeKind.REJECTED:
            return rejected(key, reason)
        case OutcomeKind.RETRY_AFTER:
            seconds = result.get("seconds")
            return retry_after(key, float(seconds) if isinstance(seconds, int | Decimal) else 0.0, reason)
        case _:
            return unknown(key, "the answer names no outcome that we know")


def _common(record: Record) -> dict[str, Any]:
    return {
        "key": record.key,
        "customer": record.source_id,
        "version": record.version,
        "decided_on": record.decided_on.isoformat(),
    }


def _coupon(coupon: CouponIssue) -> dict[str, Any]:
    return {
        **_common(coupon),
        "campaign": coupon.campaign_id,
        "wave": coupon.wave,
        "code": coupon.code,
        "kind": coupon.offer.kind,
        "value": coupon.offer.value,
        "threshold": coupon.offer.threshold,
        "currency": coupon.offer.currency,
        "max_discount": coupon.offer.max_discount,
        "valid_from": coupon.valid_from.isoformat(),
        "valid_to": coupon.valid_to.isoformat(),
    }


def _recommendations(recommended: RecommendationList) -> dict[str, Any]:
    return {
        **_common(recommended),
        "items": [
            {"rank": item.rank, "sku": item.sku, "reason": item.reason, "store": item.store_id}
            for item in recommended.items
        ],
    }
