"""How many leaves trees may have, from public numbers: records, clients, features, trees and noise.

Deep trees over two features at a time learn what features do together, if noise lets them; flat
trees over one feature learn each by itself and bear more noise. Of F features there are
P = F·(F − 1)/2 pairs. Were what they say shared out evenly, each pair's part of the log-odds would
have a spread of 1/√P; T/P of T trees ask about it, and n records of K clients tell of it through
noise of σ·√K a tree. Over all its trees that is a signal of

    n / √P · √(T / P) / (σ · √K)  =  n · √T / (P · σ · √K)

in standard deviations of its noise. Trees are deep where it is `ENOUGH`, and without noise. Depth
is left out of it: it changes signal and noise of a leaf alike, up to a factor that `ENOUGH` holds.

`ENOUGH` was chosen on calibration records of two public sets, credit cards in Taiwan (3, 10 and 30
clients) and loans of the SBA (20), ε from 0.5 to 8: below 22 flat trees ranked them better or about
as well (but for the SBA's at ε 0.5), above 28 deep ones did.
"""

from __future__ import annotations

from dataclasses import dataclass

from privacy.plan import PrivacyPlan, Schedule

ENOUGH = 25.0
"""Standard deviations of noise that the signal of a pair of features must be worth."""


@dataclass(frozen=True)
class Size:
    """Of a tree.

    Attributes:
        depth: Levels; there are 2^depth leaves.
        features: It asks about so many.
    """

    depth: int
    features: int


DEEP, FLAT = Size(6, 2), Size(3, 1)


def fitting(records: float, clients: int, features: int, schedule: Schedule) -> Size:
    """The size for these public numbers.

    Args:
        records: Training records expected of all clients together.
        clients: How many add their noise.
        features: That a record has.
        schedule: Trees, and a `PrivacyPlan`'s noise.

    >>> fitting(1e6, 10, 20, Schedule(30, 20, 1.0))
    Size(depth=6, features=2)
    """
    noise = schedule.noise_multiplier if isinstance(schedule, PrivacyPlan) else 0.0
    pairs = max(1, features * (features - 1) // 2)
    enough = ENOUGH * pairs * noise * clients**0.5
    return DEEP if records * schedule.steps**0.5 >= enough else FLAT
