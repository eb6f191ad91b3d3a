"""Shared feeds that change slowly: products, stores, staff, campaigns, exchange rates.

Belongs here: rows of feeds that no one channel owns. Does not belong here: prices and stock counts (shelves).
"""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import polars as pl

from pipelines.simulation.catalogue import AUD_PER_CNY, Catalogue
from pipelines.simulation.doors import BRANDS, REPORTING_CURRENCY
from pipelines.simulation.people import People
from pipelines.simulation.places import PLACES, STAFF_A_STORE, staff_id
from pipelines.simulation.rows import cents, scaled_integers


def product_rows(catalogue: Catalogue, updated_s: int) -> pl.DataFrame:
    """One row a product, as of `updated_s`."""
    count = len(catalogue.sku)
    return pl.DataFrame(
        {
            "sku": catalogue.sku,
            "updated_at_s": pl.repeat(updated_s, count, eager=True, dtype=pl.Int64),
            "spu": catalogue.spu,
            "name": catalogue.name,
            "category_path": catalogue.category,
            "brand": pl.Series(BRANDS).gather(catalogue.brand),
            "list_price": cents(np.array(catalogue.list_cents)),
            "cost": cents(np.array(catalogue.cost_cents)),
            "currency": pl.repeat(REPORTING_CURRENCY, count, eager=True),
            "tax_rate": pl.Series(catalogue.tax_rate).cast(pl.Decimal(6, 2)),
            "stage": catalogue.stage,
            "status": pl.repeat("on_sale", count, eager=True),
        }
    )


def store_rows(updated_s: int) -> pl.DataFrame:
    """One row a store, and the warehouse."""
    return pl.DataFrame(
        {
            "store_id": [place.store_id for place in PLACES],
            "updated_at_s": pl.repeat(updated_s, len(PLACES), eager=True, dtype=pl.Int64),
            "name": [place.name for place in PLACES],
            "kind": [place.kind for place in PLACES],
            "brand": [BRANDS[place.brand] for place in PLACES],
            "province": [place.province for place in PLACES],
            "city": [place.city for place in PLACES],
            "latitude": [place.latitude for place in PLACES],
            "longitude": [place.longitude for place in PLACES],
            "selling_area_m2": [place.area_m2 if place.kind == "store" else None for place in PLACES],
            "opened_on": [place.opened_on for place in PLACES],
            "timezone": [place.timezone for place in PLACES],
        }
    )


def staff_rows(people: People, updated_s: int) -> pl.DataFrame:
    """One row a clerk; the first persons of the simulation are the clerks, so their own numbers are staff numbers."""
    clerks = np.flatnonzero(people.is_staff)
    place, number = clerks // STAFF_A_STORE, clerks % STAFF_A_STORE
    return pl.DataFrame(
        {
            "staff_id": [staff_id(int(at), int(which)) for at, which in zip(place, number, strict=True)],
            "updated_at_s": pl.repeat(updated_s, len(clerks), eager=True, dtype=pl.Int64),
            "store_id": pl.Series([entry.store_id for entry in PLACES]).gather(place),
            "name": people.name.gather(clerks),
            "phone": people.phone.gather(clerks),
        }
    )


def rate_rows(first: date, days: int, rng: np.random.Generator) -> pl.DataFrame:
    """Daily rates to the reporting currency; some days are missing, as on a bank's holidays."""
    dates = [first + timedelta(days=number) for number in range(-7, days)]
    walk = 1 / AUD_PER_CNY * (1 + np.cumsum(rng.normal(0, 0.002, len(dates))))
    kept = rng.random(len(dates)) > 0.06
    kept[0] = True
    rates = scaled_integers(np.rint(walk * 1e6).astype(np.int64), 6)
    frame = pl.DataFrame({"date": dates, "currency": pl.repeat("AUD", len(dates), eager=True), "rate": rates})
    return frame.filter(pl.Series(kept))


def campaign_rows(first: date, days: int) -> pl.DataFrame:
    """One coupon campaign a month that the window touches, with what it cost."""
    months = sorted({(first + timedelta(days=number)).replace(day=1) for number in range(-31, days)})
    following = [(month + timedelta(days=32)).replace(day=1) for month in months]
    return pl.DataFrame(
        {
            "campaign_id": [f"CAM-{month:%Y%m}" for month in months],
            "updated_at": [f"{month:%Y-%m-%d}T00:00:00+08:00" for month in months],
            "name": [f"{month:%Y年%m月}满减券" for month in months],
            "kind": ["coupon"] * len(months),
            "starts_at": [f"{month:%Y-%m-%d}T00:00:00+08:00" for month in months],
            "ends_at": [f"{month:%Y-%m-%d}T00:00:00+08:00" for month in following],
            "cost": cents(np.array([300_000 + 10_000 * month.month for month in months])),
            "currency": [REPORTING_CURRENCY] * len(months),
        }
    )
