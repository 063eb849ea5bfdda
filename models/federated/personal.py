"""Personalisation at home: after the rounds each owner goes on with its own records, by itself.

An owner holds the global model's log-odds o_i of its records and adds a linear part of its own,
o_i + x_i·δ, with δ = argmin Σ_i ℓ(y_i, o_i + x_i·δ) + λ/2·‖δ‖²: for a scorecard, that is the
proximal pull of its weights to the global ones (Dinh et al., NeurIPS 2020, arXiv:2006.08848;
Li et al., "Ditto", ICML 2021, arXiv:2012.04221), for nets and trees a linear part beside them.
λ → ∞ is the global model; λ = 0 leaves it nothing but the start. The problem is convex and is
solved exactly, by Newton's method, for all owners at once in padded blocks; no owner's records
enter another one's sums. What comes of it is not private: it stays with its owner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

_NUMBERS = 1 << 23  # codes that are held at once, unless one owner has more: 32 MB
_WASTE = 1.3  # rows of a padded block: at most so many times its records
_STEPS, _HALVINGS, _CLOSE = 25, 8, 1e-3
_LEAST = 1e-6  # λ in place of 0, so that codes that never occur have a weight: 0


@dataclass(frozen=True)
class Own:
    """Training records of one owner.

    Attributes:
        features: (n, d) float32; n may be 0.
        target: 0 or 1, (n,).
        start: Log-odds of the model it starts from, (n,).
    """

    features: np.ndarray
    target: np.ndarray
    start: np.ndarray


def pulled(owners: Sequence[Own], strengths: Sequence[float]) -> np.ndarray:
    """Every owner's δ at every strength, (owners, strengths, d) float64.

    Args:
        owners: Each alone with its records.
        strengths: λ, in any order; infinity gives 0.

    >>> own = Own(np.ones((4, 1), np.float32), np.array([0, 1, 1, 1]), np.zeros(4))
    >>> pulled([own], [float("inf"), 0.0])[0].round(3).tolist()
    [[0.0], [1.099]]
    """
    width = owners[0].features.shape[1] if owners else 0
    found = np.zeros((len(owners), len(strengths), width))
    falling = [place for place in np.argsort(strengths)[::-1] if np.isfinite(strengths[place])]
    order = np.argsort([len(owner.target) for owner in owners], kind="stable")
    for some in _blocks([len(owners[place].target) for place in order], width):
        block = _Block([owners[place] for place in order[some]])
        for place in falling:  # from the strongest on, each from where the last one ended
            found[order[some], place] = block.solve(max(strengths[place], _LEAST)).numpy()
    return found


def likelihoods(log_odds: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Log-likelihood of outcomes (n,) under each column of log-odds (n, k), (k,)."""
    y = target[:, None]
    return np.asarray((y * log_odds - np.logaddexp(0.0, log_odds)).sum(axis=0))


def shares(log_likelihoods: np.ndarray) -> np.ndarray:
    """What each of several models counts, (k,), by its likelihood on records that trained none.

    A choice of the best one jumps where such records are few; their average by likelihood (with
    equal weights before) does not, and is the best one where they are many (Hoeting et al.,
    "Bayesian model averaging", Statistical Science 1999).
    """
    weights = np.exp(log_likelihoods - log_likelihoods.max())
    return np.asarray(weights / weights.sum())


def _blocks(sizes: Sequence[int], width: int) -> list[slice]:
    """Neighbours, by rising size, that can be padded to one length."""
    made, first, total = [], 0, 0
    for place, size in enumerate(sizes):
        rows = (place + 1 - first) * size
        if place > first and (rows > _WASTE * (total + size) + 256 or rows * width > _NUMBERS):
            made.append(slice(first, place))
            first, total = place, 0
        total += size
    return [*made, slice(first, len(sizes))] if len(sizes) else made


class _Block:
    """Some owners' records side by side, and where their δ stand."""

    def __init__(self, owners: Sequence[Own]) -> None:
        rows, width = max(1, *(len(own.target) for own in owners), 1), owners[0].features.shape[1]
        self._x = torch.zeros(len(owners), rows, width)
        self._y = torch.zeros(len(owners), rows, dtype=torch.float64)
        self._start, self._real = torch.zeros_like(self._y), torch.zeros_like(self._y)
        for place, own in enumerate(owners):
            held = len(own.target)
            self._x[place, :held] = torch.from_numpy(own.features)
            self._y[place, :held] = torch.from_numpy(np.asarray(own.target, dtype=float))
            self._start[place, :held] = torch.from_numpy(own.start)
            self._real[place, :held] = 1.0
        self._delta = torch.zeros(len(owners), width, dtype=torch.float64)

    def solve(self, strength: float) -> Tensor:
        """δ of every owner at a strength, (owners, d)."""
        loss = self._loss(self._delta, strength)
        for _ in range(_STEPS):
            step = self._newton(strength)
            loss = self._move(step, loss, strength)
            if float(step.abs().max()) < _CLOSE:
                break
        return self._delta

    def _newton(self, strength: float) -> Tensor:
        p = self._log_odds(self._delta).sigmoid()
        slope = ((p - self._y) * self._real).float()
        gradient = torch.bmm(slope.unsqueeze(1), self._x)[:, 0].double() + strength * self._delta
        weighed = self._x * (p * (1.0 - p) * self._real).float().unsqueeze(-1)
        curvature = torch.bmm(weighed.transpose(1, 2), self._x).double()
        curvature.diagonal(dim1=1, dim2=2).add_(strength)
        return torch.linalg.solve(curvature, gradient)

    def _move(self, step: Tensor, loss: Tensor, strength: float) -> Tensor:
        """Take the step, shortened for owners whose loss it would raise; returns the loss."""
        size = torch.ones(len(step), 1, dtype=torch.float64)
        for _ in range(_HALVINGS):
            after = self._loss(self._delta - size * step, strength)
            worse = after > loss + 1e-9 * loss.abs()
            if not worse.any():
                break
            size[worse] /= 2.0
        size[worse] = 0.0
        self._delta = self._delta - size * step
        return torch.where(worse, loss, after)

    def _loss(self, delta: Tensor, strength: float) -> Tensor:
        z = self._log_odds(delta)
        each = torch.nn.functional.softplus(z) - self._y * z
        return (each * self._real).sum(1) + strength / 2 * delta.square().sum(1)

    def _log_odds(self, delta: Tensor) -> Tensor:
        added = torch.bmm(self._x, delta.float().unsqueeze(-1))[..., 0]
        return self._start + added.double()
