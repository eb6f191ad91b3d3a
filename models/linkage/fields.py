"""What a record may say of a person, and which of it relatives share.

Belongs here: the names of the fields and of the columns made from them. Does not belong here: how a value is normalised
(normalise.py) or compared (comparisons.py).
"""

from __future__ import annotations

from typing import Final

FIELDS: Final = (
    "name", "given_name", "surname", "birthday", "city", "postcode", "gender", "occupation", "email", "phone",
    "address",
)  # fmt: skip
"""Fields of a record, all text. `name` is a whole name and stands in where the parts of a name are missing."""

RECORD_ID: Final = "record_id"

SHARED_IN_A_HOUSEHOLD: Final = frozenset({"surname", "city", "postcode", "phone", "email", "address"})
"""Comparisons on which relatives agree as often as one person's records do. The others belong to one person alone."""

PLACE: Final = frozenset({"city", "postcode", "address"})
"""Comparisons on which neighbours agree, together: a city says its postcodes and streets."""

OWN: Final = frozenset({"given_name", "birthday", "gender"})
"""What a person keeps for life. Records that mostly differ in one of these are relatives' or strangers'."""

LABELS: Final = {
    "given_name": "given name",
    "surname": "surname",
    "birthday": "birthday",
    "city": "city",
    "postcode": "postcode",
    "gender": "gender",
    "occupation": "occupation",
    "email": "e-mail",
    "phone": "phone",
    "address": "address",
}
"""What people call each comparison."""
