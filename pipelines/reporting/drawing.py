"""How figures look: paper, type, colours, and rows of dots that keep their distance.

`pipelines.reporting.figures` says what is drawn; this file holds what its figures have in common.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from textwrap import shorten, wrap
from typing import Any

import numpy as np
from matplotlib import colormaps, font_manager, rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

Array = NDArray[Any]
Row = tuple[str, float | None, float | None, float | None, str]
Look = tuple[str, str]

WIDE, NARROW = 7.2, 3.5  # inches, at 100 CSS pixels an inch
DPI = 200  # two pixels of the file a CSS pixel
INK, MUTED, GRID, BAND = "#1f2933", "#5b6472", "#e6e8ec", "#f5f6f8"
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
MARKERS = ("o", "s", "D", "^", "v", "P")
DASHED, DOTTED = (0, (4, 3)), (0, (2, 3))
FONTS = ("Helvetica Neue", "Arial", "Liberation Sans", "DejaVu Sans")
STYLE: dict[str, Any] = {
    "font.family": [name for name in FONTS if name in set(font_manager.get_font_names())],
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.titlepad": 8,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": "#c4c9d1",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "text.color": INK,
    "text.parse_math": False,  # a lender's name may hold a dollar sign
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.handlelength": 1.4,
    "legend.borderaxespad": 0.3,
    "lines.solid_capstyle": "round",
}


def narrow(path: Path) -> Path:
    """Where the phone's version of a figure lies: `roc.png` → `roc.narrow.png`."""
    return path.with_suffix(".narrow.png")


def save(path: Path, draw: Callable[[float], Figure]) -> Path:
    """Write `draw(WIDE)` to `path` and `draw(NARROW)` to `narrow(path)`; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for target, width in ((path, WIDE), (narrow(path), NARROW)):
        with rc_context(STYLE):
            figure = draw(width)
            FigureCanvasAgg(figure)
            figure.savefig(target, dpi=DPI, facecolor="white", metadata={"Software": None})
    return path


def paper(width: float, height: float) -> Figure:
    """An empty figure of this size in inches that lays itself out."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)  # type: ignore[union-attr, call-arg]
    return figure


def columns(width: float, labels: Sequence[str]) -> int:
    """How many legend entries fit side by side."""
    longest = max((len(label) for label in labels), default=1) + 6
    return max(1, min(len(labels), int(width * 13 / longest)))


def looks(names: Sequence[str]) -> dict[str, Look]:
    """Colour and marker of each series; grey where the name begins with "control"."""
    pairs = zip(names, range(len(names)), strict=True)
    return {
        name: (
            "#7a828e" if name.lower().startswith("control") else COLOURS[i % len(COLOURS)],
            MARKERS[i % len(MARKERS)],
        )
        for name, i in pairs
    }


def handle(name: str, look: Look) -> Line2D:
    """The legend's entry for a series of dots."""
    return Line2D([], [], color=look[0], marker=look[1], ms=5, lw=1.2, label=name)


def unit_square(axes: Axes, title: str, xlabel: str, ylabel: str) -> None:
    """Axes from 0 to 1 both ways."""
    axes.set(title=title, xlabel=xlabel, ylabel=ylabel)
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))


def fold(label: str, limit: int) -> str:
    """A label in at most two lines of `limit` letters."""
    lines = wrap(label, limit) or [""]
    if len(lines) <= 2:
        return "\n".join(lines)
    return f"{lines[0]}\n{shorten(' '.join(lines[1:]), limit, placeholder='…')}"


def stack(labels: Sequence[str], pitch: float, limit: int) -> tuple[dict[str, float], Array, float]:
    """Heights for rows grouped by label: label → centre, row → height, and the sum, in inches.

    Rows of one label stand `pitch` apart; a label of two lines gets the room it needs.
    """
    centres: dict[str, float] = {}
    places = np.zeros(len(labels))
    top = 0.0
    for label in dict.fromkeys(labels):
        members = [i for i, other in enumerate(labels) if other == label]
        lines = fold(label, limit).count("\n") + 1
        room = max(len(members) * pitch + 0.1, lines * 0.15 + 0.11)
        centres[label] = top + room / 2
        places[members] = centres[label] + pitch * (
            np.arange(len(members)) - len(members) / 2 + 0.5
        )
        top += room
    return centres, places, top


def label_rows(axes: Axes, centres: dict[str, float], height: float, limit: int) -> None:
    """Name the groups of `stack` on the left, band every other one, and run the axis downward."""
    middles = list(centres.values())
    edges = [0.0]
    for middle in middles:
        edges.append(2 * middle - edges[-1])
    for low, high in list(pairwise(edges))[::2]:
        axes.axhspan(low, high, color=BAND, lw=0, zorder=0)
    axes.set_yticks(middles, [fold(label, limit) for label in centres], color=INK)
    axes.set_ylim(height, 0)
    axes.grid(False, axis="y")
    axes.spines["left"].set_visible(False)


def whisker(axes: Axes, spot: float, row: Row, look: Look, text: str) -> None:
    """One dot with its interval; `text` is "full", "value" or "" for what is printed beside it."""
    _, value, low, high, _ = row
    right = axes.get_yaxis_transform()
    if value is None or np.isnan(value):
        axes.text(1.02, spot, "–", transform=right, va="center", color=MUTED)
        return
    interval = ""
    if low is not None and high is not None:
        axes.plot([low, high], [spot, spot], color=look[0], lw=1.3, alpha=0.75)
        interval = f"  ({told(low)} to {told(high)})" if text == "full" else ""
    axes.plot(value, spot, look[1], color=look[0], ms=4.5)
    if text:
        axes.text(
            1.02, spot, f"{told(value)}{interval}", transform=right, va="center", fontsize=8.5
        )


def told(value: float) -> str:
    """A number beside a dot: three digits, and a minus that is one.

    >>> told(-0.0581), told(-0.0002)
    ('−0.058', '0.000')
    """
    return f"{value:z.3f}".replace("-", "−")


def over(image: Array, heat: Array | None) -> Array:
    """An image as RGB in [0, 1]; with `heat` (h, w), beside itself under the heat-map."""
    rgb = np.asarray(image, float) / 255.0
    rgb = np.repeat(rgb[..., None], 3, axis=2) if rgb.ndim == 2 else rgb[..., :3]
    if heat is None:
        return rgb
    side, across = rgb.shape[:2]
    rows = np.linspace(0, heat.shape[0] - 1, side).round().astype(int)
    cols = np.linspace(0, heat.shape[1] - 1, across).round().astype(int)
    span = float(np.ptp(heat)) or 1.0
    strength = ((heat - heat.min()) / span)[np.ix_(rows, cols)]
    alpha = 0.65 * strength[..., None]
    hot = colormaps["inferno"](0.25 + 0.75 * strength)[..., :3]
    gap = np.ones((side, max(1, across // 24), 3))
    return np.hstack([rgb, gap, (1 - alpha) * rgb + alpha * hot])
