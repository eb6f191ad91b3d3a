"""Destination `files`: what goes out as CSV files, for providers that import files and for people who look.

Layout: DIRECTORY/{tags,recommendations,coupons,revocations}/<as-of>-<digest of the keys>.csv, UTF-8, a header line, one
batch a file. A file is written as `.part`, flushed to disk and renamed, and its name follows from its records alone:
sending the same batch again replaces the file by itself. Every row carries `key` (unique per delivery; a receiver that
keeps the keys it has seen can never apply one twice) and `version` (counts up per customer and kind). Values are
verbatim, since machines read these files; exports for people neutralise formulas, these do not.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pipelines.connectors.options import SettingsReader
from pipelines.connectors.protocol import Options
from pipelines.destinations.protocol import (
    Capabilities,
    CouponIssue,
    CouponRevocation,
    Found,
    Operation,
    Outcome,
    Recipient,
    RecommendationList,
    Record,
    TagChange,
    applied,
)

_FOLDERS = {
    Operation.TAGS: "tags",
    Operation.RECOMMENDATIONS: "recommendations",
    Operation.COUPON: "coupons",
    Operation.REVOKE: "revocations",
}
NOTICE_DAYS = 7
"""How long a withdrawal stays readable: receivers copy the files when it suits them."""

_COMMON = ["key", "customer_id", "source_ids", "version"]
_HEADERS = {
    Operation.TAGS: [*_COMMON, "action", "tag", "value"],
    Operation.RECOMMENDATIONS: [*_COMMON, "rank", "sku", "reason", "store_id"],
    Operation.COUPON: [
        *_COMMON, "campaign_id", "wave", "coupon_code", "kind", "value", "threshold", "currency", "valid_from",
        "valid_to", "max_discount",
    ],
    Operation.REVOKE: [*_COMMON, "campaign_id", "wave", "coupon_code", "coupon_key", "reason"],
}  # fmt: skip


def connect(name: str, operations: Iterable[Operation], options: Options, prefix: str) -> FilesDestination:
    """Settings: directory, HOME/outbound/NAME unless given. With a channel, its member ids are the addresses, else our
    customer ids. The folder is ours alone, so nothing in it needs `prefix`.
    """
    read = SettingsReader(options, f"Destination {name!r} of kind files")
    directory = Path(read.text("directory")).expanduser()
    read.end()
    return FilesDestination(name, directory, operations, channel=options.channel or None)


class FilesDestination:
    """Writes batches beneath one folder. Takes our customer ids, or one channel's; all the channels' stand beside."""

    notice_days = NOTICE_DAYS

    def __init__(
        self,
        name: str,
        directory: Path,
        operations: Iterable[Operation],
        batch_size: int = 5000,
        channel: str | None = None,
    ) -> None:
        self.name = name
        self._directory = directory
        self._capabilities = Capabilities(
            operations=frozenset(operations),
            batch_size=dict.fromkeys(Operation, batch_size),
            reads_back=frozenset(Operation),
            resend_is_safe=frozenset(Operation),
            channel=channel,
            late_effect_seconds=0.0,  # a process that died writes no more
        )

    def capabilities(self) -> Capabilities:
        return self._capabilities

    def resolve_customer(self, recipient: Recipient) -> str | None:
        return recipient.address

    def apply_tags(self, changes: Sequence[TagChange]) -> list[Outcome]:
        return self._write(Operation.TAGS, changes, _tag_rows)

    def issue_coupon(self, coupons: Sequence[CouponIssue]) -> list[Outcome]:
        return self._write(Operation.COUPON, coupons, _coupon_rows)

    def put_recommendations(self, lists: Sequence[RecommendationList]) -> list[Outcome]:
        return self._write(Operation.RECOMMENDATIONS, lists, _recommendation_rows)

    def revoke_coupon(self, revocations: Sequence[CouponRevocation]) -> list[Outcome]:
        return self._write(Operation.REVOKE, revocations, _revocation_rows)

    def read_back(self, operation: Operation, records: Sequence[Record]) -> dict[str, Found]:
        wanted = {record.key for record in records}
        present = wanted.intersection(self._keys(operation)) if wanted else set()
        return {key: Found.PRESENT if key in present else Found.ABSENT for key in wanted}

    def received(self, operation: Operation) -> int:
        return len(set(self._keys(operation)))

    def blank(self, customers: Collection[str]) -> int:
        """Empty customer id and source ids in every row of these customers; the files keep their names and keys."""
        return sum(
            _blank_file(path, frozenset(customers))
            for folder in _FOLDERS.values()
            for path in sorted((self._directory / folder).glob("*.csv"))
        )

    def _keys(self, operation: Operation) -> Iterator[str]:
        for path in sorted((self._directory / _FOLDERS[operation]).glob("*.csv")):
            with path.open(encoding="utf-8", newline="") as file:
                rows = csv.reader(file)
                next(rows, None)
                for row in rows:
                    yield row[0]

    def _write(self, operation: Operation, records: Sequence[Any], rows_of: Any) -> list[Outcome]:
        if not records:
            return []
        folder = self._directory / _FOLDERS[operation]
        folder.mkdir(parents=True, exist_ok=True)
        ordered = sorted(records, key=lambda record: record.key)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(_HEADERS[operation])
        for record in ordered:
            writer.writerows(rows_of(record))
        digest = hashlib.sha256("\n".join(record.key for record in ordered).encode()).hexdigest()[:20]
        as_of = max(record.decided_on for record in ordered).isoformat()
        _replace_durably(folder / f"{as_of}-{digest}.csv", text.getvalue().encode("utf-8"))
        return [applied(record.key) for record in records]


def _replace_durably(path: Path, content: bytes) -> None:
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)  # the rename itself must survive a power cut, since its outcome is recorded next
    finally:
        os.close(directory)


def _blank_file(path: Path, customers: frozenset[str]) -> int:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    theirs = [row for row in rows[1:] if row[1] in customers]
    if not theirs:
        return 0
    for row in theirs:
        row[1], row[2] = "", "[]"
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    _replace_durably(path, text.getvalue().encode("utf-8"))
    return len(theirs)


def _common(record: Record) -> list[Any]:
    sources = [{"channel": source.channel, "member_id": source.member_id} for source in record.recipient.source_ids]
    return [
        record.key,
        record.recipient.customer_id,
        json.dumps(sources, ensure_ascii=False, separators=(",", ":")),
        record.version,
    ]


def _tag_rows(change: TagChange) -> Iterator[list[Any]]:
    common = _common(change)
    for action, tags in (("remove", change.remove), ("add", change.add)):
        for tag in tags:
            yield [*common, action, tag.name, tag.value]


def _recommendation_rows(recommended: RecommendationList) -> Iterator[list[Any]]:
    common = _common(recommended)
    for item in recommended.items:
        yield [*common, item.rank, item.sku, item.reason, item.store_id]
    if not recommended.items:
        # A row without a rank withdraws the list: without it the receiver would never hear of it.
        yield [*common, None, None, None, None]


def _coupon_rows(coupon: CouponIssue) -> Iterator[list[Any]]:
    offer = coupon.offer
    yield [
        *_common(coupon), coupon.campaign_id, coupon.wave, coupon.code, offer.kind, offer.value, offer.threshold,
        offer.currency, coupon.valid_from, coupon.valid_to, offer.max_discount,
    ]  # fmt: skip


def _revocation_rows(revocation: CouponRevocation) -> Iterator[list[Any]]:
    yield [
        *_common(revocation), revocation.campaign_id, revocation.wave, revocation.code, revocation.coupon_key,
        revocation.reason,
    ]  # fmt: skip
