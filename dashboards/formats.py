"""Numbers, money, dates and instants in the reader's form.

Belongs here: how a value reads in Chinese and in English. Does not belong here: words, which live in the locales.
Chinese counts in 万 (10^4) and 亿 (10^8), English in K, M and B; currency signs follow CLDR for the language.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

LanguageCode = Literal["zh", "en"]
Number = Decimal | float | int

NOTHING = "–"
_SIGNS: dict[LanguageCode, dict[str, str]] = {
    "zh": {"CNY": "¥", "JPY": "JP¥", "USD": "US$", "HKD": "HK$", "TWD": "NT$", "SGD": "S$", "AUD": "AU$"},
    "en": {"CNY": "CN¥", "JPY": "¥", "USD": "$", "HKD": "HK$", "TWD": "NT$", "SGD": "S$", "AUD": "A$"},
}
_SHARED_SIGNS = {"EUR": "€", "GBP": "£", "KRW": "₩", "THB": "฿", "MYR": "RM", "VND": "₫"}
_WITHOUT_MINOR_UNIT = frozenset({"JPY", "KRW", "VND"})
_SCALES: dict[LanguageCode, tuple[tuple[int, str], ...]] = {
    "zh": ((10**8, "亿"), (10**4, "万")),
    "en": ((10**9, "B"), (10**6, "M"), (10**5, "K")),
}
_WEEKDAYS: dict[LanguageCode, tuple[str, ...]] = {
    "zh": ("周一", "周二", "周三", "周四", "周五", "周六", "周日"),
    "en": ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"),
}
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


@dataclass(frozen=True)
class Formats:
    """One language, one reporting currency (ISO 4217), one time zone (IANA)."""

    language: LanguageCode
    currency: str = "CNY"
    timezone: str = "UTC"

    @property
    def currency_sign(self) -> str:
        sign = _SIGNS[self.language].get(self.currency) or _SHARED_SIGNS.get(self.currency)
        return sign or f"{self.currency} "

    @property
    def money_decimals(self) -> int:
        return 0 if self.currency in _WITHOUT_MINOR_UNIT else 2

    def money(self, amount: Number | None) -> str:
        """An amount for a card or a chart: ¥501.54, ¥9,876, ¥123.46万, CN¥1.23M; nothing at all is a dash."""
        if amount is None:
            return NOTHING
        size = abs(float(amount))
        for scale, unit in _SCALES[self.language]:
            if size >= scale:
                scaled = float(amount) / (1000 if unit == "K" else scale)
                return self._signed(scaled, 1 if unit == "K" else 2, unit)
        return self._signed(amount, 0 if size >= 1000 else self.money_decimals, "")

    def exact_money(self, amount: Number | None) -> str:
        """An amount to the cent, with thousands separators."""
        return NOTHING if amount is None else self._signed(amount, self.money_decimals, "")

    def _signed(self, amount: Number, decimals: int, unit: str) -> str:
        digits = f"{abs(amount):,.{decimals}f}"
        is_negative = amount < 0 and any(digit in "123456789" for digit in digits)
        return f"{'-' if is_negative else ''}{self.currency_sign}{digits}{unit}"

    def count(self, number: Number | None) -> str:
        """A number of things: 12,345 below the language's large units, 12.35万 or 1.23M beyond."""
        if number is None:
            return NOTHING
        value = float(number)
        smallest = 10**5 if self.language == "zh" else 10**6
        for scale, unit in _SCALES[self.language]:
            if abs(value) >= max(scale, smallest):
                return f"{value / scale:,.2f}{unit}"
        return f"{number:,.0f}"

    def percent(self, share: Number | None, decimals: int = 1) -> str:
        """A share of one as per cent: 0.123 reads 12.3%."""
        return NOTHING if share is None else f"{float(share) * 100:.{decimals}f}%"

    def change(self, now: Number | None, before: Number | None) -> str | None:
        """Relative change with its sign, or None where there is nothing to compare with."""
        if now is None or before is None or before <= 0:
            return None
        percent = (float(now) / float(before) - 1) * 100
        if abs(percent) >= 1000:
            return f"×{float(now) / float(before):,.1f}"
        return _with_sign(percent) + "%"

    def points(self, now: Number | None, before: Number | None) -> str | None:
        """Difference of two shares in percentage points, or None."""
        if now is None or before is None:
            return None
        return _with_sign((float(now) - float(before)) * 100) + "pp"

    def day(self, day: date | None, *, with_weekday: bool = True) -> str:
        """A business day: 2026年5月31日 周日, Sun 31 May 2026."""
        if day is None:
            return NOTHING
        weekday = self.weekday(day)
        if self.language == "zh":
            text = f"{day.year}年{day.month}月{day.day}日"
            return f"{text} {weekday}" if with_weekday else text
        text = f"{day.day} {_MONTHS[day.month - 1]} {day.year}"
        return f"{weekday} {text}" if with_weekday else text

    def weekday(self, day: date) -> str:
        return _WEEKDAYS[self.language][day.weekday()]

    def local(self, instant: datetime | None) -> datetime | None:
        """A naive UTC instant as naive wall-clock time of the retailer's zone."""
        if instant is None:
            return None
        try:
            zone = ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError):
            zone = ZoneInfo("UTC")
        return instant.replace(tzinfo=UTC).astimezone(zone).replace(tzinfo=None)

    def instant(self, instant: datetime | None) -> str:
        """A naive UTC instant as 2026-06-01 03:12 of the retailer's zone."""
        local = self.local(instant)
        return NOTHING if local is None else local.strftime("%Y-%m-%d %H:%M")

    def hours(self, hours: float | None) -> str:
        """A span of hours: 45 min, 3.2 h, 2.5 d."""
        if hours is None:
            return NOTHING
        minute, hour, day = ("分钟", "小时", "天") if self.language == "zh" else ("min", "h", "d")
        if hours < 1:
            return f"{max(hours, 0) * 60:.0f} {minute}"
        return f"{hours:.1f} {hour}" if hours < 48 else f"{hours / 24:.1f} {day}"


def _with_sign(percent: float) -> str:
    """One decimal with its sign; what rounds to nothing has none."""
    text = f"{percent:+,.1f}"
    return "0.0" if text in ("+0.0", "-0.0") else text
