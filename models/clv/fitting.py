"""Maximum likelihood with a weak prior, and what is not known of the parameters afterwards.

The likelihood of models of counting has ridges: with customers who hardly differ, or of whom none stops, parameters run
to infinity together (BG/NBD on the UCI online-retail set: b → 1e14). A prior on each parameter's logarithm stops that.
It is flat within FREE of the start, so that an optimum in there is the plain one, and normal beyond.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize

from models.clv.counting import CountingModel
from models.clv.histories import Floats, Histories

FREE = 4.0
"""A parameter within a factor of e^4 = 55 of its start, either way, is not held back."""

SPREAD = 3.0
"""Standard deviation of a parameter's natural logarithm as far as the data say nothing of it, for intervals."""

LEAST_REPEATERS = 10
"""With fewer customers who came again, four parameters are guesswork."""

MOST_HISTORIES = 30_000
"""Beyond, parameters are learned from a random sample: their error is far below what the model itself gets wrong."""

_STARTS = ((0.0, 0.0, 0.0, 0.0), (-1.5, -1.5, -1.0, 1.0))
_STEP = 1e-4


class TooFewError(ValueError):
    """There are not enough customers who came again to learn from."""


@dataclass(frozen=True)
class Fitted:
    """A fitted model. theta: logarithms of its parameters. covariance: of theta. log_likelihood: of all
    customers, without the prior and what no parameter moves."""

    model: CountingModel
    theta: Floats
    covariance: Floats
    log_likelihood: float

    @property
    def parameters(self) -> dict[str, float]:
        return dict(zip(self.model.parameters, (float(value) for value in np.exp(self.theta)), strict=True))

    def draws(self, n: int, seed: int) -> Floats:
        """n likely thetas, in pairs about the fitted one, n × d."""
        half = np.random.default_rng(seed).standard_normal((n // 2, len(self.theta)))
        values, vectors = np.linalg.eigh(self.covariance)
        spread = vectors * np.sqrt(np.maximum(values, 0.0))
        steps = half @ spread.T
        return np.concatenate([self.theta + steps, self.theta - steps])


def fit(model: CountingModel, histories: Histories, seed: int = 0) -> Fitted:
    """The model's parameters by penalised maximum likelihood. Raises TooFewError below LEAST_REPEATERS repeaters."""
    if histories.n_repeaters < LEAST_REPEATERS:
        raise TooFewError(f"{histories.n_repeaters} customers came again; a fit needs {LEAST_REPEATERS}.")
    learned = _sample(histories, seed)
    centre = model.start(float(learned.age @ learned.count) / learned.count.sum())
    scale = learned.count.sum()

    def loss(theta: Floats) -> tuple[float, Floats]:
        values, gradients = model.log_likelihood(theta, learned)
        beyond = np.sign(theta - centre) * np.maximum(np.abs(theta - centre) - FREE, 0.0)
        total = values @ learned.count - (beyond @ beyond) / 2
        gradient = learned.count @ gradients - beyond
        if not np.isfinite(total):
            return 1e10, np.zeros_like(theta)
        return -float(total) / scale, -gradient / scale

    bounds = [(middle - 2 * FREE, middle + 2 * FREE) for middle in centre]
    options = {"maxiter": 500, "ftol": 1e-11, "gtol": 1e-6}
    found = [
        minimize(loss, centre + np.array(start), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
        for start in _STARTS
    ]
    best = min(found, key=lambda result: float(result.fun))
    theta = np.asarray(best.x)
    curvature = _curvature(loss, theta) * scale + np.eye(len(theta)) / SPREAD**2
    return Fitted(
        model=model,
        theta=theta,
        covariance=np.linalg.pinv(curvature, hermitian=True),
        log_likelihood=float(log_likelihoods(model, theta, histories) @ histories.count),
    )


def log_likelihoods(model: CountingModel, theta: Floats, histories: Histories) -> Floats:
    """Of each history, without the part that no parameter moves."""
    parts = [model.log_likelihood(theta, block)[0] for block in blocks(histories)]
    return np.concatenate(parts) if parts else np.empty(0)


def blocks(histories: Histories, size: int = 50_000) -> Sequence[Histories]:
    """Histories in parts that fit into memory beside a model's intermediate results; `group` is not split."""
    none = np.empty(0, dtype=np.int64)
    return [
        Histories(
            histories.repeats[start : start + size],
            histories.last[start : start + size],
            histories.age[start : start + size],
            histories.count[start : start + size],
            none,
        )
        for start in range(0, len(histories), size)
    ]


def _sample(histories: Histories, seed: int) -> Histories:
    if len(histories) <= MOST_HISTORIES:
        return histories
    rng = np.random.default_rng(seed)
    wanted = min(histories.n_customers, MOST_HISTORIES)
    counts = rng.multivariate_hypergeometric(histories.count.astype(np.int64), wanted, method="marginals")
    kept = counts > 0
    return replace(
        histories,
        repeats=histories.repeats[kept],
        last=histories.last[kept],
        age=histories.age[kept],
        count=counts[kept].astype(np.float64),
        group=np.empty(0, dtype=np.int64),
    )


def _curvature(loss: Callable[[Floats], tuple[float, Floats]], theta: Floats) -> Floats:
    """The Hessian, by central differences of the gradient."""
    rows = []
    for position in range(len(theta)):
        step = np.zeros_like(theta)
        step[position] = _STEP
        rows.append((loss(theta + step)[1] - loss(theta - step)[1]) / (2 * _STEP))
    matrix = np.array(rows)
    return (matrix + matrix.T) / 2
