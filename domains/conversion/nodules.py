"""Which outlines by several readers are of one and the same nodule."""

from __future__ import annotations

import numpy as np
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

# Four readers saw each scan: a larger group has merged two nodules.
_READERS = 4
_SHRINK = 0.9
_SMALLEST_MM = 0.1


def same_nodule(clouds: list[np.ndarray], tolerance: float) -> np.ndarray:
    """Group one scan's annotations by nodule.

    The rule of pylidc's `cluster_annotations`: annotations whose outlines come within `tolerance`
    of each other are of one nodule, and so on along the chain; while a group is larger than the
    four readers, the tolerance shrinks by a tenth.

    Args:
        clouds: Outline points of each annotation in mm, each of shape (p, 3).
        tolerance: The scan's slice thickness in mm.

    Returns:
        Group number of each annotation, 0 … groups-1, shape (len(clouds),).
    """
    distance = _distances(clouds, tolerance)
    while True:
        _, groups = connected_components(distance <= tolerance, directed=False)
        if np.bincount(groups).max() <= _READERS or tolerance < _SMALLEST_MM:
            return np.asarray(groups)
        tolerance *= _SHRINK


def _distances(clouds: list[np.ndarray], limit: float) -> np.ndarray:
    """Smallest distance between each two clouds in mm, infinite beyond `limit`, shape (n, n)."""
    low = np.array([cloud.min(axis=0) for cloud in clouds])
    high = np.array([cloud.max(axis=0) for cloud in clouds])
    trees = [cKDTree(cloud) for cloud in clouds]
    out = np.full((len(clouds), len(clouds)), np.inf)
    for one in range(len(clouds)):
        near = np.all((low[one] - high <= limit) & (low - high[one] <= limit), axis=1)
        for other in np.flatnonzero(near[:one]):
            gaps, _ = trees[one].query(clouds[other], distance_upper_bound=np.nextafter(limit, 9e9))
            out[one, other] = gaps.min()
    return out
