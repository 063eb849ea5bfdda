"""Soft sharing: a trunk an outcome, each held near the others."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from domains.errors import InputError
from models.multitask.shape import Shape
from models.multitask.sharing.network import Network
from models.multitask.sharing.none import Separate


class Soft(Separate):
    """Trunks tied by the squared distance of their weights to their mean (Duong et al., ACL 2015).

    They start alike: the distance says how far outcomes have moved apart, not where they began.

    Args:
        shape: Of the network.
        tie: What the squared distance counts. 0 is no sharing; a very large one is one trunk.

    Raises:
        InputError: The tie is negative.
    """

    told = "a trunk an outcome, each held near the others"
    trains_together = True

    def __init__(self, shape: Shape, *, tie: float = 0.01) -> None:
        if tie < 0:
            raise InputError(f"tie: found {tie:g}, expected 0 or more")
        super().__init__(shape)
        self.tie = tie
        first = next(iter(self._trunks())).state_dict()
        for trunk in self._trunks():
            trunk.load_state_dict(first)

    def independent(self) -> list[Network]:
        """The whole: no trunk can be trained without the others."""
        return [self]

    def penalty(self) -> Tensor:
        """tie · Σ over outcomes of ‖trunk − mean trunk‖²."""
        total = torch.zeros(())
        for alike in zip(*(trunk.parameters() for trunk in self._trunks()), strict=True):
            each = torch.stack(alike)
            total = total + (each - each.mean(dim=0)).square().sum()
        return self.tie * total

    def _trunks(self) -> list[nn.Module]:
        return [network.get_submodule("trunk") for network in self.networks]
