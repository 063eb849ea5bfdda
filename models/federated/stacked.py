"""All clients' gradients in one go: batched matrix products, norms in closed form, no autograd.

Unit: one record of one owner, added or removed. In each local step every record of a client is
taken with the schedule's sampling rate by a coin of its own (rate 1: all are taken), its gradient
is clipped to norm C, and N(0, (σC)²) from the operating system is added to every coordinate of each
client's sum, whether its records use that coordinate or not; the sum is divided by the expected
batch, a public number. ε and δ of all steps together are the plan's (`privacy.plan`). Batches are
padded with rows that weigh nothing, or cut into pieces that are added up; no record is ever left
out for being one too many. What `gradients` leaves may leave its client; nothing else may.

Memory: the records themselves, a few numbers for each of them, and one piece at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from models.federated.clients import Client, Records, expected_batches
from models.federated.nets import add_sums, add_sums_of, clip, layers_of, trace
from models.federated.stack import Stack, State
from privacy import noise
from privacy.plan import PrivacyPlan, Schedule

_PIECE_NUMBERS = 1 << 20  # inputs, activations and slopes that are held at once: 4 MB
_KEPT = 30 << 20  # bytes
_ALONE = 1 << 15  # features of a client from which on it is not worth padding to its neighbours
_WASTE, _SLACK = 1.3, 256  # rows of a padded piece: at most so many times its records, and some


@dataclass(frozen=True)
class _Drawn:
    """Records of one step: how many of each client, and their numbers (None: all)."""

    counts: np.ndarray
    numbers: np.ndarray | None


class Stacked:
    """Every client's gradient, for nets of Linear layers (`nets.layers_of`).

    Args:
        model: Such a net.
        clients: In their order; their features may lie in a memory-mapped file.
        schedule: A `PrivacyPlan` clips and adds noise.

    Raises:
        InputError: An expected batch is not a positive number.
    """

    def __init__(self, model: nn.Module, clients: Sequence[Client], schedule: Schedule) -> None:
        layers = layers_of(model)
        if layers is None:
            raise ValueError("expected Linear layers with known activations between them")
        self._layers, self._schedule = layers, schedule
        self._records = Records(clients)
        self._private = schedule if isinstance(schedule, PrivacyPlan) else None
        self._squares = self._records.squared_norms() if self._private else None
        like = list(model.parameters())
        self._shares = 1.0 / torch.tensor(expected_batches(clients, schedule.sampling_rate))
        _keep_freed_memory()
        widths = [like[layer.weight].shape for layer in layers]
        self._piece = max(1, _PIECE_NUMBERS // sum(2 * out + into for out, into in widths))

    def gradients(
        self,
        params: State,
        out: Stack,
        draws: Sequence[torch.Generator],
        alike: bool,
        taking: np.ndarray | None = None,
    ) -> None:
        """One step's gradients.

        Args:
            params: Each client's parameters, (clients, *shape) each.
            out: Where each client's gradient goes, noised under a plan.
            draws: A generator for each client; sampling without privacy takes from it.
            alike: Whether all clients have the same parameters.
            taking: Who takes part, (clients,) bool; of others no record is touched, and what is
                left of them is noise. None: all.
        """
        out.flat.zero_()
        with torch.no_grad():
            drawn = self._draw(draws, taking)
            if drawn.numbers is None:
                self._add_all(params, out.parts, alike)
            else:
                self._add_padded(params, out.parts, drawn.numbers, drawn.counts, 0)
            if self._private:
                sigma = self._private.noise_multiplier * self._private.clip_norm
                noise.add_gaussian(out.flat.numpy(), sigma)
            for part in out.parts:
                part.mul_(self._shares.view(-1, *(1 for _ in part.shape[1:])))

    def _draw(self, draws: Sequence[torch.Generator], taking: np.ndarray | None) -> _Drawn:
        sizes, rate = self._records.sizes, self._schedule.sampling_rate
        if rate == 1.0 and taking is None:
            return _Drawn(sizes, None)
        total = int(sizes.sum())
        if rate == 1.0:
            coins = np.ones(total, dtype=bool)
        elif self._private:
            coins = noise.bernoulli(total, rate)
        else:
            each = zip(sizes.tolist(), draws, strict=True)
            coins = torch.cat([torch.rand(n, generator=g) < rate for n, g in each]).numpy()
        if taking is not None:
            coins &= np.repeat(taking, sizes)
        numbers = np.flatnonzero(coins)
        counts = np.diff(np.searchsorted(numbers, self._records.ends), prepend=0)
        return _Drawn(counts, numbers)

    def _add_all(self, params: State, out: State, alike: bool) -> None:
        """Sums over every record: slices of the one array where that is worth it, else padded."""
        sizes = self._records.sizes
        first = 0
        while first < len(sizes):
            last = self._end_of_run(first, alike)
            if last > first:
                self._add_run(params, out, first, last)
            else:
                last = self._end_of_small(first)
                begin = int(self._records.ends[first] - sizes[first])
                numbers = np.arange(begin, int(self._records.ends[last - 1]))
                self._add_padded(params, out, numbers, sizes[first:last], first)
            first = last

    def _is_large(self, client: int) -> bool:
        return int(self._records.sizes[client]) * self._records.base.shape[1] >= _ALONE

    def _end_of_run(self, first: int, alike: bool) -> int:
        """Up to which client records from `first` on can be taken as one slice; `first` if none."""
        records, last = self._records, first + 1
        rows = int(records.sizes[first])
        while alike and last < len(records.sizes) and rows < self._piece:
            if records.rows[last] != records.rows[last - 1] + records.sizes[last - 1]:
                break
            rows += int(records.sizes[last])
            last += 1
        return last if last > first + 1 or self._is_large(first) else first

    def _end_of_small(self, first: int) -> int:
        last = first + 1
        while last < len(self._records.sizes) and not self._is_large(last):
            last += 1
        return last

    def _add_run(self, params: State, out: State, first: int, last: int) -> None:
        """Sums of clients whose records lie one after the other, under one set of parameters."""
        records = self._records
        begin, row = int((records.ends - records.sizes)[first]), int(records.rows[first])
        total = int(records.ends[last - 1]) - begin
        own = [part[first : first + 1] for part in params]
        for at in range(0, total, self._piece):
            end = min(at + self._piece, total)
            x = records.base[row + at : row + end].unsqueeze(0)
            numbers = slice(begin + at, begin + end)
            found = trace(self._layers, own, x, records.target[numbers].unsqueeze(0), None)
            if self._private and self._squares is not None:
                squares = self._squares[numbers].unsqueeze(0)
                clip(self._layers, found, squares, self._private.clip_norm)
            for client, rows in self._cut(first, last, begin + at, begin + end):
                add_sums_of(self._layers, found, [part[client] for part in out], rows)

    def _cut(self, first: int, last: int, begin: int, end: int) -> Iterator[tuple[int, slice]]:
        """Which rows of the numbers from `begin` to `end` belong to which client."""
        ends, sizes = self._records.ends, self._records.sizes
        for client in range(first, last):
            low = max(int(ends[client] - sizes[client]), begin)
            high = min(int(ends[client]), end)
            if low < high:
                yield client, slice(low - begin, high - begin)

    def _add_padded(
        self, params: State, out: State, numbers: np.ndarray, counts: np.ndarray, first: int
    ) -> None:
        """Sums over records by number, `counts` of each client from `first` on."""
        begun = 0
        for some in _blocks(counts, self._piece):
            held = counts[some]
            mine = numbers[begun : begun + int(held.sum())]
            begun += len(mine)
            clients = slice(first + some.start, first + some.stop)
            if len(mine) <= self._piece:
                self._add_block(params, out, mine, held, clients)
                continue
            for at in range(0, len(mine), self._piece):  # one client that fills more than a piece
                part = mine[at : at + self._piece]
                self._add_block(params, out, part, np.array([len(part)]), clients)

    def _add_block(
        self, params: State, out: State, numbers: np.ndarray, counts: np.ndarray, clients: slice
    ) -> None:
        """Sums over records of some clients, each padded to the one with the most of them."""
        if not len(numbers):
            return
        real = np.arange(counts.max()) < counts[:, None]
        rows = numbers + np.repeat(self._records.shift[clients], counts)
        x = self._records.base.index_select(0, _padded(rows, real)).view(*real.shape, -1)
        held = _padded(numbers, real)
        y = self._records.target.index_select(0, held).view(real.shape)
        pad = None if real.all() else torch.from_numpy(~real)
        if pad is not None:
            x.view(real.size, -1).index_fill_(0, pad.view(-1).nonzero()[:, 0], 0.0)
        found = trace(self._layers, [part[clients] for part in params], x, y, pad)
        if self._private and self._squares is not None:
            squares = self._squares.index_select(0, held).view(real.shape)
            clip(self._layers, found, squares, self._private.clip_norm)
        add_sums(self._layers, found, [part[clients] for part in out])


def _keep_freed_memory() -> None:
    """Have glibc hold on to what a piece frees, for the next one.

    It hands the top of the heap back to the system and takes it anew, page by page, which can
    double the time of a step; but only what exceeds twice the largest block that was ever freed
    (mallopt(3), M_MMAP_THRESHOLD). This one is never written to and costs nothing.
    """
    torch.empty(_KEPT, dtype=torch.uint8)


def _padded(values: np.ndarray, real: np.ndarray) -> Tensor:
    """Values where `real`, (k, m), row by row; elsewhere the first of them, to be masked."""
    filled = np.full(real.shape, values[0])
    filled[real] = values
    return torch.from_numpy(filled.ravel())


def _blocks(counts: np.ndarray, most: int) -> Iterator[slice]:
    """Neighbours that can be padded to one length within so many rows, and without much waste."""
    first, total, longest = 0, 0, 0
    for place, count in enumerate(counts.tolist()):
        rows = (place + 1 - first) * max(longest, count)
        if place > first and rows > min(most, _WASTE * (total + count) + _SLACK):
            yield slice(first, place)
            first, total, longest = place, 0, 0
        total, longest = total + count, max(longest, count)
    yield slice(first, len(counts))
