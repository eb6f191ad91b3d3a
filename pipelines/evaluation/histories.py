"""A user's history of units as numbered series on numbered periods.

Belongs here: what a period is (dates, months, weeks, quarters, bare numbers), units, prices and promotions as numbers,
and faults of the file in words. Does not belong here: forecasting and measuring.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa

from models.demand.panel import SEASONS, Calendar, Floats, Panel, Unit
from pipelines.errors import ConfigurationError

FIELDS = ("series", "period", "units", "price", "promotion")
MOST_PERIODS = 20_000
_EPOCH = date(1970, 1, 1)

_FORMS: tuple[tuple[str, str, str], ...] = (
    ("date", r"\d{4}-\d{1,2}-\d{1,2}([T ]00:00(:00(\.0+)?)?(Z|\+00(:?00)?)?)?",
     "try_cast(regexp_extract(period, '^[-0-9]+') as date)"),
    ("date", r"\d{4}/\d{1,2}/\d{1,2}", "try_cast(replace(period, '/', '-') as date)"),
    ("date", r"(19|20)\d{2}(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])", "try_strptime(period, '%Y%m%d')::date"),
    ("month", r"(19|20)\d{2}[-/]?(0[1-9]|1[0-2])", "try_strptime(left(period, 4) || right(period, 2), '%Y%m')::date"),
    ("week", r"\d{4}-?W\d{1,2}", "try_strptime(replace(replace(period, '-', ''), 'W', '-') || '-1', '%G-%V-%u')::date"),
    ("quarter", r"\d{4}-?Q[1-4]", "make_date(left(period, 4)::int, right(period, 1)::int * 3 - 2, 1)"),
)  # fmt: skip


@dataclass(frozen=True)
class History:
    """Rows sorted by series and period. `series`, `period`: numbers from 0; units NaN: unknown, as for stock-outs."""

    series: np.ndarray
    period: np.ndarray
    units: Floats
    price: Floats | None
    promotion: Floats | None
    n_series: int
    n_periods: int
    unit: Unit
    start: date | None

    @property
    def season(self) -> int:
        return SEASONS[self.unit]

    def panel(self, chosen: np.ndarray, calendar: Calendar) -> Panel:
        """The chosen series (ascending numbers) over all periods of the file."""
        row_of = np.full(self.n_series, -1)
        row_of[chosen] = np.arange(len(chosen))
        mine = row_of[self.series] >= 0
        rows, columns = row_of[self.series[mine]], self.period[mine]
        shape = (len(chosen), self.n_periods)

        def dense(values: Floats) -> Floats:
            found = np.full(shape, np.nan)
            found[rows, columns] = values[mine]
            return found

        return Panel(
            dense(self.units),
            calendar,
            None if self.price is None else dense(self.price),
            None if self.promotion is None else dense(self.promotion),
        )


def read_history(table: pa.Table, data: Path) -> History:
    """Number the rows of a table of text columns FIELDS. Raises ConfigurationError naming the column and first row."""
    for needed in ("period", "units"):
        if needed not in table.column_names:
            raise ConfigurationError(f"--map: say which column of {data.name} is {needed}, as {needed}=COLUMN.")
    if not table.num_rows:
        raise ConfigurationError(f"--data: {data.name} has no rows.")
    with duckdb.connect() as connection:
        connection.register("given", table)
        has = set(table.column_names)
        series = "coalesce(series, '')" if "series" in has else "''"
        connection.execute(
            f"""
            create temp table history as
            select row_number() over () as line, {series} as series, nullif(trim(period), '') as period,
                nullif(trim(units), '') as units,
                {"nullif(trim(price), '')" if "price" in has else "null::varchar"} as price,
                {"nullif(lower(trim(promotion)), '')" if "promotion" in has else "null::varchar"} as promotion
            from given
            """
        )
        unit = _number_periods(connection, data)
        _check_numbers(connection, data)
        _check_unique(connection, data)
        found = connection.execute(
            """
            select
                dense_rank() over (order by series) - 1 as series,
                place,
                coalesce(try_cast(units as double), 'nan'::double) as units,
                coalesce(try_cast(price as double), 'nan'::double) as price,
                case
                    when promotion is null or promotion in ('0', 'false', 'f', 'no', 'n', 'none', 'nan', '否', '无')
                        then 0.0
                    else coalesce(try_cast(promotion as double), 1.0)
                end as promotion
            from history
            order by series, place
            """
        ).to_arrow_table()
    columns = {name: found[name].to_numpy() for name in found.column_names}
    at = columns["place"].astype(np.int64)
    kind, start = unit
    return History(
        series=columns["series"].astype(np.int64),
        period=at,
        units=columns["units"],
        price=columns["price"] if "price" in has else None,
        promotion=np.nan_to_num(columns["promotion"]) if "promotion" in has else None,
        n_series=int(columns["series"].max()) + 1,
        n_periods=int(at.max()) + 1,
        unit=kind,
        start=start,
    )


def _number_periods(connection: duckdb.DuckDBPyConnection, data: Path) -> tuple[Unit, date | None]:
    """Add the column `place`, periods from 0; returns what a period is and when the first began."""
    (missing,) = connection.execute("select min(line) from history where period is null").fetchall()[0]
    if missing is not None:
        raise ConfigurationError(f"--data: {data.name}, row {missing}: period is empty.")
    for form, pattern, expression in _FORMS:
        (matching,) = connection.execute(
            f"select bool_and(regexp_full_match(period, '{pattern}')) from history"
        ).fetchall()[0]
        if not matching:
            continue
        connection.execute(f"alter table history add column day date; update history set day = {expression}")
        (wrong,) = connection.execute("select min(line) from history where day is null").fetchall()[0]
        if wrong is not None:
            raise ConfigurationError(f"--data: {data.name}, row {wrong}: period is no date of the calendar.")
        return _from_dates(connection, data, form)
    (is_number,) = connection.execute(
        r"select bool_and(regexp_full_match(period, '-?\d{1,15}(\.0+)?')) from history"
    ).fetchall()[0]
    if not is_number:
        (wrong,) = connection.execute(
            r"select coalesce(min(line) filter (where try_cast(left(period, 4) as int) is null), 1) from history"
        ).fetchall()[0]
        raise ConfigurationError(
            f"--data: {data.name}, period (row {wrong}, for one) must be a date as 2026-05-31 without a time of day, "
            "a month 2026-05, a week 2026-W22, a quarter 2026Q2 or a whole number, the same form in every row."
        )
    connection.execute(
        "alter table history add column number bigint; update history set number = period::double::bigint"
    )
    numbers = np.array(connection.execute("select distinct number from history order by 1").fetchall(), dtype=np.int64)[
        :, 0
    ]
    step = int(np.gcd.reduce(np.diff(numbers))) if len(numbers) > 1 else 1
    _set_place(connection, f"(number - ({numbers[0]})) // {step}", data)
    return "step", None


def _from_dates(connection: duckdb.DuckDBPyConnection, data: Path, form: str) -> tuple[Unit, date]:
    days = [day for (day,) in connection.execute("select distinct day from history order by 1").fetchall()]
    numbers = np.array([(day - _EPOCH).days for day in days])
    gaps = np.diff(numbers)
    smallest = int(gaps.min()) if len(gaps) else 1
    same_day = len({day.day for day in days}) == 1 or all((day + timedelta(days=1)).day == 1 for day in days)
    unit: Unit = "day"
    if form in ("month", "quarter"):
        unit = "month" if form == "month" else "quarter"
    elif form == "week" or (len(gaps) and (gaps % 7 == 0).all() and not (same_day and smallest > 28)):
        unit = "week"
    elif same_day and smallest >= 28:
        unit = "month" if smallest < 85 else "quarter" if smallest < 360 else "year"
    months = "(year(day) * 12 + month(day))"
    place = {
        "day": "day - min_day", "week": "(day - min_day) // 7", "month": f"{months} - min_month",
        "quarter": f"({months} - min_month) // 3", "year": f"({months} - min_month) // 12",
    }[unit]  # fmt: skip
    first = days[0]
    place = place.replace("min_day", f"date '{first}'").replace("min_month", str(first.year * 12 + first.month))
    _set_place(connection, place, data)
    return unit, first


def _set_place(connection: duckdb.DuckDBPyConnection, expression: str, data: Path) -> None:
    connection.execute(f"alter table history add column place bigint; update history set place = {expression}")
    (last,) = connection.execute("select max(place) from history").fetchall()[0]
    if last < 1:
        raise ConfigurationError(f"--data: {data.name} has one period alone; a forecast needs a past and a future.")
    if last >= MOST_PERIODS:
        raise ConfigurationError(
            f"--data: {data.name} spans {last + 1:,} periods, more than {MOST_PERIODS:,}; is one period mistyped?"
        )


def _check_numbers(connection: duckdb.DuckDBPyConnection, data: Path) -> None:
    for name in ("units", "price"):
        (wrong,) = connection.execute(
            f"""
            select min(line) from history
            where coalesce(isfinite(try_cast({name} as double)), false) is false
                and {name} is not null and lower({name}) not in ('nan', 'na', 'null')
            """
        ).fetchall()[0]
        if wrong is not None:
            raise ConfigurationError(f"--data: {data.name}, row {wrong}: {name} is no number.")
    (known,) = connection.execute("select count(*) from history where isfinite(try_cast(units as double))").fetchall()[
        0
    ]
    if not known:
        raise ConfigurationError(f"--data: {data.name} has no row with units; there is nothing to measure.")


def _check_unique(connection: duckdb.DuckDBPyConnection, data: Path) -> None:
    repeated = connection.execute(
        "select min(line), max(line) from history group by series, place having count(*) > 1 order by 1 limit 1"
    ).fetchall()
    if repeated:
        first, last = repeated[0]
        raise ConfigurationError(
            f"--data: {data.name}, rows {first} and {last} are of the same series and period; sum them up, or name the "
            "column that tells the series apart, as --map series=COLUMN."
        )
