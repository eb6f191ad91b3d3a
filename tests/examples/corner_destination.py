"""Destination `corner`: the example that CONTRIBUTING explains. An invented REST platform, its push side.

PUT and DELETE /v2/buyers/<id>/labels/<name> (the same twice is one); POST /v2/vouchers with a Request-Id, under which
Corner makes one voucher however often it is asked for one day: so we look before we repeat.
"""

from collections.abc import Callable, Iterable, Sequence
from urllib.parse import quote

from pipelines.connectors.options import SettingsReader
from pipelines.connectors.protocol import Options
from pipelines.destinations import protocol
from pipelines.destinations.one_by_one import one_by_one
from pipelines.destinations.protocol import CouponIssue, Found, Operation, Outcome, Recipient, Tag, TagChange, applied
from pipelines.http import Http
from tests.examples.corner_connector import http_of, look


class CornerDestination:
    """Tags as labels of a buyer, coupons as vouchers. Addresses are Corner's own ids of buyers."""

    def __init__(self, name: str, operations: Iterable[Operation], http: Http, channel: str, prefix: str) -> None:
        self.name, self._http, self._channel, self._prefix = name, http, channel, prefix
        self._operations = frozenset(operations) & {Operation.TAGS, Operation.COUPON}

    def capabilities(self) -> protocol.Capabilities:
        return protocol.Capabilities(
            operations=self._operations,
            batch_size=dict.fromkeys(self._operations, 50),
            reads_back=self._operations,
            resend_is_safe=self._operations & {Operation.TAGS},
            channel=self._channel,
        )

    def resolve_customer(self, recipient: Recipient) -> str | None:
        return recipient.address

    def apply_tags(self, changes: Sequence[TagChange]) -> list[Outcome]:
        return one_by_one(changes, self._apply)

    def issue_coupon(self, coupons: Sequence[CouponIssue]) -> list[Outcome]:
        return one_by_one(coupons, self._issue)

    def put_recommendations(self, lists: Sequence[protocol.RecommendationList]) -> list[Outcome]:
        return [protocol.rejected(record.key, "Corner shows no recommendations") for record in lists]

    def read_back(self, operation: Operation, records: Sequence[protocol.Record]) -> dict[str, Found]:
        look_up: dict[type, Callable[..., bool]] = {TagChange: self._has_tags, CouponIssue: self._has_voucher}
        return {record.key: Found.PRESENT if look_up[type(record)](record) else Found.ABSENT for record in records}

    def received(self, operation: Operation) -> int | None:
        return None

    def _apply(self, change: TagChange) -> Outcome:
        kept = {tag.name for tag in change.add}
        for tag in change.remove:
            if tag.name not in kept:
                self._http.effect("DELETE", self._label(change.source_id, tag), check=look)
        for tag in change.add:
            self._http.effect("PUT", self._label(change.source_id, tag), json={"value": tag.value}, check=look)
        return applied(change.key)

    def _issue(self, coupon: CouponIssue) -> Outcome:
        offer = coupon.offer
        voucher = {
            "code": coupon.code, "buyer": coupon.source_id, "kind": offer.kind, "worth": offer.value,
            "from": offer.threshold, "valid_to": coupon.valid_to.isoformat(),
        }  # fmt: skip
        self._http.effect("POST", "/v2/vouchers", json=voucher, headers={"Request-Id": coupon.key}, check=look)
        return applied(coupon.key)

    def _has_tags(self, change: TagChange) -> bool:
        path = f"/v2/buyers/{quote(change.source_id, safe='')}"
        labels = self._http.read("GET", path, check=look).json()["labels"]
        kept = {self._prefix + tag.name for tag in change.add}
        gone = {self._prefix + tag.name for tag in change.remove} - kept
        return not gone & labels.keys() and all(labels.get(self._prefix + t.name) == t.value for t in change.add)

    def _has_voucher(self, coupon: CouponIssue) -> bool:
        return self._http.read("GET", "/v2/vouchers", params={"request_id": coupon.key}, check=look).json()["found"]

    def _label(self, buyer: str, tag: Tag) -> str:
        return f"/v2/buyers/{quote(buyer, safe='')}/labels/{quote(self._prefix + tag.name, safe='')}"


def connect(name: str, operations: Iterable[Operation], options: Options, prefix: str) -> CornerDestination:
    """The destination of an entry, on the server and with the key of its channel."""
    read = SettingsReader(options)
    destination = CornerDestination(name, operations, http_of(read), options.channel, prefix)
    read.end()
    return destination
