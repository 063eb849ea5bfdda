"""Images that are the same picture twice, exactly or nearly.

A copy of a training image in the test set makes any model look good. Exact copies share a hash of
their pixels; near copies (another size, another JPEG quality) share a perceptual one.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

HASH_BITS = 512
"""Length of a perceptual hash: 256 horizontal and 256 vertical differences."""

_NEAR_BITS = 24  # of 512; re-encoded or resized copies differ in fewer, neighbouring slices in more
_MIN_BITS_SET = 48  # flatter pictures (blank, or a single blob) hash alike without being copies
_BLOCK = 4_000_000
"""Comparisons at once, of a few bytes each."""


@dataclass(frozen=True)
class Fingerprints:
    """Hashes of n images.

    Attributes:
        exact: Hash of the pixels, (n,) of 32 hexadecimal digits.
        perceptual: Difference hash, (n, 512) of 0 and 1 (uint8).
    """

    exact: np.ndarray
    perceptual: np.ndarray


def exact_hash(pixels: np.ndarray) -> str:
    """Hash of the shape and every pixel of one image, 32 hexadecimal digits."""
    head = str(pixels.shape).encode()
    body = np.ascontiguousarray(pixels).tobytes()
    return hashlib.blake2b(head + body, digest_size=16).hexdigest()


def perceptual_hash(pixels: np.ndarray) -> np.ndarray:
    """Difference hash: is each of 16 × 16 cells brighter than its right and its lower neighbour?

    Differences of at most two grey levels count as none, so that compression noise in a flat
    background sets no bits.

    Args:
        pixels: uint8, (H, W, 3).

    Returns:
        uint8 of 0 and 1, (512,).
    """
    grey = Image.fromarray(np.ascontiguousarray(pixels), mode="RGB").convert("L")
    cells = np.asarray(grey.resize((17, 17), Image.Resampling.BOX), dtype=np.int16)
    right = cells[:16, 1:] - cells[:16, :16] > 2
    down = cells[1:, :16] - cells[:16, :16] > 2
    return np.concatenate([right.ravel(), down.ravel()]).astype(np.uint8)


def pairs(left: Fingerprints, right: Fingerprints) -> tuple[np.ndarray, np.ndarray]:
    """Rows of `left` and `right` that show the same picture, exactly or nearly.

    Costs one matrix product of the bits, a block at a time: 20,000 against 20,000 take seconds.
    Where many rows show one picture, as many pairs are named as connect them all, not each with
    each: ten thousand copies of a placeholder would have a hundred million pairs.
    """
    bits, rows = right.perceptual.astype(np.float32), max(_BLOCK // max(len(right.exact), 1), 1)
    found = [
        _near(left.perceptual[start : start + rows].astype(np.float32), bits, start)
        for start in range(0, len(left.exact), rows)
    ]
    near_rows = np.concatenate([rows for rows, _ in found] or [np.empty(0, int)])
    near_columns = np.concatenate([columns for _, columns in found] or [np.empty(0, int)])
    same_rows, same_columns = _same(left.exact, right.exact)
    return np.concatenate([near_rows, same_rows]), np.concatenate([near_columns, same_columns])


def _near(a: np.ndarray, b: np.ndarray, start: int) -> tuple[np.ndarray, np.ndarray]:
    set_a, set_b = a.sum(axis=1), b.sum(axis=1)
    distance = set_a[:, None] + set_b[None, :] - 2.0 * (a @ b.T)
    busy = (set_a >= _MIN_BITS_SET)[:, None] & (set_b >= _MIN_BITS_SET)[None, :]
    rows, columns = np.nonzero((distance <= _NEAR_BITS) & busy)
    rows, columns = _thinned(rows, columns, distance.shape)
    return rows + start, columns


def _thinned(
    rows: np.ndarray, columns: np.ndarray, shape: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """As many pairs as connect the same rows and columns: in each component, its first row with
    every column, and every row with its first column.
    """
    if len(rows) <= sum(shape):
        return rows, columns
    part = components(sum(shape), rows, columns + shape[0])
    met_rows, met_columns = np.unique(rows), np.unique(columns)
    row_parts, column_parts = part[met_rows], part[met_columns + shape[0]]
    first_row, first_column = np.zeros((2, len(part)), dtype=int)
    first_row[row_parts[::-1]] = met_rows[::-1]
    first_column[column_parts[::-1]] = met_columns[::-1]
    return (
        np.concatenate([met_rows, first_row[column_parts]]),
        np.concatenate([first_column[row_parts], met_columns]),
    )


def _same(left: np.ndarray, right: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """One matching row of `right` for every row of `left` that has any."""
    first = {value: row for row, value in reversed(list(enumerate(right.tolist())))}
    matches = [(row, first[value]) for row, value in enumerate(left.tolist()) if value in first]
    both = np.array(matches, dtype=int).reshape(-1, 2)
    return both[:, 0], both[:, 1]


def clusters(prints: Fingerprints) -> np.ndarray:
    """Number of the cluster of copies each image belongs to, (n,); most clusters hold one image."""
    return components(len(prints.exact), *pairs(prints, prints))


def components(size: int, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Connected components of a graph over `size` records with the given edges, (size,)."""
    edges = coo_array((np.ones(len(rows), dtype=np.int8), (rows, columns)), shape=(size, size))
    return np.asarray(connected_components(edges, directed=False)[1])


def join(ids: np.ndarray, cluster: np.ndarray) -> np.ndarray:
    """Group of each record: the union of its patient and its cluster of copies.

    Args:
        ids: Patient of each record, or hash of its pixels where patients are not named, (n,).
        cluster: From `clusters`, (n,).

    Returns:
        The smallest id of each group, so that a group keeps its name when the order changes; (n,).
        A record that joins two groups, or has a smaller id than a group's, gives it a new name.
    """
    names, patient = np.unique(ids.astype(str), return_inverse=True)
    nodes = len(names)
    group = components(nodes + int(cluster.max(initial=-1)) + 1, patient, cluster + nodes)
    smallest: dict[int, str] = {}
    for node, name in enumerate(names):  # names are sorted: the first of a group is its smallest
        smallest.setdefault(int(group[node]), str(name))
    return np.array([smallest[int(group[node])] for node in patient], dtype=object)
