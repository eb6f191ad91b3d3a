"""What promotions and prices do to demand: one multiplier a period, from regressions within each series.

Belongs here: a Poisson regression with a free level for each series and block of periods, so that only changes within
a block speak (Hausman, Hall & Griliches 1984, "Econometric models for count data", conditional form), common
coefficients first, then each series' own, shrunk to them. Does not belong here: the level itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.demand.panel import Floats, Panel, filled_forward
from models.demand.smoothing import seasonal_profile

BLOCK_SEASONS = 4
MIN_BLOCK = 12
COMMON_PRECISION = 4.0
"""Of the common coefficients' prior around 0: one standard deviation is half a unit of the logarithm."""
OWN_PRECISION = 12.0
"""Of a series' coefficients around the common ones."""
ROUNDS = 6
LARGEST = 20.0


@dataclass(frozen=True)
class Effects:
    """multiplier: [series, periods + horizon]; inputs: [series, periods + horizon, 2] promotion and log relative price.

    common: the coefficients of promotion and of the logarithm of price over its median.
    """

    multiplier: Floats
    inputs: Floats
    common: Floats


def estimate_effects(panel: Panel, horizon: int) -> Effects:
    """Multipliers of known demand and of the demand to come; ones where the panel has no inputs."""
    inputs = _inputs(panel, horizon)
    shape = (panel.n_series, panel.n_periods + horizon)
    moving = [column for column in range(2) if np.ptp(inputs[:, : panel.n_periods, column]) > 0] if inputs.size else []
    if not moving or not panel.n_periods:
        return Effects(np.ones(shape), inputs, np.zeros(2))
    profile = seasonal_profile(panel.units, panel.calendar.season)
    known = inputs[:, : panel.n_periods][:, :, moving]
    blocks = _Blocks.of(panel, profile, known)
    common = np.zeros(len(moving))
    for _ in range(ROUNDS):
        gradient, curvature = blocks.slopes(np.tile(common, (panel.n_series, 1)))
        pull = curvature.sum(axis=0) + COMMON_PRECISION * np.eye(len(moving))
        common = common + np.linalg.solve(pull, gradient.sum(axis=0) - COMMON_PRECISION * common)
        common = np.clip(common, -5, 5)
    own = np.tile(common, (panel.n_series, 1))
    for _ in range(ROUNDS):
        gradient, curvature = blocks.slopes(own)
        pull = curvature + OWN_PRECISION * np.eye(len(moving))
        step = np.linalg.solve(pull, (gradient - OWN_PRECISION * (own - common))[:, :, None])[:, :, 0]
        own = np.clip(own + step, -5, 5)
    log_multiplier = np.einsum("stk,sk->st", inputs[:, :, moving], own)
    full = np.zeros(2)
    full[moving] = common
    return Effects(np.clip(np.exp(log_multiplier), 1 / LARGEST, LARGEST), inputs, full)


def _inputs(panel: Panel, horizon: int) -> Floats:
    shape = (panel.n_series, panel.n_periods + horizon)
    found = np.zeros((*shape, 2))
    if panel.promotion is not None:
        found[:, :, 0] = np.nan_to_num(panel.promotion[:, : shape[1]])
    if panel.price is not None:
        # A price that is not told is the one before it; before the first it is the first.
        price = np.where(panel.price[:, : shape[1]] > 0, panel.price[:, : shape[1]], np.nan)
        price = filled_forward(price)
        price = filled_forward(price[:, ::-1])[:, ::-1]
        has_price = np.asarray(np.all(~np.isnan(price), axis=1), dtype=np.bool_)
        usual = np.ones(panel.n_series)
        if has_price.any() and panel.n_periods:
            usual[has_price] = np.median(price[has_price, : panel.n_periods], axis=1)
        found[:, :, 1] = np.where(
            has_price[:, None], np.log(np.where(has_price[:, None], price, 1) / usual[:, None]), 0
        )
    return np.clip(found, -3, 3)


@dataclass(frozen=True)
class _Blocks:
    """Known periods in blocks that share a level: units [series, blocks, width], profile likewise (0: unknown)."""

    units: Floats
    expected: Floats
    inputs: Floats

    @classmethod
    def of(cls, panel: Panel, profile: Floats, inputs: Floats) -> _Blocks:
        season = panel.calendar.season
        width = max(season * BLOCK_SEASONS if season <= MIN_BLOCK else MIN_BLOCK, MIN_BLOCK)
        periods = panel.n_periods
        blocks = -(-periods // width)
        # The newest block is whole; the oldest is filled up with unknown periods.
        missing = blocks * width - periods
        known = ~np.isnan(panel.units)
        place = np.arange(periods) % max(season, 1)
        expected = np.where(known, profile[:, place], 0.0)
        shape = (panel.n_series, blocks, width)
        return cls(
            np.pad(np.nan_to_num(panel.units), ((0, 0), (missing, 0))).reshape(shape),
            np.pad(expected, ((0, 0), (missing, 0))).reshape(shape),
            np.pad(inputs, ((0, 0), (missing, 0), (0, 0))).reshape(*shape, inputs.shape[2]),
        )

    def slopes(self, coefficients: Floats) -> tuple[Floats, Floats]:
        """Gradient [series, k] and curvature [series, k, k] of the log-likelihood at coefficients [series, k]."""
        weight = self.expected * np.exp(np.einsum("sbwk,sk->sbw", self.inputs, coefficients))
        total = weight.sum(axis=2, keepdims=True)
        share = np.divide(weight, total, out=np.zeros_like(weight), where=total > 0)
        units = self.units.sum(axis=2) * (total[:, :, 0] > 0)
        mean = np.einsum("sbw,sbwk->sbk", share, self.inputs)
        gradient = np.einsum("sbw,sbwk->sk", self.units, self.inputs) - np.einsum("sb,sbk->sk", units, mean)
        squares = np.einsum("sbw,sbwk,sbwl->sbkl", share, self.inputs, self.inputs)
        curvature = np.einsum("sb,sbkl->skl", units, squares - mean[:, :, :, None] * mean[:, :, None, :])
        return gradient, curvature
