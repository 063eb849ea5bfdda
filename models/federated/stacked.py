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
class _Taking:
    """Those who take part in a step: records, a generator, and one over the expected batch."""

    records: Records
    draws: Sequence[torch.Generator]
    shares: Tensor


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
            taking: Who takes part, (clients,) bool; for others nothing is computed, and their
                gradients are 0. None: all.
        """
        everyone = _Taking(self._records, draws, self._shares)
        with torch.no_grad():
            if taking is None:
                self._fill(everyone, params, out, alike)
                return
            places = np.flatnonzero(taking)
            here = torch.from_numpy(places)
            mine = Stack.of([part[0] for part in out.parts], len(places))
            own = [part[here] for part in params]
            of_them = [draws[place] for place in places.tolist()]
            some = _Taking(self._records.of(places), of_them, self._shares[here])
            self._fill(some, own, mine, alike)
            out.flat.zero_()
            for part, found in zip(out.parts, mine.parts, strict=True):
                part[here] = found

    def _fill(self, some: _Taking, params: State, out: Stack, alike: bool) -> None:
        """Gradients of those who take part, noised under a plan."""
        out.flat.zero_()
        drawn = self._draw(some)
        if drawn.numbers is None:
            self._add_all(some.records, params, out.parts, alike)
        else:
            self._add_padded(params, out.parts, drawn.numbers, drawn.counts, some.records.shift)
        if self._private:
            sigma = self._private.noise_multiplier * self._private.clip_norm
            noise.add_gaussian(out.flat.numpy(), sigma)
        for part in out.parts:
            part.mul_(some.shares.view(-1, *(1 for _ in part.shape[1:])))

    def _draw(self, some: _Taking) -> _Drawn:
        sizes, rate = some.records.sizes, self._schedule.sampling_rate
        if rate == 1.0:
            return _Drawn(sizes, None)
        if self._private:
            coins = noise.bernoulli(int(sizes.sum()), rate)
        else:
            each = zip(sizes.tolist(), some.draws, strict=True)
            coins = torch.cat([torch.rand(n, generator=g) < rate for n, g in each]).numpy()
        found, ends = np.flatnonzero(coins), np.cumsum(sizes)
        counts = np.diff(np.searchsorted(found, ends), prepend=0)
        return _Drawn(counts, found + np.repeat(some.records.ends - ends, counts))

    def _add_all(self, records: Records, params: State, out: State, alike: bool) -> None:
        """Sums over every record: slices of the one array where that is worth it, else padded."""
        first = 0
        while first < len(records.sizes):
            last = self._end_of_run(records, first, alike)
            if last > first:
                self._add_run(records, params, out, first, last)
            else:
                last = _end_of_small(records, first)
                some = slice(first, last)
                spans = zip(records.starts[some], records.ends[some], strict=True)
                numbers = np.concatenate([np.arange(begin, end) for begin, end in spans])
                own, sums = ([part[some] for part in state] for state in (params, out))
                self._add_padded(own, sums, numbers, records.sizes[some], records.shift[some])
            first = last

    def _end_of_run(self, records: Records, first: int, alike: bool) -> int:
        """Up to which client records from `first` on can be taken as one slice; `first` if none."""
        last, rows = first + 1, int(records.sizes[first])
        while alike and last < len(records.sizes) and rows < self._piece:
            apart = records.rows[last] != records.rows[last - 1] + records.sizes[last - 1]
            if apart or records.starts[last] != records.ends[last - 1]:
                break
            rows += int(records.sizes[last])
            last += 1
        return last if last > first + 1 or _is_large(records, first) else first

    def _add_run(self, records: Records, params: State, out: State, first: int, last: int) -> None:
        """Sums of clients whose records lie one after the other, under one set of parameters."""
        begin, row = int(records.starts[first]), int(records.rows[first])
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
            for client, rows in _cut(records, first, last, begin + at, begin + end):
                add_sums_of(self._layers, found, [part[client] for part in out], rows)

    def _add_padded(
        self, params: State, out: State, numbers: np.ndarray, counts: np.ndarray, shift: np.ndarray
    ) -> None:
        """Sums over records by number, `counts` of each client, whose `shift` makes them rows."""
        begun = 0
        for some in _blocks(counts, self._piece):
            held = counts[some]
            mine = numbers[begun : begun + int(held.sum())]
            begun += len(mine)
            own, sums = ([part[some] for part in state] for state in (params, out))
            if len(mine) <= self._piece:
                self._add_block(own, sums, mine, held, shift[some])
                continue
            for at in range(0, len(mine), self._piece):  # one client that fills more than a piece
                part = mine[at : at + self._piece]
                self._add_block(own, sums, part, np.array([len(part)]), shift[some])

    def _add_block(
        self, params: State, out: State, numbers: np.ndarray, counts: np.ndarray, shift: np.ndarray
    ) -> None:
        """Sums over records of these clients, each padded to the one with the most of them."""
        if not len(numbers):
            return
        real = np.arange(counts.max()) < counts[:, None]
        rows = numbers + np.repeat(shift, counts)
        x = self._records.base.index_select(0, _padded(rows, real)).view(*real.shape, -1)
        held = _padded(numbers, real)
        y = self._records.target.index_select(0, held).view(real.shape)
        pad = None if real.all() else torch.from_numpy(~real)
        if pad is not None:
            x.view(real.size, -1).index_fill_(0, pad.view(-1).nonzero()[:, 0], 0.0)
        found = trace(self._layers, params, x, y, pad)
        if self._private and self._squares is not None:
            squares = self._squares.index_select(0, held).view(real.shape)
            clip(self._layers, found, squares, self._private.clip_norm)
        add_sums(self._layers, found, out)


def _is_large(records: Records, client: int) -> bool:
    return int(records.sizes[client]) * records.base.shape[1] >= _ALONE


def _end_of_small(records: Records, first: int) -> int:
    last = first + 1
    while last < len(records.sizes) and not _is_large(records, last):
        last += 1
    return last


def _cut(
    records: Records, first: int, last: int, begin: int, end: int
) -> Iterator[tuple[int, slice]]:
    """Which rows of the numbers from `begin` to `end` belong to which client."""
    for client in range(first, last):
        low = max(int(records.starts[client]), begin)
        high = min(int(records.ends[client]), end)
        if low < high:
            yield client, slice(low - begin, high - begin)


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
