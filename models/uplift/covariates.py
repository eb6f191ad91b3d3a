"""Columns that were known before the treatment, as a matrix of numbers.

Belongs here: categories, missing values, and columns that name rows instead of describing them. Does not belong here:
reading files, effects.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Floats = NDArray[np.float64]
MOST_LEVELS = 20
NAMES_ROWS_FROM = 0.5
"""A text of which at least this share of values is different, or a whole number that never repeats, names rows."""


def encode_covariates(table: pa.Table) -> tuple[Floats, list[str], list[str]]:
    """Text columns as [rows, features], the names of the columns used, and of those left out.

    A column whose values are all numbers is one feature, standardised, its missing values at the median, with a second
    feature that says where they were. Of others the 20 most frequent values are a feature each. Left out are columns
    that name rows, and constant ones.
    """
    features: list[Floats] = []
    used: list[str] = []
    left_out: list[str] = []
    for name in table.column_names:
        made = _column(table[name].combine_chunks())
        if made is None:
            left_out.append(name)
            continue
        used.append(name)
        features += made
    matrix = np.column_stack(features) if features else np.zeros((table.num_rows, 0))
    return matrix, used, left_out


def _column(values: pa.Array) -> list[Floats] | None:
    text = pc.utf8_trim_whitespace(values.cast(pa.string()))
    text = pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text)
    n_known = len(text) - text.null_count
    if not n_known:
        return None
    distinct = pc.count_distinct(text, mode="only_valid").as_py()
    numbers = _numbers(text)
    missing = np.asarray(text.is_null()).astype(np.float64)
    gaps = [missing] if 0 < text.null_count < len(text) else []
    if numbers is not None:
        known = numbers[~np.isnan(numbers)]
        if distinct == n_known and n_known > 20 and np.all(known == np.round(known)):
            return None
        spread = float(known.std())
        if spread == 0:
            return gaps or None
        filled = np.where(np.isnan(numbers), np.median(known), numbers)
        # One value far out would else be all that a straight line sees.
        return [np.clip((filled - known.mean()) / spread, -8, 8), *gaps]
    if distinct > NAMES_ROWS_FROM * n_known and n_known > 20:
        return None
    if distinct == 1:
        return gaps or None
    counts = pc.value_counts(text.drop_null()).to_pylist()
    levels = sorted(counts, key=lambda level: (-level["counts"], level["values"]))[:MOST_LEVELS]
    kept = levels[1:] if len(counts) <= MOST_LEVELS else levels
    return [np.asarray(pc.equal(text, level["values"]).fill_null(False)).astype(np.float64) for level in kept] + gaps


def _numbers(text: pa.Array) -> Floats | None:
    """The column as float64 with NaN for missing; None if any value is no finite number."""
    try:
        found = np.asarray(text.cast(pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
    except pa.ArrowInvalid:
        return None
    return None if np.isinf(found).any() else found
