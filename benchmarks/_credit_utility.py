"""What privacy costs and what federation buys, and which model wins at equal ε: rows and a picture.

Differences are paired by seed: both sides of a row have the same split. A row's spread is the 95 %
interval (Student's, over seeds) of the mean difference, as a ratio. That federated training is no
worse than each lender alone under the same ε is aimed at; where nothing is, the goal is 0: such a
row tells. Models are compared over all test records, arms inside lenders.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks._credit_arms import ARMS, EPSILONS, Point, how, measured, spread
from benchmarks._rows import Row
from pipelines.reporting import drawing
from pipelines.settings.credit_models import TRAINING
from pipelines.steps.credit.controls import ALONE, POOLED
from pipelines.steps.credit.training import FEDERATED

CARD = "scorecard"
CAPTION = (
    "Scorecards: AUROC inside lenders, mean over them; 95 % intervals over seeds. Under an ε, "
    '"alone" and "pooled" are central\ntraining with differential privacy on each lender\'s own '
    "records, and on all: the same engine and plan with one client.\n"
    "δ = 1e-5, unit one record; bins are public. "
    "none: the same schedule without clipping and noise."
)


def rows(scale: str, seeds: int) -> list[Row]:
    """Federated beside alone, pooled and no privacy at every ε; then trees beside the others."""
    points = measured(scale, seeds)
    return [*_of_arms(points), *_of_models(points)]


def table(scale: str, seeds: int) -> str:
    """Every point with its interval over seeds."""
    lines = [f"{'':<44} {'inside lenders':<26} all test records"]
    for each in measured(scale, seeds):
        name = f"{each.data}, {each.model}, {each.arm}, {how(each.epsilon)}"
        whole = "—" if each.arm == ALONE else _told(each.whole)
        lines.append(f"{name:<44} {_told(each.inside):<26} {whole}")
    return "\n".join(lines)


def figure(path: Path, scale: str, seeds: int) -> Path:
    """AUROC against ε, a panel a set of data, a curve an arm."""
    points = [each for each in measured(scale, seeds) if each.model == CARD]
    names = list(dict.fromkeys(each.data for each in points))
    with rc_context(drawing.STYLE):
        figure = Figure(figsize=(drawing.WIDE, 3.9), layout="constrained")
        for axes, data in zip(figure.subplots(1, len(names), squeeze=False)[0], names, strict=True):
            _panel(axes, data, [each for each in points if each.data == data])
        handles, labels = axes.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=len(ARMS))
        figure.supxlabel(CAPTION, x=0.01, ha="left", fontsize=7, color=drawing.MUTED)
        FigureCanvasAgg(figure)
        figure.savefig(path, dpi=drawing.DPI)
    return path


def _panel(axes: Axes, data: str, points: Sequence[Point]) -> None:
    places = np.arange(len(EPSILONS))
    for number, arm in enumerate(ARMS):
        of_arm = {each.epsilon: each.inside for each in points if each.arm == arm}
        mean, low, high = np.array([spread(of_arm[epsilon]) for epsilon in EPSILONS]).T
        axes.errorbar(
            places + 0.06 * (number - 1),
            mean,
            (mean - low, high - mean),
            color=drawing.COLOURS[number],
            marker=drawing.MARKERS[number],
            label=arm,
        )
    axes.set_xticks(places, [f"{epsilon:g}" if epsilon else "none" for epsilon in EPSILONS])
    axes.set_xlabel("ε")
    axes.set_ylabel("AUROC inside lenders, test records")
    axes.set_title(data)


def _of_arms(points: Sequence[Point]) -> Iterator[Row]:
    found = {
        (each.data, each.arm, each.epsilon): each.inside for each in points if each.model == CARD
    }
    for data, epsilon in dict.fromkeys((each.data, each.epsilon) for each in points):
        ours = found[data, FEDERATED, epsilon]
        for arm, goal in ((ALONE, 1.0), (POOLED, 0.0)):
            what = f"{data}, federated beside {arm}, {how(epsilon)}"
            yield _paired(what, ours, found[data, arm, epsilon], goal)
        if epsilon is not None:
            what = f"{data}, federated beside itself without privacy, {how(epsilon)}"
            yield _paired(what, ours, found[data, FEDERATED, None], 0.0)


def _of_models(points: Sequence[Point]) -> Iterator[Row]:
    found = {
        (each.data, each.model, each.epsilon): each.whole
        for each in points
        if each.arm == FEDERATED
    }
    for data, epsilon in dict.fromkeys((each.data, each.epsilon) for each in points):
        for other in (model for model in TRAINING if model != "trees"):
            what = f"{data}, trees beside {other}, {how(epsilon)}"
            yield _paired(what, found[data, "trees", epsilon], found[data, other, epsilon], 0.0)


def _paired(what: str, ours: Sequence[float], peer: Sequence[float], goal: float) -> Row:
    mine, theirs = float(np.mean(ours)), float(np.mean(peer))
    _, low, high = spread(np.subtract(ours, peer).tolist())
    ratio = mine / theirs
    spreading = (1 + low / theirs, 1 + high / theirs)
    return Row(what, mine, theirs, "AUROC", ratio, goal, ratio >= goal, *spreading)


def _told(values: Sequence[float]) -> str:
    mean, low, high = spread(values)
    return f"{mean:.4f} ({low:.4f} to {high:.4f})"
