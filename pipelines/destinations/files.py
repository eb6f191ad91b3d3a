"""Destination `files`: what goes out as CSV or Parquet, for SMS and e-mail providers that import files, and for people
who look.

Layout: DIRECTORY/{tags,recommendations,coupons,revocations}/<as-of>-<digest of the keys>.<format>, CSV in UTF-8 with a
header line, one batch a file. A file's name follows from its records alone: sending the same batch again replaces the
file by itself. Every row carries `key` (unique per delivery; a receiver that keeps the keys it has seen can never apply
one twice) and `version` (counts up per customer and kind). Values are verbatim, since machines read these files;
exports for people neutralise formulas, these do not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pipelines.connectors.options import SettingsReader
from pipelines.connectors.protocol import Options
from pipelines.destinations.file_formats import FORMATS, Row, read_rows, write_rows
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
from pipelines.errors import ConfigurationError

_FOLDERS = {
    Operation.TAGS: "tags",
    Operation.RECOMMENDATIONS: "recommendations",
    Operation.COUPON: "coupons",
    Operation.REVOKE: "revocations",
}
NOTICE_DAYS = 7
"""How long a withdrawal stays readable: receivers copy the files when it suits them."""

CONTACTS = ("phone", "email")
_COMMON = ["key", "customer_id", "source_ids", "version"]
_CONTACT = "contact"
_NEEDED = ("key", "customer_id")
"""What every layout must hold: without the key a repetition isn't recognised, without the customer nobody is erased."""
_PERSONAL = ("customer_id", "source_ids", _CONTACT)
_FIELDS = {
    Operation.TAGS: [*_COMMON, "action", "tag", "value"],
    Operation.RECOMMENDATIONS: [*_COMMON, "rank", "sku", "reason", "store_id"],
    Operation.COUPON: [
        *_COMMON, "campaign_id", "wave", "coupon_code", "kind", "value", "threshold", "currency", "valid_from",
        "valid_to", "max_discount",
    ],
    Operation.REVOKE: [*_COMMON, "campaign_id", "wave", "coupon_code", "coupon_key", "reason"],
}  # fmt: skip


def connect(name: str, operations: Iterable[Operation], options: Options, prefix: str) -> FilesDestination:
    """Settings: directory, HOME/outbound/NAME unless given; format, csv unless given; contact, phone or email, if the
    receiver needs one; columns, a mapping of the receiver's column names to our fields, all of ours unless given. With
    a channel, its member ids are the addresses, else our customer ids. The folder is ours alone, so nothing in it needs
    `prefix`.
    """
    read = SettingsReader(options, f"Destination {name!r} of kind files")
    directory = Path(read.text("directory")).expanduser()
    form, contact = read.text("format", "csv"), read.text("contact", None)
    columns = {str(column): str(field) for column, field in read.mapping("columns").items()}
    read.end()
    if form not in FORMATS:
        raise ConfigurationError(f"Destination {name!r} has format {form!r}; choose one of: {', '.join(FORMATS)}.")
    if contact not in (None, *CONTACTS):
        raise ConfigurationError(f"Destination {name!r} has contact {contact!r}; choose one of: {', '.join(CONTACTS)}.")
    operations = tuple(operations)
    _check_columns(name, columns, operations, contact)
    return FilesDestination(
        name, directory, operations, channel=options.channel or None, form=form, contact=contact, columns=columns
    )


def _check_columns(name: str, columns: dict[str, str], operations: Iterable[Operation], contact: str | None) -> None:
    if not columns:
        return
    laid_out = [operation for operation in operations if operation is not Operation.REVOKE]
    known = set[str].intersection(*(set(_FIELDS[operation]) for operation in laid_out or _FIELDS))
    known |= {_CONTACT} if contact else set()
    unknown = sorted(set(columns.values()) - known)
    missing = [field for field in _NEEDED if field not in columns.values()]
    if unknown or missing:
        wrong = f"names {', '.join(unknown)}" if unknown else f"lacks {', '.join(missing)}"
        raise ConfigurationError(
            f"Destination {name!r} has columns that {wrong}; map each column to one of {', '.join(sorted(known))}, "
            f"and {' and '.join(_NEEDED)} to one each."
        )


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
        form: str = "csv",
        contact: str | None = None,
        columns: dict[str, str] | None = None,
    ) -> None:
        self.name = name
        self._directory = directory
        self._form = form
        self._columns = columns
        self._capabilities = Capabilities(
            operations=frozenset(operations),
            batch_size=dict.fromkeys(Operation, batch_size),
            reads_back=frozenset(Operation),
            resend_is_safe=frozenset(Operation),
            channel=channel,
            contact=contact,
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
        """Empty whatever names these customers; the files keep their names and keys."""
        return sum(
            self._blank_file(path, operation, frozenset(customers))
            for operation in _FOLDERS
            for path in self._files(operation)
        )

    def _files(self, operation: Operation) -> list[Path]:
        folder = self._directory / _FOLDERS[operation]
        return sorted(path for form in FORMATS for path in folder.glob(f"*.{form}"))

    def _layout(self, operation: Operation) -> dict[str, str]:
        """Our field by column, in the order of the columns."""
        # What is taken back has fields of its own, and comes along wherever coupons are issued.
        if self._columns and operation is not Operation.REVOKE:
            return self._columns
        fields = [*_FIELDS[operation], *([_CONTACT] if self._capabilities.contact else [])]
        return dict(zip(fields, fields, strict=True))

    def _column_of(self, operation: Operation, header: Sequence[str], field: str) -> int | None:
        """Where a file keeps a field: under the name of today's layout, or under its own if it is older than that."""
        names = [column for column, ours in self._layout(operation).items() if ours == field]
        return next((header.index(name) for name in (*names, field) if name in header), None)

    def _keys(self, operation: Operation) -> Iterator[str]:
        for path in self._files(operation):
            header, rows = read_rows(path)
            place = self._column_of(operation, header, "key")
            yield from (str(row[place]) for row in rows if place is not None)

    def _blank_file(self, path: Path, operation: Operation, customers: frozenset[str]) -> int:
        header, rows = read_rows(path)
        customer = self._column_of(operation, header, "customer_id")
        theirs = [row for row in rows if customer is not None and row[customer] in customers]
        if not theirs:
            return 0
        places = [self._column_of(operation, header, field) for field in _PERSONAL]
        for row in theirs:
            for place in places:
                if place is not None:
                    row[place] = ""
        write_rows(path, header, rows, private=self._capabilities.contact is not None)
        return len(theirs)

    def _write(
        self, operation: Operation, records: Sequence[Any], rows_of: Callable[[Any], Iterator[list[Any]]]
    ) -> list[Outcome]:
        if not records:
            return []
        folder = self._directory / _FOLDERS[operation]
        folder.mkdir(parents=True, exist_ok=True)
        ordered = sorted(records, key=lambda record: record.key)
        layout = self._layout(operation)
        rows: list[Row] = []
        for record in ordered:
            for values in rows_of(record):
                by_field = dict(zip(_FIELDS[operation], values, strict=True))
                by_field[_CONTACT] = record.recipient.contact
                rows.append([_text(by_field[field]) for field in layout.values()])
        digest = hashlib.sha256("\n".join(record.key for record in ordered).encode()).hexdigest()[:20]
        as_of = max(record.decided_on for record in ordered).isoformat()
        path = folder / f"{as_of}-{digest}.{self._form}"
        write_rows(path, list(layout), rows, private=self._capabilities.contact is not None)
        return [applied(record.key) for record in records]


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


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
