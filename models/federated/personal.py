"""Personalisation at home: after the rounds each owner goes on with its own records, by itself.

An owner holds the global model's log-odds o_i of its records and adds a linear part of its own,
o_i + x_i·δ, with δ = argmin Σ_i ℓ(y_i, o_i + x_i·δ) + λ/2·‖δ‖²: for a scorecard, that is the
proximal pull of its weights to the global ones (Dinh et al., NeurIPS 2020, arXiv:2006.08848;
Li et al., "Ditto", ICML 2021, arXiv:2012.04221), for nets and trees a linear part beside them.
λ → ∞ is the global model; λ = 0 leaves it nothing but the start. The problem is convex and is
solved exactly, by Newton steps, for all owners at once in padded blocks; the curvature, which is
nearly all of the work, is taken anew only where steps with the last one lead on too slowly. No
owner's records enter another one's sums. What comes of it is not private: it stays with its owner.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import brentq
from scipy.special import expit, softmax
from torch import Tensor

_NUMBERS = 1 << 23  # codes that are held at once, unless one owner has more: 32 MB
_WASTE = 1.3  # rows of a padded block: at most so many times its records
_STEPS, _HALVINGS, _CLOSE = 50, 8, 1e-4
_SLOW = 0.4  # of the last step: a step that is longer needs a new curvature
_REWEIGHED = 200
_FAR = 100.0  # log-odds, beyond any that occur
_LEAST = 1e-3  # λ in place of 0, so that codes that never occur have a weight: 0


@dataclass(frozen=True)
class Own:
    """Training records of one owner.

    Attributes:
        features: (n, d) float32; n may be 0.
        target: 0 or 1, (n,).
        starts: Log-odds of each model that it may start from, (n, k).
    """

    features: np.ndarray
    target: np.ndarray
    starts: np.ndarray


def pulled(owners: Sequence[Own], strengths: Sequence[float]) -> np.ndarray:
    """Every owner's δ from every start at every strength, (owners, k, strengths, d) float64.

    Args:
        owners: Each alone with its records; all with as many starts.
        strengths: λ, in any order; infinity gives 0.

    >>> own = Own(np.ones((4, 1), np.float32), np.array([0, 1, 1, 1]), np.zeros((4, 1)))
    >>> pulled([own], [float("inf"), 0.0])[0, 0].round(2).tolist()
    [[0.0], [1.1]]
    """
    width = owners[0].features.shape[1] if owners else 0
    starts = owners[0].starts.shape[1] if owners else 0
    found = np.zeros((len(owners), starts, len(strengths), width))
    falling = [place for place in np.argsort(strengths)[::-1] if np.isfinite(strengths[place])]
    order = np.argsort([len(owner.target) for owner in owners], kind="stable")
    for some in _blocks([len(owners[place].target) for place in order], width):
        block = _Block([owners[place] for place in order[some]])
        for start in range(starts):
            block.begin([owners[place].starts[:, start] for place in order[some]])
            for place in falling:  # from the strongest on, each from where the last one ended
                delta = block.solve(max(strengths[place], _LEAST))
                found[order[some], start, place] = delta.numpy()
    return found


def levelled(log_odds: np.ndarray, target: np.ndarray) -> float:
    """What log-odds (n,) lack for the mean of outcomes (n,), half a record of either added.

    Without records that is nothing; of log-odds 0 it is the log-odds of the outcomes' rate.
    """
    if not len(target):
        return 0.0
    each, wanted = np.append(log_odds, log_odds.mean()), float(target.sum()) + 0.5
    return float(brentq(lambda level: expit(each + level).sum() - wanted, -_FAR, _FAR))


def likelihoods(log_odds: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Log-likelihood of each outcome (n,) under each column of log-odds (n, k), (n, k)."""
    return np.asarray(target[:, None] * log_odds - np.logaddexp(0.0, log_odds))


