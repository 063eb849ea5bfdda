"""Who trains, who calibrates, who tests: decided by a keyed hash of the unit's id.

A hash has no memory and needs none: the same patient, borrower or row falls on the same side in
every run and every month, however the file grows or is ordered, and all records of one unit fall
together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from domains.errors import InputError

_SCALE = float(1 << 53)


def split_key(seed: int, secret: bytes | None) -> bytes:
    """Key of the split.

    Public data split by `seed`, so that anyone can repeat the split. Private data split by the
    installation's secret alone: a configuration cannot move a record from test to training.
    """
    if secret is not None:
        return hashlib.blake2b(b"careledger private split", key=secret[:64]).digest()
    return hashlib.blake2b(f"careledger public split {seed}".encode()).digest()


def positions(ids: Sequence[object] | np.ndarray | pd.Series, key: bytes) -> np.ndarray:
    """Position of each id in [0, 1), uniform over ids and fixed by the key. Shape (n,)."""
    out = np.empty(len(ids), dtype=np.float64)
    known: dict[object, float] = {}
    for index, value in enumerate(ids):
        position = known.get(value)
        if position is None:
            digest = hashlib.blake2b(str(value).encode(), digest_size=8, key=key).digest()
            position = (int.from_bytes(digest, "big") >> 11) / _SCALE
            known[value] = position
        out[index] = position
    return out


def assign(
    ids: Sequence[object] | np.ndarray | pd.Series, parts: Mapping[str, float], key: bytes
) -> np.ndarray:
    """Name of the part each record falls in.

    Args:
        ids: The unit's id of each record, shape (n,): equal ids always share a part.
        parts: Share of every part; together 1.
        key: From `split_key`.

    Returns:
        Array of part names, shape (n,), dtype object.
    """
    edges = np.cumsum(list(parts.values()))
    if not np.isclose(edges[-1], 1.0):
        raise ValueError(f"the shares of a split must add to 1, found {edges[-1]:g}: {dict(parts)}")
    names = np.array(list(parts), dtype=object)
    return names[np.searchsorted(edges[:-1], positions(ids, key), side="right")]


def draw_sites(sites: pd.Series, share: float, key: bytes) -> np.ndarray:
    """Which records are of a site that a keyed hash draws, (n,) bool.

    At least one site is drawn, and of several at least one is not.
    """
    spots = positions(sites, hashlib.blake2b(b"sites", key=key[:64]).digest())
    drawn = spots <= max(share, spots.min())
    return drawn & (spots < spots.max()) if sites.nunique() > 1 else drawn


def held_sites(
    sites: pd.Series, asked: Sequence[str], share: float, key: bytes, where: str, unit: str
) -> np.ndarray:
    """Which records are of sites that are held out for testing, (n,) bool.

    Args:
        sites: Of each record.
        asked: The sites to hold out; empty for those that a keyed hash draws.
        share: Of the records, about what is drawn.
        key: From `split_key`.
        where: Name of the file or column, for messages.
        unit: What a record is, for messages.

    Raises:
        InputError: There is one site alone, or a site that is asked for is not there.
    """
    if sites.nunique() < 2:
        raise InputError(
            f"{where}: all {unit}s are of one site, expected at least two to hold one out; let "
            "data.split_by be patient"
        )
    unknown = sorted(set(asked) - set(sites))
    if unknown:
        raise InputError(
            f"{where}: data.test_sites names {unknown[0]!r}, and no {unit} is of that site; there "
            f"are {sites.nunique()} sites"
        )
    return sites.isin(asked).to_numpy() if asked else draw_sites(sites, share, key)


def check_disjoint(ids: np.ndarray, parts: np.ndarray, unit: str, where: str) -> None:
    """Raise InputError when one unit stands in more than one part of a given split."""
    frame = pd.DataFrame({"id": ids, "part": parts})
    counts = frame.groupby("id", sort=False)["part"].nunique()
    torn = counts.index[counts > 1]
    if len(torn):
        rows = np.flatnonzero(frame["id"].to_numpy() == torn[0])
        first, sides = int(rows[0]) + 1, sorted(set(frame["part"].to_numpy()[rows]))
        raise InputError(
            f"{where}: {len(torn)} {unit}(s) stand on more than one side of the given split "
            f"(the first at record {first}, in {' and '.join(sides)}); "
            f"put every record of one {unit} in one part"
        )


def partition(
    labels: np.ndarray,
    ids: Sequence[object] | np.ndarray | pd.Series,
    *,
    count: int,
    by: str,
    alpha: float,
    key: bytes,
) -> np.ndarray:
    """Cut records into `count` disjoint clients.

    Args:
        labels: Binary or class labels, shape (n,); used only by `dirichlet`.
        ids: Unit ids, shape (n,); under `iid` a unit's records stay together.
        count: Number of clients.
        by: `iid`: equal expected shares whatever the label. `dirichlet`: each class spreads over
            the clients by a draw from Dirichlet(alpha) (Hsu et al., 2019, arXiv:1909.06335).
        alpha: Concentration; small is more unequal.
        key: From `split_key`.

    Returns:
        Client number of each record, 0 … count-1, shape (n,).
    """
    spots = positions(ids, hashlib.blake2b(b"clients", key=key[:64]).digest())
    if by == "iid":
        return np.minimum((spots * count).astype(int), count - 1)
    seed = int.from_bytes(hashlib.blake2b(b"shares", key=key[:64], digest_size=8).digest(), "big")
    rng = np.random.default_rng(seed)
    clients = np.empty(len(spots), dtype=int)
    for label in np.unique(labels):
        rows = labels == label
        edges = np.cumsum(rng.dirichlet(np.full(count, alpha)))[:-1]
        clients[rows] = np.searchsorted(edges, spots[rows], side="right")
    return clients
