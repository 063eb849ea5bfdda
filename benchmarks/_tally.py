"""What is left of work that was killed: counted, judged and told."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Tally:
    """What was found after the kill points of one kind of work.

    Attributes:
        what: The work.
        points: Kill points drawn.
        killed: Processes that were still at work when their moment came.
        resumed: Of these, how many ended well when taken up again, those that had left nothing
            behind included.
        half: Champions that were not what the record says, and moves without their number.
        lost, doubled: Versions, moves, acknowledged acts or rows.
        undercharged: Owners whose charge lies below what was noised, or acknowledged.
        wrong: One line a fault, for whoever looks into it.
    """

    what: str
    points: int = 0
    killed: int = 0
    resumed: int = 0
    half: int = 0
    lost: int = 0
    doubled: int = 0
    undercharged: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def faults(self) -> int:
        """Everything that may not be."""
        return len(self.wrong)

    def add(self, kind: str, count: int, point: str) -> None:
        """Count a fault, if it is one."""
        if count:
            setattr(self, kind, getattr(self, kind) + count)
            self.wrong.append(f"{self.what}, {point}: {count} {kind}")


def table(tallies: list[Tally]) -> str:
    """One line a kind of work, and one a fault."""
    head = "work      points  killed  resumed  half-promotions  lost  doubled  under-charged"
    lines = [
        f"{t.what:<9} {t.points:>6} {t.killed:>7} {t.resumed:>8} {t.half:>16} {t.lost:>5} "
        f"{t.doubled:>8} {t.undercharged:>14}"
        for t in tallies
    ]
    return "\n".join([head, *lines, *(fault for tally in tallies for fault in tally.wrong)])


def row(tally: Tally) -> dict[str, Any]:
    """A row like those of the other benchmarks: faults, of which none are allowed."""
    met = tally.faults == 0 and tally.resumed == tally.killed
    said = {"what": f"faults after kill -9: {tally.what}", "ours": tally.faults, "peer": 0}
    ratio = float(met)
    judged = {"ratio": ratio, "goal": 1.0, "met": met, "low": ratio, "high": ratio}
    return {**said, "unit": "faults", **judged, **asdict(tally)}
