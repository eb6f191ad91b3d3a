"""Next stage: products that a child grows into, such as milk powder 1, 2, 3.

Belongs here: which stage is due, by the child's birth month or by the time since the last stage. Does not belong here:
reading the months that a stage lasts from a file, wording.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import scipy.sparse as sp

from models.recommend.interactions import UNKNOWN, FloatArray, IntArray, Interactions
from models.recommend.strategy import NOBODY, Explanation, look_up, take_rows

DAYS_PER_MONTH = 365.25 / 12
SAME_BRAND = 3.0
"""How many times more a product of the brand in use counts than another's: parents rarely change both."""

UNPROVEN = 0.5
"""Factor for a line that the customer has not bought from: only the child's age speaks for it."""


@dataclass(frozen=True)
class StageSpan:
    """A stage of a line of products and the child's age in months that it is for, until_month not included."""

    line: str
    stage: int
    from_month: float
    until_month: float

    def __post_init__(self) -> None:
        if not 0 <= self.from_month < self.until_month:
            raise ValueError(
                f"stage {self.stage} of {self.line} lasts from month {self.from_month:g} to {self.until_month:g}; "
                "the second must be above the first, and neither below 0"
            )


class NextStage:
    """Score: (1 + popularity within the stage) × 3 for the brand in use, scaled to at most 1, of the stage that is due.

    The child's age is that of the birth month; without one it is that at which the last stage begins, plus the time
    since the customer first bought that stage. Due is the stage whose span holds the age, if it comes after the last
    one bought; for a known birth month also the line's stage that the customer has not bought from, at half the
    score. Customers who bought nothing of a line and told no birth month get nothing from it.
    """

    name = "next_stage"

    def __init__(self, spans: Sequence[StageSpan]) -> None:
        self._spans = spans

    def fit(self, interactions: Interactions) -> Self:
        """Find the stage that is due for each customer and line, and score its sellable products."""
        shape = (len(interactions.customers), interactions.n_items)
        scores = sp.csr_array(shape, dtype=np.float32)
        evidence = sp.csr_array(shape, dtype=np.float64)
        for number, line in enumerate(interactions.catalogue.families):
            spans = sorted((span for span in self._spans if span.line == line), key=lambda span: span.stage)
            if spans:
                line_scores, line_evidence = _score_line(interactions, number, spans)
                scores, evidence = sp.csr_array(scores + line_scores), sp.csr_array(evidence + line_evidence)
        for matrix in (scores, evidence):
            matrix.sort_indices()
        self._scores, self._evidence = scores, evidence
        return self

    def score(self, rows: IntArray, depth: int) -> sp.csr_array:
        """All products of the stages that are due."""
        return take_rows(self._scores, rows)

    def explain(self, rows: IntArray, items: IntArray) -> Explanation:
        """The evidence is the last product bought of the line, NOBODY where only the child's age speaks."""
        found = look_up(self._evidence, rows, items).astype(np.int64) - 1
        return Explanation(look_up(self._scores, rows, items), found)


def _score_line(interactions: Interactions, line: int, spans: Sequence[StageSpan]) -> tuple[sp.csr_array, sp.csr_array]:
    """Scores, and item of the last stage plus one, both customers × items, of one line of products."""
    catalogue = interactions.catalogue
    last = _last_purchases(interactions, line)
    age = _ages(interactions, last, spans)
    due = np.full(len(age), UNKNOWN, dtype=np.int64)
    for span in spans:
        due[(age >= span.from_month) & (age < span.until_month)] = span.stage
    rows = np.flatnonzero((due != UNKNOWN) & (due > last.stage))
    products = np.flatnonzero((catalogue.stage_family == line) & catalogue.is_sellable)
    row, item = (index.ravel() for index in np.meshgrid(rows, products, indexing="ij"))
    fits = catalogue.stage[item] == due[row]
    row, item = row[fits], item[fits]
    popularity = interactions.popularity[item] / max(interactions.popularity[products].max(initial=0.0), 1e-9)
    brand = catalogue.brand[item]
    is_in_use = (brand == last.brand[row]) & (brand != UNKNOWN)
    score = (1 + popularity) * np.where(is_in_use, SAME_BRAND, 1.0) / (2 * SAME_BRAND)
    score = score * np.where(last.item[row] == NOBODY, UNPROVEN, 1.0)
    shape = (len(interactions.customers), interactions.n_items)
    scores = sp.csr_array((score.astype(np.float32), (row, item)), shape=shape)
    return scores, sp.csr_array(((last.item[row] + 1).astype(np.float64), (row, item)), shape=shape)


@dataclass(frozen=True)
class _Last:
    """By customer: the highest stage bought of a line (UNKNOWN where none), when first, and one item of it."""

    stage: IntArray
    first_age: FloatArray
    item: IntArray
    brand: IntArray


def _last_purchases(interactions: Interactions, line: int) -> _Last:
    catalogue, first_age = interactions.catalogue, interactions.first_age
    n_customers = len(interactions.customers)
    row = np.repeat(np.arange(n_customers), np.diff(first_age.indptr))
    own = catalogue.stage_family[first_age.indices] == line
    row, item, age = row[own], first_age.indices[own].astype(np.int64), first_age.data[own] - 1
    fresh = interactions.last_age.data[own]
    # Of a customer's entries the last written stands: the highest stage, of that the product bought last.
    order = np.lexsort((item, -fresh, catalogue.stage[item], row))
    row, item, age = row[order], item[order], age[order]
    last = _Last(
        np.full(n_customers, UNKNOWN, dtype=np.int64),
        np.zeros(n_customers, dtype=np.float32),
        np.full(n_customers, NOBODY, dtype=np.int64),
        np.full(n_customers, UNKNOWN, dtype=np.int64),
    )
    last.item[row], last.stage[row], last.brand[row] = item, catalogue.stage[item], catalogue.brand[item]
    is_of_last = catalogue.stage[item] == last.stage[row]
    np.maximum.at(last.first_age, row[is_of_last], age[is_of_last])
    return last


def _ages(interactions: Interactions, last: _Last, spans: Sequence[StageSpan]) -> FloatArray:
    """The child's age in months by customer, NaN where nothing tells it."""
    context = interactions.context
    begins = np.full(max(span.stage for span in spans) + 1, np.nan)
    for span in spans:
        begins[span.stage] = span.from_month
    is_listed = (last.stage >= 0) & (last.stage < len(begins))
    by_stage = np.full(len(last.stage), np.nan)
    by_stage[is_listed] = begins[last.stage[is_listed]] + last.first_age[is_listed] / DAYS_PER_MONTH
    by_birth = np.where(context.birth_month != UNKNOWN, context.as_of_month - context.birth_month, np.nan)
    # A birth month still to come is a child that is expected: the first stage is the next.
    return np.where(np.isnan(by_birth), by_stage, np.maximum(by_birth, 0)).astype(np.float32)
