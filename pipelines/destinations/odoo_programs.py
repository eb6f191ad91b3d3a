"""Offers as Odoo's loyalty programs: one program per campaign and offer, found again by its external id.

Belongs here: what an offer means at the till. Does not belong here: cards, which are one person's.
"""

from __future__ import annotations

import hashlib
import threading
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from pipelines.connectors.odoo_api import OdooApi, external_module, id_of
from pipelines.destinations.protocol import CouponIssue
from pipelines.http import CredentialsError

_MODEL = "loyalty.program"
_DIGEST = 16


class UnsupportedOfferError(Exception):
    """The till can't honour this offer. The message says why."""


@dataclass(frozen=True)
class _Terms:
    """What makes a program. starts_on: only of a coupon that is sent before it holds; None: at once."""

    campaign_id: str
    kind: str
    value: Decimal
    threshold: Decimal
    currency: str
    starts_on: date | None
    max_discount: Decimal | None

    def digest(self, prefix: str) -> str:
        parts = (
            prefix, self.campaign_id, self.kind, _number(self.value), _number(self.threshold), self.currency,
            self.starts_on.isoformat() if self.starts_on else "",
            _number(self.max_discount) if self.max_discount is not None else "",
        )  # fmt: skip
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:_DIGEST]

    def name(self, prefix: str) -> str:
        worth = f"{_number(self.value)} %" if self.kind == "percent_off" else f"{_number(self.value)} {self.currency}"
        beyond = f" from {_number(self.threshold)} {self.currency}" if self.threshold else ""
        return f"{prefix}{self.campaign_id} {worth} off{beyond}"


class Programs:
    """Our programs in one database. Safe to share between threads."""

    def __init__(self, api: OdooApi, prefix: str) -> None:
        self._api = api
        self._prefix = prefix
        self._module = external_module(prefix)
        self._lock = threading.Lock()
        self._known: dict[str, int] | None = None
        self._currency: str | None = None

    def of(self, coupon: CouponIssue) -> int:
        """The program of a coupon's offer, made if it isn't there. Raises UnsupportedOfferError."""
        terms = self._terms(coupon)
        name = f"program_{terms.digest(self._prefix)}"
        with self._lock:
            known = self._ours()
            if name not in known:
                known[name] = self._make(name, terms)
            return known[name]

    def ids(self) -> list[int]:
        """All programs of ours, archived ones too."""
        with self._lock:
            return sorted(self._ours().values())

    def forget(self) -> None:
        """Look again at the next use: somebody may have deleted a program."""
        with self._lock:
            self._known = None

    def _terms(self, coupon: CouponIssue) -> _Terms:
        offer = coupon.offer
        if offer.kind not in ("amount_off", "percent_off"):
            raise UnsupportedOfferError(f"a till of Odoo can't give an offer of kind {offer.kind!r} without a product")
        if offer.value <= 0:
            raise UnsupportedOfferError("the offer is worth nothing")
        with self._lock:
            if self._currency is None:
                self._currency = self._company_currency()
        if offer.currency != self._currency:
            raise UnsupportedOfferError(f"the offer is in {offer.currency}, the till in {self._currency}")
        later = coupon.valid_from if coupon.valid_from > coupon.decided_on else None
        return _Terms(
            coupon.campaign_id, offer.kind, offer.value, offer.threshold, offer.currency, later, offer.max_discount
        )

    def _company_currency(self) -> str:
        user = self._api.read("res.users", "context_get")["uid"]
        company = id_of(self._api.search_read("res.users", [["id", "=", user]], ["company_id"])[0]["company_id"])
        return str(self._api.search_read("res.company", [["id", "=", company]], ["currency_id"])[0]["currency_id"][1])

    def _ours(self) -> dict[str, int]:
        """Programs by the name of their external id, which a renamed program keeps."""
        if self._known is None:
            ids = [one["id"] for one in self._api.search_read(_MODEL, [["program_type", "=", "coupons"]], ["id"])]
            names = self._api.read(_MODEL, "get_external_id", ids=ids) if ids else {}
            beginning = f"{self._module}."
            self._known = {
                name.removeprefix(beginning): int(number)
                for number, name in names.items()
                if name.startswith(f"{beginning}program_")
            }
        return self._known

    def _make(self, name: str, terms: _Terms) -> int:
        """A rule of a coupon program is a condition: points for the reward come from the card alone.

        `load` keeps the external id: a repeat after a time-out finds the program instead of making a second one. No
        plan of communication: omnilake tells the customer, Odoo must not send another mail.
        """
        for model in (_MODEL, "product.product"):  # Odoo makes a product for the discount's line on the ticket
            if not self._api.read(model, "has_access", operation="create"):
                raise CredentialsError(
                    f"The user of the API key may not create {model}, which an offer needs (docs/platforms/odoo.md)."
                )
        columns: dict[str, Any] = {
            "id": f"{self._module}.{name}",
            "name": terms.name(self._prefix),
            "program_type": "coupons",
            "trigger": "with_code",
            "applies_on": "current",
            "rule_ids/minimum_amount": _number(terms.threshold),
            "rule_ids/minimum_qty": "0",
            "reward_ids/reward_type": "discount",
            "reward_ids/discount_mode": "percent" if terms.kind == "percent_off" else "per_order",
            "reward_ids/discount": _number(terms.value),
            "reward_ids/discount_applicability": "order",
            "reward_ids/required_points": "1",
        }
        if terms.max_discount is not None:
            columns["reward_ids/discount_max_amount"] = _number(terms.max_discount)
        if terms.starts_on:
            columns["date_from"] = terms.starts_on.isoformat()
        answer = self._api.effect(_MODEL, "load", fields=list(columns), data=[list(columns.values())])
        if not answer["ids"]:
            raise UnsupportedOfferError("Odoo refuses a loyalty program of these terms")
        return int(answer["ids"][0])


def _number(amount: Decimal) -> str:
    """The shortest text of a number: 30.00 and 30 are the same terms."""
    return format(amount.normalize(), "f")
