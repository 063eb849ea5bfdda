"""Fewer training images: nested subsets that grow by whole patients, drawn by a keyed hash."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from domains.splits import positions

_STEPS = (20, 50, 100, 200, 500)
_FURTHER = 0.7


def counts(images: int, asked: Sequence[int] | None = None) -> tuple[int, ...]:
    """How many images are learned from: those asked for that there are, and at the end all.

    Args:
        images: Training images.
        asked: None for 20, 50, 100, 200, 500, and so on, as far as all are a good step further.

    >>> counts(1277)
    (20, 50, 100, 200, 500, 1277)
    >>> counts(60, [200, 50])
    (50, 60)
    """
    if asked is None:
        steps = [*_STEPS, *(step * 10**power for power in range(3, 9) for step in (1, 2, 5))]
        asked = [step for step in steps if step <= _FURTHER * images]
    return (*sorted({count for count in asked if count < images}), images)


def draw_key(key: bytes, repeat: int) -> bytes:
    """Key of one draw of training images, from that of the split."""
    return hashlib.blake2b(f"learning curve {repeat}".encode(), key=key[:64]).digest()


def in_order(
    rows: np.ndarray, groups: np.ndarray, ids: np.ndarray, y: np.ndarray, least: int, key: bytes
) -> np.ndarray:
    """Training rows in the order in which they are taken: the first n are the subset of n.

    Patients come one after the other by their hash, each with all their images, so that only the
    last one of a subset can be there in part. Nothing balances the classes. Where the smallest
    subset would hold one class alone, the first image of another is put before all others.

    Args:
        rows: Of training images, (m,).
        groups: Patient of every image, (n,).
        ids: Of every image, (n,).
        y: Class numbers (n,), or labels (n, k), of every image.
        least: Size of the smallest subset.
        key: From `draw_key`.
    """
    where = np.array([positions(each[rows], key) for each in (ids, groups)])
    order = rows[np.lexsort(where)]
    if mixed(y[order[:least]]):
        return order
    other = [place for place, row in enumerate(order) if mixed(y[[order[0], row]])]
    if not other:
        return order
    return np.r_[order[other[0]], np.delete(order, other[0])]


def mixed(y: np.ndarray) -> bool:
    """Whether there are two classes (n,), or a label (n, k) that some have and some have not."""
    return bool((y != y[:1]).any())
