"""Pareto/NBD: customers buy at random, at a rate of their own, and may stop at any time.

λ ~ Gamma(r, α), and the lifetime is exponential with rate μ ~ Gamma(s, β). Schmittlein, Morrison, Colombo: Counting
Your Customers (Management Science 33, 1987); Fader, Hardie: A Note on Deriving the Pareto/NBD Model (2005).

The chance of having stopped is usually written with 2F1, whose implementations lose digits or overflow for frequent
buyers. It is the integral s·∫ (α + t)^-(r + x) · (β + t)^-(s + 1) dt from t_x to T, which is positive and smooth: here
it is taken by Gauss-Legendre on a logarithmic scale of time, and its derivatives with it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.special import digamma, gammaln, logsumexp

from models.clv.counting import negative_binomial_terms
from models.clv.histories import Floats, Histories

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(48)
_FORGOTTEN = 40.0
"""The integrand is left out where it is e^-40 of its greatest."""
_LIFETIMES = 24
_BISECTIONS = 40


class ParetoNbd:
    """The model; it has no state."""

    @property
    def name(self) -> str:
        return "pareto_nbd"

    @property
    def parameters(self) -> tuple[str, ...]:
        return ("r", "alpha", "s", "beta")

    def start(self, mean_age: float) -> Floats:
        return np.log([1.0, mean_age, 1.0, mean_age])

    def constant(self, repeats: Floats, log_gaps: Floats) -> Floats:
        return np.zeros_like(repeats)

    def log_likelihood(self, theta: Floats, histories: Histories) -> tuple[Floats, Floats]:
        r, alpha, s, beta = np.exp(theta)
        shape = r + histories.repeats
        log_alive, log_dead, at, weights = self._parts(theta, histories)
        log_sum = np.logaddexp(log_alive, log_dead)
        value = gammaln(shape) - gammaln(r) + r * np.log(alpha) + s * np.log(beta) + log_sum
        alive, dead = np.exp(log_alive - log_sum), np.exp(log_dead - log_sum)
        end = histories.age

        def mean(of: Floats) -> Floats:
            """Over the time of stopping, given that it was before the end."""
            return (weights * of).sum(axis=0)

        by_r = (
            digamma(shape) - digamma(r) + np.log(alpha) - alive * np.log(alpha + end) - dead * mean(np.log(alpha + at))
        )
        by_alpha = r / alpha - shape * (alive / (alpha + end) + dead * mean(1 / (alpha + at)))
        by_s = np.log(beta) - alive * np.log(beta + end) + dead * (1 / s - mean(np.log(beta + at)))
        by_beta = s / beta - alive * s / (beta + end) - dead * (s + 1) * mean(1 / (beta + at))
        return value, np.stack([by_r * r, by_alpha * alpha, by_s * s, by_beta * beta], axis=1)

    def p_alive(self, theta: Floats, histories: Histories) -> Floats:
        log_alive, log_dead, _, _ = self._parts(theta, histories)
        return np.exp(log_alive - np.logaddexp(log_alive, log_dead))

    def survival(self, theta: Floats, histories: Histories, horizon: float) -> Iterator[Floats]:
        """P(Y ≥ y) is that of a count over the time that is left, min(lifetime, horizon), averaged over lifetimes.

        Given alive, the lifetime left has P(τ > t) = ((β + T) / (β + T + t))^s.
        """
        r, alpha, s, beta = np.exp(theta)
        shape, rate, left = r + histories.repeats, alpha + histories.age, beta + histories.age
        alive = self.p_alive(theta, histories)
        # Nodes in the probability of stopping, where the density is flat.
        stopping = -np.expm1(s * np.log(left / (left + horizon)))
        nodes, node_weights = np.polynomial.legendre.leggauss(_LIFETIMES)
        shares = (nodes[:, None] + 1) / 2 * stopping
        times = left * np.expm1(-np.log1p(-shares) / s)
        weights = np.vstack([node_weights[:, None] / 2 * stopping, 1 - stopping])
        times = np.vstack([times, np.full(len(histories), horizon)])
        terms = negative_binomial_terms(np.broadcast_to(shape, times.shape), times / (rate + times))
        beyond = 1.0 - next(terms)
        while True:
            yield alive * (weights * np.maximum(beyond, 0.0)).sum(axis=0)
            beyond = beyond - next(terms)

    def waiting_quantile(self, theta: Floats, histories: Histories, share: float) -> Floats:
        r, alpha, _, _ = np.exp(theta)
        return (alpha + histories.age) * np.expm1(-np.log1p(-share) / (r + histories.repeats))

    def _parts(self, theta: Floats, histories: Histories) -> tuple[Floats, Floats, Floats, Floats]:
        """Logarithms of alive and of stopped, n; times of stopping and their weights, nodes × n."""
        r, alpha, s, beta = np.exp(theta)
        shape, last, end = r + histories.repeats, histories.last, histories.age
        log_alive = -shape * np.log(alpha + end) - s * np.log(beta + end)
        shift = min(alpha, beta)
        with np.errstate(over="ignore"):
            stop = np.minimum(end, (alpha + last) * np.exp(_FORGOTTEN / shape) - alpha)
        width = np.log((shift + stop) / (shift + last))
        along = (_NODES[:, None] + 1) / 2 * width
        at = (shift + last) * np.exp(along) - shift
        log_values = (
            -shape * np.log(alpha + at) - (s + 1) * np.log(beta + at) + np.log(shift + at)
            + np.log(_WEIGHTS / 2)[:, None]
        )  # fmt: skip
        log_total = logsumexp(log_values, axis=0)
        with np.errstate(divide="ignore"):
            log_dead = np.log(s) + log_total + np.log(width)
        return log_alive, log_dead, at, np.exp(log_values - log_total)
