"""figures.yml: the windows, limits and shares behind the figures, checked, and as tables for dbt.

Belongs here: reading and checking the file. Does not belong here: what the figures are (the dbt models).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import yaml

from pipelines.errors import ConfigurationError
from pipelines.settings import PACKAGED_REFERENCE, Settings

WHOLE = {
    "funnel.bot_events_a_day": (1, 10**9),
    "funnel.bot_events_a_minute": (1, 10**9),
    "funnel.min_persons": (1, 10**9),
    "funnel.min_weeks": (2, 8),
    "windows.flow_days": (1, 3650),
    "windows.scan_days": (1, 3650),
    "windows.first_order_days": (1, 3650),
    "windows.pickup_days": (1, 3650),
    "windows.points_days": (1, 36500),
    "windows.region_days": (1, 3650),
    "prices.protection_days": (1, 3650),
    "store_tiers.min_trading_days": (1, 36500),
    "store_tiers.min_peers": (2, 10**6),
}
"""Settings that are whole numbers, with the least and the greatest value."""

SHARES = ("store_tiers.S", "store_tiers.A", "store_tiers.B", "store_tiers.hysteresis")
ROLES = ("guiding", "fulfilling", "home")


@dataclass(frozen=True)
class FigureSettings:
    """figures.yml, checked. values: one a setting, named as dbt reads it (`funnel_min_persons`); weights: by role."""

    values: Mapping[str, int | Decimal]
    weights: Mapping[str, Decimal]

    def tables(self) -> dict[str, tuple[str, list[tuple[Any, ...]]]]:
        """Columns and rows of `figure_settings` (one row) and `attribution_weights` (a row a role)."""
        columns = ", ".join(
            f"{name} {'INTEGER' if isinstance(value, int) else 'DECIMAL(18,4)'}" for name, value in self.values.items()
        )
        weights = [(role, position, self.weights[role]) for position, role in enumerate(ROLES, start=1)]
        return {
            "figure_settings": (columns, [tuple(self.values.values())]),
            "attribution_weights": ("role VARCHAR, position INTEGER, weight DECIMAL(9,6)", weights),
        }


def load_figure_settings(settings: Settings) -> FigureSettings:
    """HOME/reference/figures.yml over the one that comes with the project.

    Raises ConfigurationError naming the file, the setting and what it may be.
    """
    own = settings.home / "reference" / "figures.yml"
    packaged = PACKAGED_REFERENCE / "figures.yml"
    path = own if own.is_file() else packaged
    known = _flat(packaged, _content(packaged))
    given = _flat(path, _content(path))
    for name in given:
        if name not in known:
            raise ConfigurationError(f"{path}: no such setting {name}; there are {', '.join(sorted(known))}.")
    if given.keys() & {f"attribution.{role}" for role in ROLES}:
        # Shares are given together: two of ours beside one of theirs would sum to anything.
        known = {name: value for name, value in known.items() if not name.startswith("attribution.")}
    merged = known | given
    values: dict[str, int | Decimal] = {name: _whole(path, name, merged[name]) for name in WHOLE}
    values |= {name: _number(path, name, merged[name], Decimal(1)) for name in SHARES}
    values["prices.gap"] = _number(path, "prices.gap", merged["prices.gap"], Decimal(10**9))
    if not 0 < values["store_tiers.B"] < values["store_tiers.A"] < values["store_tiers.S"]:
        raise ConfigurationError(f"{path}: store_tiers must fall from S over A to B, above 0.")
    weights = {
        role: _number(path, f"attribution.{role}", merged.get(f"attribution.{role}", 0), Decimal(1)) for role in ROLES
    }
    if sum(weights.values()) != 1:
        raise ConfigurationError(
            f"{path}: the shares of attribution sum to {sum(weights.values())}; {', '.join(ROLES)} must sum to 1."
        )
    return FigureSettings({name.replace(".", "_").lower(): value for name, value in values.items()}, weights)


def _content(path: Path) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not readable YAML: {error}") from error


def _flat(path: Path, content: Any) -> dict[str, Any]:
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path} must hold groups of settings; found {content!r}.")
    found: dict[str, Any] = {}
    for group, entries in content.items():
        if not isinstance(entries, dict):
            raise ConfigurationError(f"{path}: {group} must hold settings by name; found {entries!r}.")
        found |= {f"{group}.{name}": value for name, value in entries.items()}
    return found


def _whole(path: Path, name: str, value: Any) -> int:
    low, high = WHOLE[name]
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ConfigurationError(f"{path}: {name} is {value!r}; give a whole number from {low} to {high}.")
    return value


def _number(path: Path, name: str, value: Any, most: Decimal) -> Decimal:
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal(-1)
    exponent = number.as_tuple().exponent
    if not number.is_finite() or not 0 <= number <= most or not isinstance(exponent, int) or exponent < -4:
        raise ConfigurationError(
            f"{path}: {name} is {value!r}; give a number from 0 to {most} with at most four decimals."
        )
    return number