def shares(log_likelihoods: np.ndarray) -> np.ndarray:
    """What each of several models counts, (k,), by likelihoods (n, k) of records that trained none.

    A choice of the best one jumps where such records are few, and one odd record can decide it. So
    the records are weighed anew many times, as by a Bayesian bootstrap, models count by their
    likelihood each time (Hoeting et al., "Bayesian model averaging", 1999), and the mean of that is
    taken: pseudo-BMA+ (Yao et al., Bayesian Analysis 2018, arXiv:1704.02030). With many records it
    is the best one; without any, all alike.
    """
    drawn = np.random.default_rng(0).exponential(size=(_REWEIGHED, len(log_likelihoods)))
    if len(log_likelihoods):
        drawn /= drawn.mean(axis=1, keepdims=True)
    return np.asarray(softmax(drawn @ log_likelihoods, axis=1).mean(axis=0))


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
        self._weighed = torch.empty_like(self._x)
        self._y = torch.zeros(len(owners), rows, dtype=torch.float64)
        self._real = torch.zeros_like(self._y)
        for place, own in enumerate(owners):
            held = len(own.target)
            self._x[place, :held] = torch.from_numpy(own.features)
            self._y[place, :held] = torch.from_numpy(np.asarray(own.target, dtype=float))
            self._real[place, :held] = 1.0

    def begin(self, starts: Sequence[np.ndarray]) -> None:
        """From here, at δ = 0: log-odds of each owner's records, (n,) each."""
        self._start = torch.zeros_like(self._y)
        for place, start in enumerate(starts):
            self._start[place, : len(start)] = torch.from_numpy(start)
        self._delta = torch.zeros(len(self._x), self._x.shape[2], dtype=torch.float64)
        self._z = self._start
        self._curvature = self._curved()

    def solve(self, strength: float) -> Tensor:
        """δ of every owner at a strength, (owners, d)."""
        loss, last = self._loss(self._delta, self._z, strength), float("inf")
        factor = self._factor(strength)
        for _ in range(_STEPS):
            gradient = self._gradient(strength).unsqueeze(-1)
            step = torch.cholesky_solve(gradient, factor)[..., 0]
            loss, length = self._move(step, loss, strength), float(step.abs().max())
            if length < _CLOSE:
                break
            if length > _SLOW * last:
                self._curvature = self._curved()
                factor = self._factor(strength)
            last = length
        return self._delta

    def _gradient(self, strength: float) -> Tensor:
        slope = ((self._z.sigmoid() - self._y) * self._real).float()
        return torch.bmm(slope.unsqueeze(1), self._x)[:, 0].double() + strength * self._delta

    def _curved(self) -> Tensor:
        """Σ p(1 − p)·xxᵀ where δ stands, (owners, d, d)."""
        p = self._z.sigmoid()
        torch.mul(self._x, (p * (1.0 - p) * self._real).float().unsqueeze(-1), out=self._weighed)
        return torch.bmm(self._weighed.transpose(1, 2), self._x).double()

    def _factor(self, strength: float) -> Tensor:
        pulled = self._curvature.clone()
        pulled.diagonal(dim1=1, dim2=2).add_(strength)
        return torch.linalg.cholesky(pulled)

    def _move(self, step: Tensor, loss: Tensor, strength: float) -> Tensor:
        """Take the step, shortened for owners whose loss it would raise; returns the loss."""
        size = torch.ones(len(step), 1, dtype=torch.float64)
        along = self._added(step)
        for _ in range(_HALVINGS):
            after = self._loss(self._delta - size * step, self._z - size * along, strength)
            worse = after > loss + 1e-7 * loss.abs()
            if not worse.any():
                break
            size[worse] /= 2.0
        size[worse] = 0.0
        self._delta = self._delta - size * step
        self._z = self._start + self._added(self._delta)
        return torch.where(worse, loss, after)

    def _loss(self, delta: Tensor, z: Tensor, strength: float) -> Tensor:
        each = torch.nn.functional.softplus(z) - self._y * z
        return (each * self._real).sum(1) + strength / 2 * delta.square().sum(1)

    def _added(self, delta: Tensor) -> Tensor:
        return torch.bmm(self._x, delta.float().unsqueeze(-1))[..., 0].double()
