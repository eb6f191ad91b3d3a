"""Destination `wechat`: tags of the followers of an official account 公众号.

Belongs here: our records as WeChat's calls, and what its answers mean. Does not belong here: the calls' manners
(connectors.wechat_api).

The channel is the official account's: its member ids are the openids of its followers, which are others than those of
a shop. WeChat tags fifty followers a call with one tag; one of them whom it refuses makes it refuse the fifty, which
are then sent in halves. An account has a hundred tags, a follower twenty. A coupon can't be given to a person (a
shop's coupons are claimed), and recommendations have no place.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence

from pipelines.connectors.options import SettingsReader
from pipelines.connectors.protocol import Options
from pipelines.connectors.wechat_api import WeChat, open_account
from pipelines.destinations.labels import label
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
    applied,
    rejected,
)
from pipelines.errors import ConfigurationError
from pipelines.http import RefusedError

LABEL_CHARACTERS, LABEL_BYTES = 30, 30
_CONCURRENCY = 4
_FOLLOWERS_A_CALL = 50
_REFUSALS = {
    "40003": "WeChat knows no such openid",
    "49003": "the openid is of another account",
    "45059": "the follower has twenty tags already",
}
"""Codes that are about one of the followers of a call."""
_NAME_TAKEN, _TOO_MANY_TAGS, _NO_SUCH_TAG = "45157", "45056", "45159"


def connect(name: str, operations: Iterable[Operation], options: Options, prefix: str) -> WeChatDestination:
    """The destination of an entry. Raises ConfigurationError naming the channel, the setting and the remedy."""
    read = SettingsReader(options)
    account = open_account(read, options.channel)
    read.text("store_id", "online")
    read.secret("message_token", None)
    read.secret("encoding_aes_key", None)
    read.end()
    try:
        label(prefix, Tag("", "x" * 255), characters=LABEL_CHARACTERS, size=LABEL_BYTES)
    except ValueError as error:
        raise ConfigurationError(f"destinations.yml: destination {name!r}: {error}; choose a shorter one.") from error
    return WeChatDestination(name, operations, account, options.channel, prefix)


class WeChatDestination:
    """One official account's push side. Addresses are the openids of its followers."""

    def __init__(self, name: str, operations: Iterable[Operation], account: WeChat, channel: str, prefix: str) -> None:
        self.name = name
        self._account = account
        self._prefix = prefix
        taken = frozenset(operations) & {Operation.TAGS}
        self._capabilities = Capabilities(
            operations=taken,
            batch_size=dict.fromkeys(taken, _FOLLOWERS_A_CALL),
            reads_back=taken,
            resend_is_safe=taken,
            channel=channel or None,
            concurrency=_CONCURRENCY,
        )
        self._lock = threading.Lock()
        self._ids: dict[str, int] | None = None

    def capabilities(self) -> Capabilities:
        return self._capabilities

    def resolve_customer(self, recipient: Recipient) -> str | None:
        """The address itself: whether it is a follower's is said by the answer to the effect."""
        return recipient.address or None

    def apply_tags(self, changes: Sequence[TagChange]) -> list[Outcome]:
        refused: dict[str, str] = {}
        # Off before on: a follower with twenty tags has room only then.
        for path, tags_of in (("batchuntagging", self._off), ("batchtagging", self._on)):
            for name in sorted({name for change in changes for name in tags_of(change)}):
                tag_id = self._tag_id(name, create=path == "batchtagging")
                if tag_id is None:
                    continue  # nobody can have a tag that there isn't
                openids = [one.source_id for one in changes if name in tags_of(one) and one.source_id not in refused]
                self._call(f"/cgi-bin/tags/members/{path}", tag_id, list(dict.fromkeys(openids)), refused)
        return [
            rejected(one.key, refused[one.source_id]) if one.source_id in refused else applied(one.key)
            for one in changes
        ]

    def issue_coupon(self, coupons: Sequence[CouponIssue]) -> list[Outcome]:
        return [rejected(one.key, "WeChat gives no coupon to a person") for one in coupons]

    def put_recommendations(self, lists: Sequence[RecommendationList]) -> list[Outcome]:
        return [rejected(one.key, "WeChat takes no recommendations") for one in lists]

    def read_back(self, operation: Operation, records: Sequence[Record]) -> dict[str, Found]:
        found = {}
        for record in records:
            if isinstance(record, TagChange) and operation is Operation.TAGS:
                found[record.key] = Found.PRESENT if self._has_tags(record) else Found.ABSENT
            else:
                found[record.key] = Found.UNKNOWN
        return found

    def received(self, operation: Operation) -> None:
        """WeChat keeps no receipts that could be counted."""
        return

    def _on(self, change: TagChange) -> set[str]:
        return {self._label(tag) for tag in change.add}

    def _off(self, change: TagChange) -> set[str]:
        return {self._label(tag) for tag in change.remove} - self._on(change)

    def _label(self, tag: Tag) -> str:
        return label(self._prefix, tag, characters=LABEL_CHARACTERS, size=LABEL_BYTES)

    def _has_tags(self, change: TagChange) -> bool:
        try:
            answer = self._account.ask("/cgi-bin/tags/getidlist", {"openid": change.source_id})
        except RefusedError as error:
            if error.code in _REFUSALS:
                return False
            raise
        held = set(answer.get("tagid_list") or [])
        on = [self._tag_id(name, create=False) for name in self._on(change)]
        off = [self._tag_id(name, create=False) for name in self._off(change)]
        return all(tag_id in held for tag_id in on) and not any(tag_id in held for tag_id in off)

    def _call(self, path: str, tag_id: int, openids: list[str], refused: dict[str, str]) -> None:
        """Tag or untag so many followers; those whom WeChat refuses go into `refused`."""
        for start in range(0, len(openids), _FOLLOWERS_A_CALL):
            part = openids[start : start + _FOLLOWERS_A_CALL]
            try:
                self._account.change(path, {"openid_list": part, "tagid": tag_id})
            except RefusedError as error:
                if error.code == _NO_SUCH_TAG:
                    with self._lock:
                        self._ids = None  # deleted by somebody: listed anew the next time
                if error.code not in _REFUSALS:
                    raise
                if len(part) == 1:
                    refused[part[0]] = _REFUSALS[error.code]
                    continue
                middle = (len(part) + 1) // 2
                self._call(path, tag_id, part[:middle], refused)
                self._call(path, tag_id, part[middle:], refused)

    def _tag_id(self, name: str, create: bool) -> int | None:
        """The id of the account's tag of that name; None if there is none and none is to be made."""
        with self._lock:
            if self._ids is None:
                self._ids = self._listed_tags()
            if name not in self._ids and create:
                self._ids = self._made_tag(name)
            return self._ids.get(name)

    def _listed_tags(self) -> dict[str, int]:
        tags = self._account.get("/cgi-bin/tags/get").get("tags") or []
        return {str(tag["name"]): int(tag["id"]) for tag in tags}

    def _made_tag(self, name: str) -> dict[str, int]:
        """The account's tags with one of that name. A name is unique, so another's attempt at it is as good as ours."""
        try:
            self._account.change("/cgi-bin/tags/create", {"tag": {"name": name}})
        except RefusedError as error:
            if error.code == _TOO_MANY_TAGS:
                raise RefusedError("The official account has its hundred tags.", code=error.code) from None
            if error.code != _NAME_TAKEN:
                raise
        return self._listed_tags()
