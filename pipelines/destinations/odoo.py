"""Destination `odoo`: tags, coupons and recommendations on the contacts of an Odoo 19 point of sale.

Belongs here: loyalty cards with our codes, one text field for recommendations, and an outcome per record. Does not
belong here: contact tags (odoo_tags), what an offer is at the till (odoo_programs), and how Odoo is spoken to
(connectors.odoo_api). Contacts are addressed by the member ids of the channel, which are their ids.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypeVar

from pipelines.connectors.odoo_api import OdooApi, id_of, open_api, record_id
from pipelines.connectors.odoo_api import Record as OdooRecord
from pipelines.connectors.options import SettingsReader
from pipelines.connectors.protocol import Options
from pipelines.destinations.odoo_programs import Programs, UnsupportedOfferError
from pipelines.destinations.odoo_tags import ContactTags
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
    already,
    applied,
    rejected,
    retry_after,
    unknown,
)
from pipelines.destinations.recommendation_text import list_text, stored_list
from pipelines.errors import ConfigurationError
from pipelines.http import BusyError, CredentialsError, DoubtfulError, RefusedError

_BATCH = {Operation.TAGS: 200, Operation.COUPON: 100, Operation.RECOMMENDATIONS: 100, Operation.REVOKE: 100}
_CARD = ["id", "code", "partner_id", "points"]
_NOBODY = "Odoo has no such contact"
_NO_MAIL = {"loyalty_no_mail": True}
"""omnilake tells the customer: Odoo must not send a mail of its own with the card."""
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")

R = TypeVar("R", bound=Record)


def connect(name: str, operations: Iterable[Operation], options: Options, prefix: str) -> OdooDestination:
    """The destination of an entry. Raises ConfigurationError naming the entry, the setting and the remedy.

    Settings beside those of `open_api`: recommendations_field, the name of a text field of contacts.
    """
    where = f"destinations.yml: destination {name!r}"
    read = SettingsReader(options, where)
    api = open_api(read, options.channel)
    field = read.text("recommendations_field", "x_omnilake_recommendations")
    read.end()
    if not options.channel:
        raise ConfigurationError(
            f"{where} of kind odoo names no channel; add `channel:`, the channel whose member ids are this server's "
            "contact ids."
        )
    if not re.fullmatch(r"x_[a-z0-9_]{1,60}", field):
        raise ConfigurationError(
            f"{where} has recommendations_field {field!r}; Odoo wants x_ and then small letters, digits and _."
        )
    return OdooDestination(name, operations, api, options.channel, prefix, field)


class OdooDestination:
    """One database's push side. Every effect may be repeated: a tag is there or not, and codes of cards are unique."""

    def __init__(
        self, name: str, operations: Iterable[Operation], api: OdooApi, channel: str, prefix: str, field: str
    ) -> None:
        self.name = name
        self._api = api
        self._tags = ContactTags(api, prefix)
        self._programs = Programs(api, prefix)
        self._field = field
        self._lock = threading.Lock()
        self._has_field: bool | None = None
        taken = frozenset(operations)
        self._capabilities = Capabilities(
            operations=taken,
            batch_size={operation: _BATCH[operation] for operation in taken},
            reads_back=taken,
            resend_is_safe=taken,
            channel=channel,
        )

    def capabilities(self) -> Capabilities:
        return self._capabilities

    def resolve_customer(self, recipient: Recipient) -> str | None:
        """The address itself, if it can be an id; whether Odoo still has the contact is said by the effect."""
        return recipient.address if record_id(recipient.address) else None

    def apply_tags(self, changes: Sequence[TagChange]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for turn in _turns(changes):
            held = self._tags.held([number for change in turn if (number := record_id(change.source_id))])
            groups: dict[tuple[tuple[int, ...], tuple[int, ...]], list[TagChange]] = {}
            for change in turn:
                has = held.get(record_id(change.source_id) or 0)
                if has is None:
                    outcomes.append(rejected(change.key, _NOBODY))
                    continue
                add, remove = self._tags.difference(change, has)
                if add or remove:
                    groups.setdefault((add, remove), []).append(change)
                else:
                    outcomes.append(already(change.key))
            for (add, remove), group in groups.items():
                outcomes += _sent(group, partial(self._write_tags, add, remove))
        return outcomes

    def _write_tags(self, add: Sequence[int], remove: Sequence[int], changes: Sequence[TagChange]) -> list[Outcome]:
        self._tags.write([record_id(change.source_id) or 0 for change in changes], add, remove)
        return [applied(change.key) for change in changes]

    def issue_coupon(self, coupons: Sequence[CouponIssue]) -> list[Outcome]:
        if not coupons:
            return []
        cards = self._cards(coupons)
        known = self._contacts(coupons, ["id"])
        outcomes, missing = [], []
        for coupon in coupons:
            if coupon.code in cards:
                outcomes.append(self._existing(coupon, cards[coupon.code]))
            elif record_id(coupon.source_id) not in known:
                outcomes.append(rejected(coupon.key, _NOBODY))
            else:
                missing.append(coupon)
        return outcomes + (_sent(missing, self._create) if missing else [])

    def _create(self, coupons: Sequence[CouponIssue]) -> list[Outcome]:
        """New cards in one call, all or none. A code that somebody made meanwhile is refused, and looked up again."""
        outcomes, values, made = [], [], []
        for coupon in coupons:
            try:
                program = self._programs.of(coupon)
            except UnsupportedOfferError as error:
                outcomes.append(rejected(coupon.key, str(error)))
                continue
            made.append(coupon)
            values.append(
                {
                    "code": coupon.code,
                    "program_id": program,
                    "partner_id": record_id(coupon.source_id),
                    "points": 1,
                    "expiration_date": coupon.valid_to.isoformat(),
                }
            )
        if not made:
            return outcomes
        try:
            self._api.effect("loyalty.card", "create", vals_list=values, context=_NO_MAIL)
        except RefusedError:
            self._programs.forget()
            if len(coupons) > 1:
                raise
            card = self._cards(coupons).get(coupons[0].code)
            if card is None:
                raise
            return [self._existing(coupons[0], card)]
        return outcomes + [applied(coupon.key) for coupon in made]

    def _existing(self, coupon: CouponIssue, card: OdooRecord) -> Outcome:
        if _is_for(coupon, card):
            return already(coupon.key)
        return rejected(coupon.key, "the code belongs to a card of somebody else")

    def revoke_coupon(self, revocations: Sequence[CouponRevocation]) -> list[Outcome]:
        """A card without points buys nothing; it stays, as the receipt of what was issued. One that was redeemed has
        none left either."""
        cards = self._cards(revocations)
        full = {one.code: cards[one.code] for one in revocations if one.code in cards and cards[one.code]["points"]}
        if full:
            numbers = sorted(int(card["id"]) for card in full.values())
            self._api.effect("loyalty.card", "write", ids=numbers, vals={"points": 0}, context=_NO_MAIL)
        return [applied(one.key) if one.code in full else already(one.key) for one in revocations]

    def put_recommendations(self, lists: Sequence[RecommendationList]) -> list[Outcome]:
        if not lists:
            return []
        if not self._field_is_there():
            words = f"unsupported: contacts have no text field {self._field}, and the API key's user may not make it"
            return [rejected(one.key, words) for one in lists]
        outcomes: list[Outcome] = []
        for turn in _turns(lists):
            stored = self._contacts(turn, ["id", self._field])
            to_write = []
            for one in turn:
                contact = stored.get(record_id(one.source_id) or 0)
                if contact is None:
                    outcomes.append(rejected(one.key, _NOBODY))
                elif stored_list(contact[self._field]).covers(one):
                    outcomes.append(already(one.key))
                else:
                    to_write.append(one)
            if to_write:
                outcomes += _sent(to_write, self._write_lists)
        return outcomes

    def _write_lists(self, lists: Sequence[RecommendationList]) -> list[Outcome]:
        """Many contacts, each its own text, in one call; Odoo takes all of them or none."""
        rows = [[record_id(one.source_id), _CONTROL.sub("", list_text(one))] for one in lists]
        answer = self._api.effect("res.partner", "load", fields=[".id", self._field], data=rows)
        if not answer["ids"]:
            raise RefusedError("Odoo refuses the texts of these contacts.")
        return [applied(one.key) for one in lists]

    def _field_is_there(self) -> bool:
        """Whether contacts have the field; it is made where we may."""
        with self._lock:
            if self._has_field is None:
                self._has_field = bool(self._api.existing_fields("res.partner", [self._field])) or self._make_field()
            return self._has_field

    def _make_field(self) -> bool:
        try:
            model = self._api.search_read("ir.model", [["model", "=", "res.partner"]], ["id"])[0]["id"]
            values = {"model_id": model, "name": self._field, "field_description": "omnilake", "ttype": "text"}
            self._api.effect("ir.model.fields", "create", vals_list=[values])
        except (CredentialsError, RefusedError):
            return bool(self._api.existing_fields("res.partner", [self._field]))  # somebody else made it meanwhile?
        return True

    def read_back(self, operation: Operation, records: Sequence[Record]) -> dict[str, Found]:
        match operation:
            case Operation.TAGS:
                changes = [record for record in records if isinstance(record, TagChange)]
                held = self._tags.held([number for change in changes if (number := record_id(change.source_id))])
                there = {
                    change.key: (has := held.get(record_id(change.source_id) or 0)) is not None
                    and not any(self._tags.difference(change, has, make=False))
                    for change in changes
                }
            case Operation.COUPON:
                coupons = [record for record in records if isinstance(record, CouponIssue)]
                cards = self._cards(coupons)
                there = {one.key: one.code in cards and _is_for(one, cards[one.code]) for one in coupons}
            case Operation.RECOMMENDATIONS:
                lists = [record for record in records if isinstance(record, RecommendationList)]
                stored: dict[int, OdooRecord] = {}
                if self._api.existing_fields("res.partner", [self._field]):
                    stored = self._contacts(lists, ["id", self._field])
                there = {
                    one.key: stored_list(stored.get(record_id(one.source_id) or 0, {}).get(self._field)).covers(one)
                    for one in lists
                }
            case Operation.REVOKE:
                revoked = [record for record in records if isinstance(record, CouponRevocation)]
                cards = self._cards(revoked)
                there = {one.key: one.code in cards and not cards[one.code]["points"] for one in revoked}
        return {key: Found.PRESENT if is_there else Found.ABSENT for key, is_there in there.items()}

    def received(self, operation: Operation) -> int | None:
        """Cards of ours; tags and texts keep no receipt."""
        if operation is not Operation.COUPON:
            return None
        domain = [["program_id", "in", self._programs.ids()]]
        count: int = self._api.read("loyalty.card", "search_count", domain=domain, context={"active_test": False})
        return count

    def _cards(self, coupons: Sequence[CouponIssue | CouponRevocation]) -> dict[str, OdooRecord]:
        codes = [coupon.code for coupon in coupons]
        return {
            str(card["code"]): card for card in self._api.search_read("loyalty.card", [["code", "in", codes]], _CARD)
        }

    def _contacts(self, records: Sequence[Record], fields: Sequence[str]) -> dict[int, OdooRecord]:
        ids = [number for record in records if (number := record_id(record.source_id))]
        return {contact["id"]: contact for contact in self._api.search_read("res.partner", [["id", "in", ids]], fields)}


def _is_for(coupon: CouponIssue, card: OdooRecord) -> bool:
    return id_of(card["partner_id"]) == record_id(coupon.source_id)


def _turns(records: Sequence[R]) -> list[list[R]]:
    """The records in turns, each contact at most once a turn: a later change sees what the earlier one left."""
    turns: list[list[R]] = []
    count: dict[str, int] = {}
    for record in records:
        turn = count.get(record.source_id, 0)
        count[record.source_id] = turn + 1
        if turn == len(turns):
            turns.append([])
        turns[turn].append(record)
    return turns


def _sent(records: Sequence[R], send: Callable[[Sequence[R]], list[Outcome]]) -> list[Outcome]:
    """The outcomes of one call, which Odoo does whole or not at all. One that is refused is halved until the record
    that is at fault stands alone. No connection and refused credentials are raised: they say nothing of a record."""
    try:
        return send(records)
    except RefusedError as error:
        if len(records) == 1:
            return [rejected(records[0].key, str(error))]
        half = len(records) // 2
        return _sent(records[:half], send) + _sent(records[half:], send)
    except BusyError as error:
        return [retry_after(record.key, max(error.seconds, 1.0), str(error)) for record in records]
    except DoubtfulError as error:
        return [unknown(record.key, str(error)) for record in records]
