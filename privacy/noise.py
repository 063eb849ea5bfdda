"""Randomness that privacy rests on, drawn from the operating system and never from a seed.

A configuration's seed is published with the run; noise that could be drawn again from it would
protect nobody. `os.urandom` keeps no state in this process, so a forked worker cannot repeat it
either. What is not covered: the values are float64, and the attacks on the low bits of
floating-point noise (Mironov, "On significance of the least significant bits for differential
privacy", CCS 2012) are outside the guarantee.
"""

import math
import os

import numpy as np
from numpy.typing import NDArray

_RESOLUTION = 2.0**-53
_PAIRS = 1 << 14  # a chunk of Box-Muller pairs that stays in the cache


def gaussian(shape: int | tuple[int, ...], sigma: float) -> NDArray[np.float64]:
    """Independent draws from N(0, sigma²).

    Box and Muller, "A note on the generation of random normal deviates" (1958): with u, v uniform
    on (0, 1], √(-2 ln u)·cos 2πv and √(-2 ln u)·sin 2πv are two independent standard normals.

    Args:
        shape: shape of the result.
        sigma: standard deviation, finite and not negative; 0 gives zeros.

    Raises:
        ValueError: sigma is negative, infinite or not a number.

    >>> gaussian((2, 3), 0.0).tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    if not (math.isfinite(sigma) and sigma >= 0):
        raise ValueError(f"sigma must be finite and at least 0, found {sigma}")
    size = int(np.prod(shape))
    out = np.zeros(size)
    if sigma > 0:
        for start in range(0, size, 2 * _PAIRS):
            out[start : start + 2 * _PAIRS] = sigma * _normals(min(2 * _PAIRS, size - start))
    return out.reshape(shape)


def bernoulli(count: int, probability: float) -> NDArray[np.bool_]:
    """Independent coins, shape (count,): Poisson sampling takes the records that come up True.

    Raises:
        ValueError: the probability is not within [0, 1].
    """
    if not 0.0 <= probability <= 1.0:
        raise ValueError(f"a sampling probability lies in [0, 1], found {probability}")
    return _uniform(count) <= probability


def _uniform(count: int) -> NDArray[np.float64]:
    """Uniform on {2⁻⁵³, 2·2⁻⁵³, …, 1}: never 0, so that its logarithm exists."""
    words = np.frombuffer(os.urandom(8 * count), dtype=np.uint64)
    return ((words >> np.uint64(11)) + np.uint64(1)).astype(np.float64) * _RESOLUTION


def _normals(count: int) -> NDArray[np.float64]:
    pairs = (count + 1) // 2
    radius = np.sqrt(-2.0 * np.log(_uniform(pairs)))
    angle = 2.0 * math.pi * _uniform(pairs)
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)])[:count]
