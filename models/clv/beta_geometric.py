"""BG/NBD and its relatives: customers may stop after a purchase, and buy at random or regularly until then.

The counts of a customer follow a process with Erlang-k gaps whose stages have rate λ ~ Gamma(r, α); after a purchase
the customer stops with probability p ~ Beta(a, b).

- BG/NBD: k = 1, nobody stops before the first repeat. Fader, Hardie, Lee: "Counting Your Customers" the Easy Way
  (Marketing Science 24, 2005), equations 6 and 10.
- MBG/NBD: k = 1, one may stop right after the first purchase. Batislam, Denizel, Filiztekin: Empirical validation and
  comparison of models for customer base analysis (IJRM 24, 2007).
- MBG/CNBD-k: gaps more regular than chance. Reutterer, Platzer, Schröder: Leveraging purchase regularity for predicting
  customer behavior the easy way (IJRM 38, 2021).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import digamma, gammaln, logsumexp

from models.clv.counting import negative_binomial_terms
from models.clv.histories import Floats, Histories


@dataclass(frozen=True)
class BetaGeometric:
    """One of the family. k: regularity. stops_at_first: whether one may stop right after the first purchase."""

    k: int = 1
    stops_at_first: bool = False

    @property
    def name(self) -> str:
        plain = "mbg" if self.stops_at_first else "bg"
        return f"{plain}_nbd" if self.k == 1 else f"{plain}_cnbd_{self.k}"

    @property
    def parameters(self) -> tuple[str, ...]:
        return ("r", "alpha", "a", "b")

    def start(self, mean_age: float) -> Floats:
        return np.log([1.0, mean_age, 1.0, 1.0])

    def constant(self, repeats: Floats, log_gaps: Floats) -> Floats:
        return (self.k - 1) * log_gaps - repeats * gammaln(self.k)

    def log_likelihood(self, theta: Floats, histories: Histories) -> tuple[Floats, Floats]:
        r, alpha, a, b = np.exp(theta)
        x, zero = histories.repeats, float(self.stops_at_first)
        shape, stages = self._stages(r, histories)
        terms = self._terms(theta, histories)
        log_sum = logsumexp(terms, axis=0)
        ended = b + x + zero
        value = (
            gammaln(ended) - gammaln(a + ended) - gammaln(b) + gammaln(a + b) + r * np.log(alpha) - gammaln(r) + log_sum
        )  # fmt: skip
        weights = np.exp(terms - log_sum)
        alive, dead = weights[:-1], weights[-1]
        log_end, log_last = np.log(alpha + histories.age), np.log(alpha + histories.last)
        by_r = (
            np.log(alpha) - digamma(r) + (alive * (digamma(stages) - log_end)).sum(axis=0)
            + dead * (digamma(shape) - log_last)
        )  # fmt: skip
        by_alpha = (
            r / alpha - (alive * stages).sum(axis=0) / (alpha + histories.age)
            - dead * shape / (alpha + histories.last)
        )  # fmt: skip
        by_a = digamma(a + b) - digamma(a + ended) + dead / a
        # Where nobody can be dead the denominator may be any number but zero.
        by_b = (
            digamma(ended) - digamma(a + ended) - digamma(b) + digamma(a + b)
            - np.where(dead > 0, dead / np.where(ended > 1, ended - 1, 1.0), 0.0)
        )  # fmt: skip
        return value, np.stack([by_r * r, by_alpha * alpha, by_a * a, by_b * b], axis=1)

    def p_alive(self, theta: Floats, histories: Histories) -> Floats:
        terms = self._terms(theta, histories)
        return np.exp(logsumexp(terms[:-1], axis=0) - logsumexp(terms, axis=0))

    def survival(self, theta: Floats, histories: Histories, horizon: float) -> Iterator[Floats]:
        """P(Y ≥ y) = P(alive) · P(N ≥ y) · P(not stopped by the first y − 1 purchases), as λ and p are independent.

        N ≥ y once k·y − j stages are done, where j were done since the last purchase.
        """
        r, alpha, a, b = np.exp(theta)
        _, stages = self._stages(r, histories)
        log_terms = self._terms(theta, histories)
        weights = np.exp(log_terms[:-1] - logsumexp(log_terms, axis=0))
        share = horizon / (alpha + histories.age + horizon)
        stayed = np.ones(len(histories))
        ended = b + histories.repeats + float(self.stops_at_first)
        counts = [negative_binomial_terms(shape, share) for shape in stages]
        beyond = [1.0 - next(terms) for terms in counts]  # P(more than 0 stages)
        for j, terms in enumerate(counts):
            for _ in range(self.k - 1 - j):
                beyond[j] = beyond[j] - next(terms)
        purchases = 1
        while True:
            reached = sum(weight * np.maximum(tail, 0.0) for weight, tail in zip(weights, beyond, strict=True))
            yield reached * stayed
            stayed = stayed * (ended + purchases - 1) / (a + ended + purchases - 1)
            for j, terms in enumerate(counts):
                for _ in range(self.k):
                    beyond[j] = beyond[j] - next(terms)
            purchases += 1

    def waiting_quantile(self, theta: Floats, histories: Histories, share: float) -> Floats:
        r, alpha, _, _ = np.exp(theta)
        _, stages = self._stages(r, histories)
        terms = self._terms(theta, histories)[:-1]
        weights = np.exp(terms - logsumexp(terms, axis=0))
        return _solve_waiting(stages, weights, alpha + histories.age, self.k, share)

    def _stages(self, r: float, histories: Histories) -> tuple[Floats, Floats]:
        """Shape of λ at the last purchase, n; and with j = 0 … k − 1 stages done since, k × n."""
        shape = r + self.k * histories.repeats
        return shape, shape + np.arange(self.k)[:, None]

    def _terms(self, theta: Floats, histories: Histories) -> Floats:
        """Logarithms of the ways to this history, (k + 1) × n: alive with j stages done, then stopped."""
        r, alpha, a, b = np.exp(theta)
        shape, stages = self._stages(r, histories)
        done = np.arange(self.k)[:, None]
        since = histories.age - histories.last
        with np.errstate(divide="ignore"):
            log_since = np.where(done > 0, np.log(since), 0.0)
            alive = (
                gammaln(stages) - gammaln(done + 1) + np.where(done > 0, done * log_since, 0.0)
                - stages * np.log(alpha + histories.age)
            )  # fmt: skip
        ended = b + histories.repeats + float(self.stops_at_first)
        can_be_dead = (histories.repeats > 0) | self.stops_at_first
        stopped = (
            gammaln(shape) + np.log(a) - np.log(np.where(can_be_dead, ended - 1, 1.0))
            - shape * np.log(alpha + histories.last)
        )  # fmt: skip
        return np.vstack([alive, np.where(can_be_dead, stopped, -np.inf)])


_BISECTIONS = 40


def _solve_waiting(stages: Floats, weights: Floats, rate: Floats, k: int, share: float) -> Floats:
    """Weeks h with P(N(h) ≥ 1 | alive) = share; closed for k = 1, else by bisection of log h."""
    if k == 1:
        return rate * np.expm1(-np.log1p(-share) / stages[0])

    def reached(horizon: Floats) -> Floats:
        part = horizon / (rate + horizon)
        total = np.zeros_like(horizon)
        for j in range(k):
            terms = negative_binomial_terms(stages[j], part)
            total += weights[j] * (1.0 - sum(next(terms) for _ in range(k - j)))
        return total

    low, high = np.full(len(rate), -12.0), np.log(rate) + 24.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        is_enough = reached(np.exp(middle)) >= share
        low, high = np.where(is_enough, low, middle), np.where(is_enough, middle, high)
    return np.exp((low + high) / 2)
