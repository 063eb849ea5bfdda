"""The high-water mark: how far the ledger had come when this machine last wrote to it.

A small file beside the key, replaced after each commit. It may lag, by what a killed process or
another machine has written, and never leads: a ledger that does not hold the mark has lost entries.
It is made with the key, so that one that is missing was taken away: then nothing is spent until a
run's memory of the ledger confirms it, which the ledger writes down (`anchors.confirm`).
It finds a database that was cut short or put back alone; who puts back database, key and mark
together is found by the anchors (`privacy.anchors`).
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from domains import durable
from domains.errors import InputError
from privacy import key as keys


@dataclass(frozen=True)
class Mark:
    """Number of entries, and the hash of the last."""

    length: int
    head: str


def path_of(key: Path) -> Path:
    """`ledger.db.head` beside `ledger.db.key`."""
    return key.with_suffix(".head")


def read(key: Path) -> Mark | None:
    """The mark beside a key; None where it is gone.

    Raises:
        InputError: It cannot be read.
    """
    path = path_of(key)
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return Mark(int(said["length"]), str(said["head"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        raise InputError(
            f"{path}: cannot be read, expected the ledger's length and head; restore it with the "
            "ledger from a backup: careledger budget restore FILE"
        ) from None


def raise_to(key: Path, mark: Mark) -> None:
    """Move the mark up; one that stands as high or higher stays."""
    known = read(key)
    if mark.length == 0 or (known is not None and known.length >= mark.length):
        return
    with keys.turn(key):
        known = read(key)
        if known is None or known.length < mark.length:
            put(key, mark)


def put(key: Path, mark: Mark) -> None:
    """Set the mark, whatever it was."""
    key.parent.mkdir(parents=True, exist_ok=True)
    durable.write(path_of(key), json.dumps(asdict(mark)))
