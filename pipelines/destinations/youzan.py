"""Destination `youzan` 有赞: customer tags, and vouchers of activities that the retailer has set up.

Belongs here: our records as Youzan's calls, and what its answers mean. Does not belong here: the calls' manners
(connectors.youzan_api).

A voucher is sent from an activity, which says what it is worth; `activities` in destinations.yml names the activity of
each campaign. The call takes no key, and sent again it would give a second voucher: what the customer holds is looked
up before every attempt, and a voucher of that activity sent since the decision is this one. Youzan makes the code.
Recommendations have no place at Youzan.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, time
from typing import Any

from pipelines.connectors import youzan_api as api
from pipelines.connectors.options import SettingsReader
from pipelines.connectors.protocol import Options
from pipelines.connectors.times import CHINA
from pipelines.connectors.youzan_api import Youzan, open_shop
from pipelines.destinations.labels import label
from pipelines.destinations.one_by_one import PAUSE_SECONDS, one_by_one
from pipelines.destinations.protocol import (
    Capabilities,
    CouponIssue,
    Found,
    Operation,
    Outcome,
    Recipient,
    RecommendationList,
    Record,
    Tag,
    TagChange,
    already,
    applied,
    rejected,
    retry_after,
)
from pipelines.errors import ConfigurationError
from pipelines.http import DoubtfulError

LABEL_CHARACTERS = 32
_CONCURRENCY = 4
_LATE_EFFECT_SECONDS = 120.0
"""Youzan says of its lists that they lag by tens of seconds."""
_BATCH = {Operation.TAGS: 50, Operation.COUPON: 20}
_COUPONS = 1
"""`activity_type_group`: vouchers, not codes."""
_MOST_PAGES = 50


def connect(name: str, operations: Iterable[Operation], options: Options, prefix: str) -> YouzanDestination:
    """The destination of an entry. Raises ConfigurationError naming the channel, the setting and the remedy.

    Settings beside those of `open_shop`: activities (mapping of campaign id to the id of a voucher activity).
    """
    read = SettingsReader(options)
    shop = open_shop(read, options.channel)
    read.text("store_id", shop.kdt_id)
    activities = {str(campaign): str(activity) for campaign, activity in read.mapping("activities").items()}
    read.end()
    where = f"destinations.yml: destination {name!r}"
    if not all(activity.isdigit() for activity in activities.values()):
        raise ConfigurationError(f"{where} has unusable activities; map campaign ids to the numbers of activities.")
    try:
        label(prefix, Tag("", "x" * 255), characters=LABEL_CHARACTERS)
    except ValueError as error:
        raise ConfigurationError(f"{where}: {error}; choose a shorter one.") from error
    return YouzanDestination(name, operations, shop, options.channel, prefix, activities)


class YouzanDestination:
    """One shop's push side. Addresses are the yz_open_id of its customers."""

    def __init__(
        self,
        name: str,
        operations: Iterable[Operation],
        shop: Youzan,
        channel: str,
        prefix: str,
        activities: Mapping[str, str],
    ) -> None:
        self.name = name
        self._shop = shop
        self._prefix = prefix
        self._activities = activities
        taken = frozenset(operations) & frozenset(_BATCH)
        self._capabilities = Capabilities(
            operations=taken,
            batch_size={operation: _BATCH[operation] for operation in taken},
            reads_back=taken,
            resend_is_safe=taken & {Operation.TAGS},
            channel=channel or None,
            concurrency=_CONCURRENCY,
            late_effect_seconds=_LATE_EFFECT_SECONDS,
        )

    def capabilities(self) -> Capabilities:
        return self._capabilities

    def resolve_customer(self, recipient: Recipient) -> str | None:
        """The address itself: whether Youzan still knows it is said by the answer to the effect."""
        return recipient.address or None

    def apply_tags(self, changes: Sequence[TagChange]) -> list[Outcome]:
        return one_by_one(changes, self._apply)

    def issue_coupon(self, coupons: Sequence[CouponIssue]) -> list[Outcome]:
        return one_by_one(coupons, self._send)

    def put_recommendations(self, lists: Sequence[RecommendationList]) -> list[Outcome]:
        return [rejected(one.key, "Youzan takes no recommendations") for one in lists]

    def read_back(self, operation: Operation, records: Sequence[Record]) -> dict[str, Found]:
        found = {}
        for record in records:
            if operation is Operation.TAGS and isinstance(record, TagChange):
                found[record.key] = _found(self._has_tags(record))
            elif operation is Operation.COUPON and isinstance(record, CouponIssue):
                activity = self._activities.get(record.campaign_id)
                found[record.key] = _found(activity is not None and self._holds(record, activity))
            else:
                found[record.key] = Found.UNKNOWN
        return found

    def received(self, operation: Operation) -> None:
        """Youzan keeps no receipts that could be counted."""
        return

    def _apply(self, change: TagChange) -> Outcome:
        add = [self._label(tag) for tag in change.add]
        remove = [name for name in map(self._label, change.remove) if name not in add]
        for endpoint, names in ((api.DELETE_TAGS, remove), (api.ADD_TAGS, add)):
            for start in range(0, len(names), endpoint.page_size):
                tags = [{"tag_name": name} for name in names[start : start + endpoint.page_size]]
                answer = self._shop.change(endpoint, {**_account(change.source_id), "tags": tags})
                if answer is False:
                    return rejected(change.key, "Youzan refuses the tags of this customer")
        return applied(change.key)

    def _has_tags(self, change: TagChange) -> bool:
        data = self._shop.ask(api.GET_TAGS, _account(change.source_id)).get("data") or []
        held = {str(tag.get("tag_name", tag.get("name"))) for tag in _tags_of(data)}
        wanted = {self._label(tag) for tag in change.add}
        return wanted <= held and not ({self._label(tag) for tag in change.remove} - wanted) & held

    def _label(self, tag: Tag) -> str:
        return label(self._prefix, tag, characters=LABEL_CHARACTERS)

    def _send(self, coupon: CouponIssue) -> Outcome:
        activity = self._activities.get(coupon.campaign_id)
        if activity is None:
            words = "destinations.yml names no activity of Youzan for this campaign (`activities`)"
            return rejected(coupon.key, words)
        try:
            if self._holds(coupon, activity):
                return already(coupon.key)
        except DoubtfulError as error:
            return retry_after(coupon.key, PAUSE_SECONDS, str(error))  # nothing was sent yet
        self._shop.change(api.SEND_VOUCHER, {"activity_id": int(activity), "yz_open_id": coupon.source_id})
        return applied(coupon.key)

    def _holds(self, coupon: CouponIssue, activity: str) -> bool:
        """Whether the customer was sent a voucher of the activity on or after the day of the decision."""
        decided_at = datetime.combine(coupon.decided_on, time(), CHINA).timestamp() * 1000
        asked = {"yz_open_id": coupon.source_id, "activity_type_group": _COUPONS, "status": 0}
        for page in range(1, _MOST_PAGES + 1):
            answer = self._shop.ask(api.VOUCHERS, {**asked, "page_num": page, "page_size": api.VOUCHERS.page_size})
            vouchers = answer.get("data") or []
            for voucher in vouchers:
                if str(voucher.get("activity_id")) == activity and _sent_at(voucher) >= decided_at:
                    return True
            if len(vouchers) < api.VOUCHERS.page_size:
                break
        return False


def _account(source_id: str) -> dict[str, str]:
    return {"account_type": "YzOpenId", "account_id": source_id}


def _tags_of(data: Any) -> list[Mapping[str, Any]]:
    tags = data.get("tags") or data.get("tag_list") or [] if isinstance(data, dict) else data
    return [tag for tag in tags if isinstance(tag, dict)]


def _sent_at(voucher: Mapping[str, Any]) -> float:
    """Milliseconds since 1970; a voucher that doesn't say is taken for a new one, since a second would cost."""
    sent_at = voucher.get("send_at")
    if not isinstance(sent_at, int) or sent_at <= 0:
        return float("inf")
    return float(sent_at) if sent_at >= 100_000_000_000 else sent_at * 1000.0


def _found(is_there: bool) -> Found:
    return Found.PRESENT if is_there else Found.ABSENT
