"""Inputs of a network that are kept as one number a feature, and made batch by batch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from domains.healthcare.cohort.features import Encoder


@dataclass(frozen=True)
class Coded:
    """What a tensor of inputs, (n, width) float32, answers when it is asked for rows.

    Attributes:
        codes: `Encoder.code` of the records, (n, features); may be mapped from a file.
        encoder: Makes inputs of them.
    """

    codes: np.ndarray
    encoder: Encoder

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def shape(self) -> tuple[int, int]:
        """Records and inputs."""
        return len(self.codes), self.encoder.width

    def __getitem__(self, rows: Tensor | slice) -> Tensor:
        """Inputs of some records, (·, width)."""
        if isinstance(rows, slice):
            return torch.from_numpy(self.encoder.spread(np.asarray(self.codes[rows])))
        places = rows.numpy()
        order = np.argsort(places)  # a file is read from front to back
        codes = np.empty((len(places), self.codes.shape[1]), dtype=np.float32)
        codes[order] = self.codes[places[order]]
        return torch.from_numpy(self.encoder.spread(codes))
