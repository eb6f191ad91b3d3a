"""What an order day of a customer is worth: the gamma-gamma model.

A customer's order days are worth Gamma(p, ν) each, and ν ~ Gamma(q, γ). Fader, Hardie: The Gamma-Gamma Model of
Monetary Value (2013); Fader, Hardie, Lee: RFM and CLV: Using Iso-Value Curves (Journal of Marketing Research 42, 2005).
q is held above 1, below which no mean exists.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import digamma, gammaln

from models.clv.fitting import FREE, LEAST_REPEATERS, MOST_HISTORIES, TooFewError
from models.clv.histories import Floats

_LEAST_SHAPE = 2.5
"""A customer's second moment of value exists beyond a shape of 2."""


@dataclass(frozen=True)
class GammaGamma:
    """Fitted parameters. rate: γ, in money. log_likelihood: of the customers with a known positive value."""

    p: float
    q: float
    rate: float
    log_likelihood: float

    @property
    def parameters(self) -> dict[str, float]:
        return {"p": self.p, "q": self.q, "gamma": self.rate}

    def mean_value(self, days: Floats, value: Floats) -> Floats:
        """E[value of an order day] of customers with that many order days of that mean value; 0 days: of anybody."""
        return self._moments(days, value)[0]

    def value_moments(self, days: Floats, value: Floats) -> tuple[Floats, Floats]:
        """E[M] and E[M²] of a customer's true mean value M."""
        return self._moments(days, value)

    def _moments(self, days: Floats, value: Floats) -> tuple[Floats, Floats]:
        # 1/ν is inverse-gamma with shape px + q and scale γ + xz; M = p/ν.
        shape = self.p * days + self.q
        scale = self.p * (self.rate + days * np.maximum(value, 0.0))
        mean = scale / (shape - 1)
        wide = np.maximum(shape, _LEAST_SHAPE)
        return mean, mean**2 * (wide - 1) / (wide - 2)


def fit_gamma_gamma(days: Floats, value: Floats, seed: int = 0) -> GammaGamma:
    """Parameters by maximum likelihood, from customers with a day or more of positive mean value.

    days: order days; value: their mean value, in money. Raises TooFewError where too few are positive, or all of them
    have one day, or one value.
    """
    known = (days > 0) & (value > 0) & np.isfinite(value)
    days, value = days[known], value[known]
    if len(days) > MOST_HISTORIES:
        kept = np.random.default_rng(seed).choice(len(days), MOST_HISTORIES, replace=False)
        days, value = days[kept], value[kept]
    if len(days) < LEAST_REPEATERS or days.max() < 2 or np.ptp(value) <= 1e-9 * value.max():
        raise TooFewError(f"{len(days)} customers have order days of a known value; their values must differ.")
    unit = float(np.mean(value))
    scaled = value / unit

    def loss(theta: Floats) -> tuple[float, Floats]:
        p, above, rate = np.exp(theta)
        q = 1 + above
        shape, scale = p * days + q, rate + days * scaled
        values = (
            gammaln(shape) - gammaln(p * days) - gammaln(q) + q * np.log(rate) + p * days * np.log(scaled * days)
            - shape * np.log(scale)
        )  # fmt: skip
        by_p = (days * (digamma(shape) - digamma(p * days) + np.log(scaled * days) - np.log(scale))).sum()
        by_q = (digamma(shape) - digamma(q) + np.log(rate) - np.log(scale)).sum()
        by_rate = (q / rate - shape / scale).sum()
        beyond = np.sign(theta) * np.maximum(np.abs(theta) - FREE, 0.0)
        total = values.sum() - beyond @ beyond / 2
        gradient = np.array([by_p * p, by_q * above, by_rate * rate]) - beyond
        if not np.isfinite(total):
            return 1e10, np.zeros(3)
        return -float(total) / len(days), -gradient / len(days)

    options = {"maxiter": 500, "ftol": 1e-11, "gtol": 1e-6}
    bounds = [(-2 * FREE, 2 * FREE)] * 3
    found = [
        minimize(loss, np.array(start), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        for start in ((0.0, 0.0, 0.0), (2.0, 1.0, 0.0))
    ]
    best = min(found, key=lambda result: float(result.fun))
    p, above, rate = np.exp(best.x)
    # The density of the mean value z, with its x^(px) and z^(px - 1), in the data's own unit.
    likelihood = -float(loss(np.asarray(best.x))[0]) * len(days) + float(
        (-np.log(scaled)).sum() - len(days) * np.log(unit)
    )
    return GammaGamma(float(p), float(1 + above), float(rate * unit), likelihood)
