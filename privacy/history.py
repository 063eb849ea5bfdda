"""One owner's story, out of all that was written: what was granted, asked, charged and refused."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from privacy.accounting import epsilon_of
from privacy.chain import LOST, Entry

_ENDS = ("commit", "cancel")


@dataclass(frozen=True)
class Told:
    """An entry in words.

    Attributes:
        number: Of the entry.
        at: UTC time.
        kind: `grant`, `reserve`, `records`, `commit`, `cancel`, `refuse` or `lost`.
        job: Whose charge it was.
        said: What happened.
    """

    number: int
    at: str
    kind: str
    job: str | None
    said: str

    def as_json(self) -> dict[str, Any]:
        """JSON values."""
        return asdict(self)


def story_of(entries: Sequence[Entry], owner: str) -> list[Entry]:
    """All that concerns an owner, oldest first.

    How many of its records were new, and how many others hold too, is exact and nobody's to tell:
    of `records` entries only the data's name is left.
    """
    jobs = {entry.job for entry in entries if entry.owner == owner and entry.kind == "reserve"}
    return [
        _uncounted(entry)
        for entry in entries
        if entry.owner == owner or (entry.kind in _ENDS and entry.job in jobs)
    ]


def _uncounted(entry: Entry) -> Entry:
    if entry.kind != "records":
        return entry
    return replace(entry, detail={"data": entry.detail["data"]})


def tell(entries: Iterable[Entry]) -> list[Told]:
    """One owner's entries in words; ε of a job is its own, at the owner's δ of that time."""
    told, delta = [], 0.0
    for entry in entries:
        if entry.kind == "grant":
            delta = float(entry.detail["delta"])
        told.append(Told(entry.number, entry.at, entry.kind, entry.job, _said(entry, delta)))
    return told


def _said(entry: Entry, delta: float) -> str:
    detail = entry.detail
    if entry.kind == "grant":
        return f"ε {detail['epsilon']:g} at δ {detail['delta']:g} in all, by {detail['source']}"
    if entry.kind == "reserve":
        own = epsilon_of(detail["events"], delta)
        return f"ε {own:.4g}, and {detail['epsilon_after']:.4g} spent with it, at δ {delta:g}"
    if entry.kind == "records":
        return "records that are new to the ledger are known by their fingerprints"
    if entry.kind == LOST:
        event = detail["events"][0]
        return (
            f"entries were lost: ε {event['epsilon']:g} at δ {event['delta']:g}, the whole grant, "
            "stands for all before"
        )
    return {"commit": "ended; its charge stays"}.get(entry.kind) or str(detail.get("reason", ""))
