"""SCAFFOLD: each client's steps are corrected by how it differs from the others."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from models.federated.fedavg import FedAvg, Project, listed
from models.federated.stack import State

_CONTROL, _KNOWN = "control.", "known"


class Scaffold(FedAvg):
    """SCAFFOLD (Karimireddy et al., ICML 2020, arXiv:1910.06378), option II.

    Each client steps along `g + c - c_k`. After a round of K steps of length η, one that took part
    has `c_k ← c_k - c - Δ_k / (K·η)`: the mean of the gradients it sent, after their noise. So a
    control variate is computed from what left its client, and costs no further privacy. c is the
    average of the c_k by the clients' shares. An update that is not taken leaves c_k as it was; who
    has not sent one yet has no c_k, is not corrected, and does not count in c.

    Args:
        learning_rate: η.
        momentum, averaged, project: See `FedAvg`.
    """

    local = True

    def __init__(
        self,
        learning_rate: float,
        momentum: float = 0.0,
        averaged: float = 0.0,
        project: Project | None = None,
    ) -> None:
        super().__init__(learning_rate, momentum, averaged, project)
        self._shares = torch.ones(0)
        self._controls: State = []
        self._known = torch.zeros(0, dtype=torch.bool)
        self._differences: State = []  # c - c_k
        self._steps = 0

    def begin(self, shares: Tensor) -> None:
        """With these c is made of the c_k."""
        self._shares = shares
        self._compare()

    def correct(self, gradients: State, _params: State, _start: State, /) -> State:
        """The gradient, turned from the client's own direction to that of all."""
        self._steps += 1
        for gradient, difference in zip(gradients, self._differences, strict=False):
            gradient.add_(difference)
        return gradients

    def fold(self, start: State, updates: State, weights: Tensor) -> State:
        """`FedAvg`'s, once the control variates of those who took part have been renewed."""
        self._renew(updates, weights > 0)
        return super().fold(start, updates, weights)

    def _renew(self, updates: State, taken: Tensor) -> None:
        if not self._controls:
            self._controls = [torch.zeros_like(each) for each in updates]
            self._differences = [torch.zeros_like(each) for each in updates]
            self._known = torch.zeros_like(taken)
        length = self._steps * self.learning_rate
        three = zip(self._controls, self._differences, updates, strict=True)
        for control, difference, update in three:
            control[taken] = -difference[taken] - update[taken] / length
        self._known, self._steps = self._known | taken, 0
        self._compare()

    def _compare(self) -> None:
        if not self._controls:
            return
        shares = self._shares * self._known
        shares = shares / shares.sum()
        means = [torch.tensordot(shares, each, dims=1) for each in self._controls]
        pairs = zip(means, self._controls, strict=True)
        self._differences = [mean - control for mean, control in pairs]
        for difference in self._differences:
            difference[~self._known] = 0.0

    def state(self) -> dict[str, Tensor]:
        """`FedAvg`'s, and c_k of every client that has one."""
        own = {f"{_CONTROL}{i}": c for i, c in enumerate(self._controls)}
        return super().state() | own | ({_KNOWN: self._known} if own else {})

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on with what `state` told; `begin` comes after it."""
        super().restore(state)
        self._controls = [each.clone() for each in listed(state, _CONTROL)]
        self._known = state.get(_KNOWN, self._known)
