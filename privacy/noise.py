"""Randomness that privacy rests on, from the operating system and never from a seed.

A configuration's seed is published with the run; noise that could be drawn again from it would
protect nobody. Every call takes a fresh 256-bit key and a starting counter from `os.urandom` and
draws from AES-256 in counter mode under them (NIST SP 800-38A), which is ten times faster than the
operating system's own stream. The key lives in that call alone: it is neither returned, stored nor
used again, so nobody outside the process knows it, no earlier draw can be computed from anything
kept, and a forked worker cannot repeat it. Draws are as hard to tell from uniform ones as AES.

What is not covered: the values are float64, rounded to float32 where they are added to float32
sums, and the attacks on the low bits of floating-point noise (Mironov, "On significance of the
least significant bits for differential privacy", CCS 2012) are outside the guarantee.
"""

import math
import os
from collections.abc import Iterator

import numpy as np
import torch
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, algorithms, modes
from numpy.typing import NDArray

_ONE = np.float64(1.0).view(np.uint64)  # sign and exponent of the numbers from 1 to 2
_PAIRS = 1 << 13  # a chunk of Box-Muller pairs that stays in the cache
_COINS = 1 << 16
_ZEROS = bytes(8 * max(2 * _PAIRS, _COINS))


def gaussian(shape: int | tuple[int, ...], sigma: float) -> NDArray[np.float64]:
    """Independent draws from N(0, sigma²).

    Box and Muller, "A note on the generation of random normal deviates" (1958): with u, v uniform
    on (0, 1] in steps of 2⁻⁵², √(-2 ln u)·cos 2πv and √(-2 ln u)·sin 2πv are two independent
    standard normals.

    Args:
        shape: shape of the result.
        sigma: standard deviation, finite and not negative; 0 gives zeros.

    Raises:
        ValueError: sigma is negative, infinite or not a number.

    >>> gaussian((2, 3), 0.0).tolist()
    [[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    out = np.zeros(int(np.prod(shape)))
    for part, drawn in _chunks(out, sigma):
        part += drawn
    return out.reshape(shape)


def add_gaussian(values: NDArray[np.float32], sigma: float) -> None:
    """Add independent draws from N(0, sigma²) to values in place, shape (n,).

    Raises:
        ValueError: sigma is negative, infinite or not a number.
    """
    for part, drawn in _chunks(values, sigma):
        part += drawn.astype(np.float32)


def bernoulli(count: int, probability: float) -> NDArray[np.bool_]:
    """Independent coins, shape (count,): Poisson sampling takes the records that come up True.

    Each comes up True with the largest multiple of 2⁻⁶⁴ that is at most the probability.

    Raises:
        ValueError: the probability is not within [0, 1].
    """
    if not 0.0 <= probability <= 1.0:
        raise ValueError(f"a sampling probability lies in [0, 1], found {probability}")
    if probability == 1.0:
        return np.ones(count, dtype=bool)
    coins, below, stream = np.empty(count, dtype=bool), int(probability * 2.0**64), _stream()
    for start in range(0, count, _COINS):
        part = coins[start : start + _COINS]
        np.less(_words(stream, len(part)), np.uint64(below), out=part)
    return coins


def _stream() -> CipherContext:
    """AES-256 in counter mode under a key of its own."""
    return Cipher(algorithms.AES(os.urandom(32)), modes.CTR(os.urandom(16))).encryptor()


def _words(stream: CipherContext, count: int) -> NDArray[np.uint64]:
    """Uniform 64-bit words, as many as `_ZEROS` allows at most."""
    words = np.empty(count, dtype=np.uint64)
    stream.update_into(memoryview(_ZEROS)[: 8 * count], words.data.cast("B"))
    return words


def _chunks(
    values: NDArray[np.floating], sigma: float
) -> Iterator[tuple[NDArray[np.floating], NDArray[np.float64]]]:
    """Parts of values, and N(0, sigma²) for each; none where sigma is 0."""
    if not (math.isfinite(sigma) and sigma >= 0):
        raise ValueError(f"sigma must be finite and at least 0, found {sigma}")
    stream = _stream()
    for start in range(0, len(values) if sigma > 0 else 0, 2 * _PAIRS):
        part = values[start : start + 2 * _PAIRS]
        yield part, _normals(stream, len(part), sigma)


def _normals(stream: CipherContext, count: int, sigma: float) -> NDArray[np.float64]:
    """The bits of a word are those of a number uniform on {1, 1 + 2⁻⁵², …, 2 - 2⁻⁵²}: one such
    number a turn of the circle, the other, taken from 2, never 0, so that its logarithm exists."""
    pairs = (count + 1) // 2
    words = _words(stream, 2 * pairs)
    words >>= np.uint64(12)
    words |= _ONE
    uniform = words.view(np.float64)
    radius, angle = np.subtract(2.0, uniform[:pairs]), torch.from_numpy(uniform[pairs:])
    np.log(radius, out=radius)
    radius *= -2.0
    np.sqrt(radius, out=radius)
    radius *= sigma
    angle *= 2.0 * math.pi
    out = np.empty(2 * pairs)
    np.multiply(radius, angle.cos().numpy(), out=out[:pairs])
    np.multiply(radius, angle.sin_().numpy(), out=out[pairs:])
    return out[:count]
