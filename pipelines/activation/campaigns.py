"""campaigns.yml: who gets which coupon, as checked configuration.

Belongs here: reading and checking the file, and what follows from it alone (the wave of a date, what one coupon can
cost). Does not belong here: deciding about persons (decisions).
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from pipelines.errors import ConfigurationError
from pipelines.feeds.currencies import CURRENCIES
from pipelines.settings import Settings


def _exact(value: Any) -> Any:
    # YAML reads 0.1 as a float; its shortest text is what was written.
    return str(value) if isinstance(value, float) else value


Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=64)]
Money = Annotated[Decimal, BeforeValidator(_exact), Field(ge=0, max_digits=14, decimal_places=2, allow_inf_nan=False)]
Share = Annotated[Decimal, BeforeValidator(_exact), Field(ge=0, lt=1, allow_inf_nan=False)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Audience(_Strict):
    """Members of any of the segments and, if both are given, in any of the lifecycle stages."""

    segments: tuple[str, ...] = ()
    lifecycle: tuple[Literal["new", "active", "at_risk", "dormant", "lost"], ...] = ()

    @model_validator(mode="after")
    def _not_empty(self) -> Audience:
        if not self.segments and not self.lifecycle:
            raise ValueError("name at least one of segments, lifecycle")
        return self


class OfferSettings(_Strict):
    """What a coupon is worth. Money in `currency`."""

    kind: Literal["amount_off", "percent_off", "gift"]
    value: Money
    threshold: Money = Decimal(0)
    currency: str
    valid_days: int = Field(ge=1, le=3650)
    max_discount: Money | None = None

    @model_validator(mode="after")
    def _sound(self) -> OfferSettings:
        if self.currency not in CURRENCIES:
            raise ValueError(f"currency {self.currency!r} is no ISO 4217 code such as CNY")
        if self.kind != "gift" and self.value == 0:
            raise ValueError("value must be more than 0")
        if self.kind == "percent_off" and (self.value > 100 or self.max_discount is None):
            raise ValueError("percent_off needs a value of at most 100 and a max_discount, which bounds its cost")
        return self

    @property
    def liability_cents(self) -> int:
        """The most that one coupon can cost, in hundredths of `currency`."""
        worst = self.max_discount if self.kind == "percent_off" and self.max_discount is not None else self.value
        return int(worst * 100)


class Holdout(_Strict):
    """share: part of the decided that gets nothing. salt: changing it draws anew; the campaign's id by default."""

    share: Share = Decimal(0)
    salt: str | None = None


class Budget(_Strict):
    """Both limits hold where both are given, over the campaign's whole life."""

    liability: Money | None = None
    coupons: int | None = Field(default=None, ge=0)

    @model_validator(mode="after")
    def _not_empty(self) -> Budget:
        if self.liability is None and self.coupons is None:
            raise ValueError("name at least one of liability, coupons")
        return self


class Cap(_Strict):
    """At most so many coupons within so many days, over all campaigns or those of one kind."""

    campaign_kind: str | None = None
    at_most: int = Field(ge=1)
    days: int = Field(ge=1, le=3650)


class Campaign(_Strict):
    """One campaign; see the head of campaigns.yml for each setting."""

    name: dict[str, str] = Field(default_factory=dict)
    kind: Name
    audience: Audience
    offer: OfferSettings
    holdout: Holdout = Holdout()
    budget: Budget
    priority: Literal["monetary", "random"] = "monetary"
    destinations: tuple[str, ...] | None = Field(default=None, min_length=1)
    send_cost: Money | None = None
    wave: Name | None = None
    wave_days: int | None = Field(default=None, ge=1)
    starts_on: date | None = None
    ends_on: date | None = None

    @model_validator(mode="after")
    def _sound(self) -> Campaign:
        if self.wave is not None and self.wave_days is not None:
            raise ValueError("give wave or wave_days, not both")
        if self.wave_days is not None and self.starts_on is None:
            raise ValueError("wave_days counts from starts_on, which is missing")
        if self.starts_on and self.ends_on and self.ends_on < self.starts_on:
            raise ValueError("ends_on lies before starts_on")
        if self.destinations and len(set(self.destinations)) < len(self.destinations):
            raise ValueError("destinations names one of them twice")
        return self

    def runs_on(self, as_of: date) -> bool:
        """Whether somebody may be decided on that date."""
        return (self.starts_on or as_of) <= as_of <= (self.ends_on or as_of)

    def wave_on(self, as_of: date) -> str:
        """The wave of that date: the named one, or `starts_on` plus whole steps of wave_days, counted from 1."""
        if self.wave_days is not None and self.starts_on is not None:
            return str((as_of - self.starts_on).days // self.wave_days + 1)
        return self.wave or "1"


class CampaignFile(_Strict):
    """The whole file. `campaigns` by id, in the order of the file: earlier ones are decided first."""

    caps: tuple[Cap, ...] = ()
    campaigns: dict[Name, Campaign] = Field(default_factory=dict)


def load_campaigns(settings: Settings, destinations: set[str] | None = None) -> CampaignFile:
    """Read and check campaigns.yml; `destinations` are the names that campaigns may use.

    Raises ConfigurationError naming the file, the entry and the remedy.
    """
    path = settings.reference("campaigns.yml")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not readable YAML: {error}") from error
    try:
        parsed = CampaignFile.model_validate(content or {})
    except ValidationError as error:
        raise ConfigurationError(f"{path}: {_in_words(error)}.") from error
    if destinations is not None:
        _check_destinations(path, parsed, destinations)
    return parsed


def _check_destinations(path: Path, parsed: CampaignFile, destinations: set[str]) -> None:
    for campaign_id, campaign in parsed.campaigns.items():
        missing = set(campaign.destinations or ()) - destinations
        if missing:
            raise ConfigurationError(
                f"{path}: campaigns.{campaign_id}.destinations names {', '.join(sorted(missing))}; "
                f"destinations.yml has: {', '.join(sorted(destinations)) or 'none'}."
            )


def _in_words(error: ValidationError) -> str:
    faults = []
    for fault in error.errors():
        where = ".".join(str(part) for part in fault["loc"]) or "the file"
        message = fault["msg"].removeprefix("Value error, ")
        faults.append(f"{where}: {message[:1].lower()}{message[1:]}")
    return "; ".join(faults)
