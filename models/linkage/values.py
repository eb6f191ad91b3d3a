"""Birthdays, phones, e-mail addresses and genders in one spelling.

Each function works on one value; callers pass distinct values only. Nothing here raises on a strange value: what
cannot be read keeps its digits or becomes None, so that it neither links nor stops anything.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import date, datetime

import phonenumbers
from dateutil import parser as date_parser

_ISO = re.compile(r"(\d{4})\D{1,2}(\d{1,2})\D{1,2}(\d{1,2})(?!\d)")
_ISO_MONTH = re.compile(r"(\d{4})\D(\d{1,2})\D?$")
_YEAR_LAST = re.compile(r"(\d{1,2})\D{1,2}(\d{1,2})\D{1,2}(\d{4})(?!\d)")
_GENDERS = {
    **dict.fromkeys(("m", "male", "man", "mr", "h", "hombre", "homme", "mann", "男", "男性", "先生", "1"), "m"),
    **dict.fromkeys(
        ("f", "female", "woman", "mrs", "ms", "w", "mujer", "femme", "frau", "女", "女性", "女士", "2"), "f"
    ),
}
_LAST_SHORT_YEAR = 25
"""A year of two digits up to this one belongs to this century."""
_UNKNOWN = frozenset("u unknown unk na n/a none null nan - ? 未知 不详 保密 0 9".split())


def birthday(text: str, *, is_day_first: bool) -> str | None:
    """YYYYMMDD of a date in any usual spelling; eight digits stay as they are, even where they are no date.

    is_day_first: how 03/04/1990 is read. A date without a year is None.
    """
    plain = unicodedata.normalize("NFKC", text).strip()
    digits = re.sub(r"\D", "", plain)
    if len(digits) == 8 and plain == digits:
        return _as_day_last(plain, is_day_first)
    if found := _ISO.match(plain):
        year, month, day = found.groups()
        return f"{year}{int(month):02}{int(day):02}"
    if found := _YEAR_LAST.match(plain):
        first, second, year = (int(part) for part in found.groups())
        day_number, month_number = (first, second) if is_day_first or first > 12 else (second, first)
        if month_number > 12:
            day_number, month_number = month_number, day_number
        return f"{year}{month_number:02}{day_number:02}"
    if _ISO_MONTH.match(plain):
        return None
    return _worded(plain, is_day_first)


def _as_day_last(digits: str, is_day_first: bool) -> str:
    """20010131 as it is; 31012001, where only that reads as a date, turned round."""
    if digits[:2] in ("18", "19", "20") or digits[4:6] not in ("18", "19", "20"):
        return digits
    first, second, year = digits[:2], digits[2:4], digits[4:]
    return year + (second + first if is_day_first or int(first) > 12 else first + second)


def _worded(plain: str, is_day_first: bool) -> str | None:
    """A date with a month's name, or with a year of two digits, by dateutil; None unless all three parts are said."""
    found: list[date] = []
    try:
        for default in (datetime(1904, 1, 1), datetime(1908, 2, 2)):
            found.append(date_parser.parse(plain, dayfirst=is_day_first, default=default).date())
    except (ValueError, OverflowError, TypeError):
        return None
    if found[0] != found[1]:
        return None
    born = found[0]
    year = born.year
    if not re.search(r"\d{4}", plain):
        year = 1900 + year % 100 if year % 100 > _LAST_SHORT_YEAR else 2000 + year % 100
    return f"{year}{born:%m%d}"


def is_day_first(texts: list[str]) -> bool:
    """Whether dates with the year last name the day first: true if any can only be read so, or none says anything."""
    day_first = month_first = 0
    for text in texts:
        if found := _YEAR_LAST.match(unicodedata.normalize("NFKC", text).strip()):
            first, second = int(found.group(1)), int(found.group(2))
            day_first += first > 12
            month_first += second > 12
    return day_first >= month_first


def phone(text: str) -> str | None:
    """The national digits of a phone number; a masked one keeps its stars. None where fewer than 5 digits are said.

    "+86 138-0013-8000", "0086 13800138000", "１３８００１３８０００" and "13800138000" are one number.
    """
    plain = unicodedata.normalize("NFKC", text).strip()
    said = re.sub(r"[^\d*+]", "", re.sub(r"[xX•●]", "*", plain))
    digits = said.replace("+", "")
    if sum(character.isdigit() for character in digits) < 5:
        return None
    if "*" in digits:
        return re.sub(r"^(\+?86)(?=1\d\d\*)", "", digits)
    international = said if said.startswith("+") else f"+{digits[2:]}" if digits.startswith("00") else None
    if international is None and re.fullmatch(r"861\d{10}", digits):
        international = f"+{digits}"
    if international is not None:
        try:
            return str(phonenumbers.parse(international).national_number)
        except phonenumbers.NumberParseException:
            return digits.lstrip("0") or None
    return digits.lstrip("0") or None


def email(text: str) -> str | None:
    """An address in lower case without what stands after a plus sign; None where nothing is said."""
    plain = re.sub(r"\s", "", unicodedata.normalize("NFKC", text).casefold())
    local, _, domain = plain.partition("@")
    local = local.split("+", 1)[0] if domain else local
    return f"{local}@{domain}" if domain and local else local or None


def gender(text: str) -> str | None:
    """m, f, or another gender as it is said; None where it is said to be unknown."""
    plain = unicodedata.normalize("NFKC", text).strip().casefold()
    return None if not plain or plain in _UNKNOWN else _GENDERS.get(plain, plain)
