"""Figures are never empty, fit a desktop and a phone, and no text lies over another."""

from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from PIL import Image

from pipelines.reporting import curves, drawing, figures
from pipelines.reporting.drawing import NARROW, WIDE, narrow

Draw = Callable[[Path], Path]
DRAW = np.random.default_rng(3)
P = DRAW.beta(2, 3, 400)
Y = (DRAW.random(400) < P).astype(int)
P4 = DRAW.dirichlet(np.ones(4), 400)
Y4 = np.array([DRAW.choice(4, p=row) for row in P4])
LENDERS = [f"NATIONAL BANK {i} OF $SAMPLES$, TRUST & LOAN ASSOCIATION" for i in range(20)]
ARMS = ["federated, ε = 3", "control: no privacy", "alone", "gradient boosting, pooled"]
DENSE = [(name, 0.5 + i / 40, 0.4, 0.9, arm) for name in LENDERS for i, arm in enumerate(ARMS)]
NODULE = np.tile(np.arange(48, dtype=np.uint8) * 5, (48, 1))

FIGURES: dict[str, Draw] = {
    "discrimination": lambda p: figures.discrimination(p, Y, {"federated": P, "pooled": P**2}),
    "four classes": lambda p: figures.discrimination(p, Y4, {"fine-tuned": P4}),
    "reliability": lambda p: figures.reliability(p, Y, {"before": P**2, "after": P}),
    "reliability of four": lambda p: figures.reliability(p, Y4, {"before": P4}),
    "bars": lambda p: figures.bars(p, [("a", 0.7, 0.6, 0.8, "strategies"),
                                       ("b", None, None, None, "controls"),
                                       ("c", 0.6, None, None, "controls")], "AUROC", 0.5, "chance"),
    "bars, 20 lenders by 4": lambda p: figures.bars(p, DENSE, "AUROC on test records"),
    "budget": lambda p: figures.budget(p, [(f"sba/{n}", 2.98, 30.0) for n in LENDERS]),
    "budget without grant": lambda p: figures.budget(p, [("mine", 2.98, None)]),
    "privacy": lambda p: figures.privacy_curve(p, [1, 2, 3], [0.1, 0.15, 0.2], 3.0),
    "learning": lambda p: figures.learning_curve(p, {a: [0.5, 0.7, 0.6] for a in ARMS}, "AUROC"),
    "heat-maps": lambda p: figures.image_panel(p, [NODULE] * 4, [np.eye(6)] * 4,
                                               ["readers: malignant, model 0.93"] * 4),
    "images": lambda p: figures.image_panel(p, [np.dstack([NODULE] * 3)] * 6, None,
                                            ["readers: benign, model 0.12"] * 6),
}  # fmt: skip
each = pytest.mark.parametrize("draw", FIGURES.values(), ids=FIGURES.keys())


@each
def test_written_at_both_widths_and_not_empty(draw: Draw, tmp_path: Path) -> None:
    path = draw(tmp_path / "made" / "figure.png")
    for file, limit in ((path, WIDE), (narrow(path), NARROW)):
        with Image.open(file) as image:
            assert image.width <= round(limit * drawing.DPI)
            assert np.asarray(image.convert("L")).std() > 5


def test_the_registered_arm_has_one_colour_wherever_it_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, str]] = []
    drawn = drawing.whisker

    def watched(axes: Any, spot: float, row: Any, look: Any, text: str) -> None:
        seen.append((row[4], look[0]))
        drawn(axes, spot, row, look, text)

    monkeypatch.setattr(figures, "whisker", watched)
    rows = [("x", 0.6, 0.5, 0.7, "registered"), ("y", 0.7, 0.6, 0.8, "arm")]
    for order in (rows, rows[::-1]):
        figures.bars(tmp_path / "arms.png", order, "AUROC")
    assert len({colour for series, colour in seen if series == "registered"}) == 1


def texts(figure: Any) -> list[Text]:
    shown = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    hidden = {t for axes in figure.axes if not axes.axison for t in axes.xaxis.findobj(Text)}
    hidden |= {t for axes in figure.axes if not axes.axison for t in axes.yaxis.findobj(Text)}
    # ticks beyond the limits of an axis exist without being drawn
    for axes in figure.axes:
        for axis, (low, high) in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            low, high = sorted((low, high))
            for tick in axis.get_major_ticks():
                if not low - 1e-9 <= tick.get_loc() <= high + 1e-9 or not tick.label1.get_visible():
                    hidden.add(tick.label1)
                hidden.add(tick.label2)
    return [t for t in shown if t not in hidden]


@each
def test_no_text_overlaps_or_leaves_the_paper(
    draw: Draw, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Any] = []

    def keep(path: Path, plan: Callable[[float], Any]) -> Path:
        for width in (WIDE, NARROW):
            with rc_context(drawing.STYLE):
                figure = plan(width)
                FigureCanvasAgg(figure).draw()
                drawn.append(figure)
        return path

    monkeypatch.setattr(figures, "save", keep)
    draw(tmp_path / "figure.png")
    for figure in drawn:
        boxes = [(t.get_text(), t.get_window_extent()) for t in texts(figure)]
        for text, box in boxes:
            assert box.x0 > -2, text
            assert box.y0 > -2, text
            assert box.x1 < figure.bbox.width + 2, text
            assert box.y1 < figure.bbox.height + 2, text
        for (one, a), (other, b) in combinations(boxes, 2):
            wide = min(a.x1, b.x1) - max(a.x0, b.x0)
            high = min(a.y1, b.y1) - max(a.y0, b.y0)
            assert wide <= 1.5 or high <= 1.5, (one, other)


def test_one_class_has_no_roc_curve(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one class only"):
        figures.discrimination(tmp_path / "roc.png", np.ones(9), {"p": np.linspace(0, 1, 9)})


def test_reliability_bins_hold_their_interval_and_survive_ties() -> None:
    mean, rate, low, high = curves.bins((Y > 0, np.round(P, 1)), 10)
    assert np.all((low <= rate) & (rate <= high) & (low >= 0) & (high <= 1))
    assert np.all(np.diff(mean) > 0)
    constant = curves.bins((Y > 0, np.full(len(Y), 0.3)), 10)
    assert constant[0] == pytest.approx([0.3])
    assert constant[1] == pytest.approx([Y.mean()])


def test_the_averaged_curve_of_classes_ends_in_the_corners() -> None:
    x, y = curves.mean_curve(curves.one_against_rest(Y4, P4), curves.roc)
    assert (x[0], x[-1], y[-1]) == (0, 1, 1)
    assert np.all(np.diff(y) >= 0)


def test_a_class_that_never_occurs_is_left_out() -> None:
    assert len(curves.one_against_rest(np.where(Y4 == 3, 0, Y4), P4)) == 3


def test_rows_of_one_label_stand_together() -> None:
    centres, places, height = drawing.stack(["a", "b", "a"], 0.2, 30)
    assert abs(places[0] - places[2]) == pytest.approx(0.2)
    assert centres["a"] == pytest.approx((places[0] + places[2]) / 2)
    assert 0 < places.min() < places.max() < height


def test_no_figure_is_left_open(tmp_path: Path) -> None:
    import matplotlib.pyplot as plt

    figures.budget(tmp_path / "b.png", [("mine", 1.0, 2.0)])
    assert plt.get_fignums() == []


def test_heat_that_is_flat_changes_no_pixel() -> None:
    cell = drawing.over(NODULE, np.ones((4, 4)))
    plain = drawing.over(NODULE, None)
    assert np.allclose(cell[:, -48:], plain)
