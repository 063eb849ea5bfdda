"""Clients of a federated job, and how all their records lie in one array."""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from domains.errors import InputError

_ROWS = 1 << 14


@dataclass(frozen=True)
class Client:
    """One owner's training records, and how much of the average it is.

    Attributes:
        name: Of the client.
        features, target: Training records, (n, d) and (n,), float32; n may be 0. Features that are
            slices of one tensor (of a memory-mapped file, say) are never copied as a whole.
        records: Public number of training records expected of this client: its weight in the
            average, and sampling rate × records the denominator of its gradients.
    """

    name: str
    features: Tensor
    target: Tensor
    records: float


def in_order(clients: Sequence[Client]) -> list[Client]:
    """By public numbers: whoever lists them otherwise gets the same sums, bit by bit."""
    return sorted(clients, key=lambda client: (client.records, client.name))


def expected_batches(clients: Sequence[Client], sampling_rate: float) -> list[float]:
    """Sampling rate × records of each client.

    Raises:
        InputError: One is not a positive number.
    """
    expected = [sampling_rate * client.records for client in clients]
    for client, batch in zip(clients, expected, strict=True):
        if not 0.0 < batch < math.inf:
            raise InputError(
                f"expected batch of {client.name}: found {batch}, expected a positive number"
            )
    return expected


class Records:
    """All clients' records, numbered from 0 client by client.

    Attributes:
        sizes: Records of each client, (clients,).
        starts, ends: Where each client's numbers begin and end, (clients,).
        base: One array that holds every client's features, (rows, d).
        rows: Where each client's features begin in it, (clients,).
        shift: What makes a record's number its row in it, (clients,).
        target: (n,), by number.
    """

    def __init__(self, clients: Sequence[Client]) -> None:
        self.sizes = np.array([len(client.features) for client in clients])
        self.ends = np.cumsum(self.sizes)
        self.starts = self.ends - self.sizes
        self.base, self.rows = _one_array([client.features for client in clients])
        self.shift = self.rows - self.starts
        self.target = torch.cat([client.target for client in clients]).float()

    def of(self, places: np.ndarray) -> Records:
        """The same records, of some clients alone; numbers and rows stay what they are.

        Args:
            places: Of these clients, rising, (k,).
        """
        some = copy(self)
        some.sizes = self.sizes[places]
        some.starts, some.ends = self.starts[places], self.ends[places]
        some.rows, some.shift = self.rows[places], self.shift[places]
        return some

    def squared_norms(self) -> Tensor:
        """‖x‖² of every record, (n,), in pieces."""
        found = torch.empty(int(self.sizes.sum()))
        for size, end, row in zip(self.sizes, self.ends, self.rows, strict=True):
            for at in range(0, size, _ROWS):
                part = self.base[row + at : row + min(at + _ROWS, size)]
                begin = end - size + at
                torch.linalg.vecdot(part, part, out=found[begin : begin + len(part)])
        return found


def _one_array(features: Sequence[Tensor]) -> tuple[Tensor, np.ndarray]:
    """One array that holds them all, and where each begins: their own where they share one."""
    full = [each for each in features if len(each)]
    width = features[0].shape[1]
    if full and all(_is_slice_of(full[0], each) for each in full):
        held = full[0].untyped_storage().nbytes() // (4 * width)
        base = full[0].as_strided((held, width), (width, 1), 0)
        return base, np.array([each.storage_offset() // width for each in features])
    ends = np.cumsum([len(each) for each in features])
    rows = ends - [len(each) for each in features]
    return torch.cat([each.float() for each in features]), rows


def _is_slice_of(whole: Tensor, part: Tensor) -> bool:
    width = whole.shape[1]
    return (
        part.dtype == torch.float32
        and part.shape[1] == width
        and part.stride() == (width, 1)
        and part.storage_offset() % width == 0
        and part.untyped_storage().data_ptr() == whole.untyped_storage().data_ptr()
    )
