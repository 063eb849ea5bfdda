"""Figures ready for a page: embedded at two widths, with the words that stand for them."""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass
from pathlib import Path

from pipelines.evidence import Arm, Evidence, Figure
from pipelines.reporting import wording
from pipelines.reporting.drawing import DPI, Row, narrow
from pipelines.reporting.figures import bars

_PHOTOS = ("samples", "gradcam", "images")
_COMPARES = ("arms", "outcomes")  # figures that already set the arms against each other


@dataclass(frozen=True)
class Picture:
    """A figure ready to embed: data addresses at two widths, its size in CSS pixels, and whether it
    shows images, whose colours a dark page must not touch."""

    title: str
    caption: str
    wide: str
    narrow: str
    width: int
    height: int
    photo: bool


def data_uri(path: Path) -> str:
    """A PNG file as an address that holds it."""
    return "data:image/png;base64," + base64.b64encode(path.read_bytes()).decode()


def pictures(evidence: Evidence, scratch: Path) -> list[tuple[str, Picture]]:
    """Every figure of released evidence, the arms first."""
    if not evidence.metrics:
        return []
    figures = list(evidence.figures)
    if not any(figure.name.startswith(_COMPARES) for figure in figures):
        figures = [*_arms(evidence, scratch), *figures]
    return [(figure.name, _embed(figure)) for figure in figures]


def _arms(evidence: Evidence, folder: Path) -> list[Figure]:
    """Arms against controls by the main metrics; nothing where there is nothing to compare."""
    main = wording.main_metrics(evidence.metrics)
    rows = [_arm_row(arm, name, len(main)) for name in main for arm in evidence.arms]
    if len(evidence.arms) < 2 or not main:
        return []
    label = wording.title(main[0]) if len(main) == 1 else "the outcome's own measure"
    path = bars(folder / f"{evidence.pipeline}-arms.png", rows, f"{label}, test records")
    return [
        Figure(
            "arms",
            "Strategies against their controls",
            "Dots are test results, whiskers 95 % intervals. Where whiskers overlap widely, the "
            "difference may be chance.",
            path,
        )
    ]


def _arm_row(arm: Arm, name: str, metrics: int) -> Row:
    """One metric: a line an arm, coloured by role. Several: a line a metric, coloured by arm."""
    value, low, high = (arm.metrics.get(name + suffix) for suffix in ("", "_low", "_high"))
    if metrics == 1:
        role = "strategies" if arm.role == "arm" else "controls"
        return arm.name, value, low, high, role
    return wording.title(name), value, low, high, arm.name


def _embed(figure: Figure) -> Picture:
    with figure.path.open("rb") as stream:
        width, height = struct.unpack(">16xII", stream.read(24))  # the PNG header's size
    phone = narrow(figure.path)
    scale = DPI // 100
    return Picture(
        figure.title,
        figure.caption,
        data_uri(figure.path),
        data_uri(phone) if phone.exists() else "",
        width // scale,
        height // scale,
        figure.name.startswith(_PHOTOS),
    )
