"""AUROC against ε as a picture and as a table, from what `_utility` measured.

Splits differ more than models do, and all models meet the same ones: so the intervals are of the
difference from boosting on the same split, and the curves hang from boosting's mean.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from benchmarks._utility import BOOSTING, EPSILONS, Measured, around, measured
from pipelines.reporting import drawing

_APART = 0.08  # of a step on the axis, so that intervals do not hide each other


def table(found: Sequence[Measured]) -> str:
    """A line a model and kind of bins: AUROC at every ε, and what it lacks of boosting."""
    best = _boosting(found)
    lines = [f"{'AUROC (95 % of the difference from boosting, on the same splits)':<24}"]
    for each in found:
        how = f"ε {each.epsilon:g}" if each.epsilon else "none"
        told = "" if each is best else " ({:+.4f} to {:+.4f})".format(*_lack(each, best))
        lines.append(f"{each.model}, {each.bins} bins, {how:<6} {each.mean:.4f}{told}")
    return "\n".join(lines)


def figure(path: Path) -> Path:
    """AUROC against ε, a curve a model with bins that are paid for, boosting as a line."""
    found = measured()
    with rc_context(drawing.STYLE):
        drawn = Figure(figsize=(drawing.WIDE, 3.8), layout="constrained")
        _curves(drawn.add_subplot(), found)
        FigureCanvasAgg(drawn)
        drawn.savefig(path, dpi=drawing.DPI)
    return path


def _curves(axes: Axes, found: Sequence[Measured]) -> None:
    best = _boosting(found)
    models = list(dict.fromkeys(each.model for each in found if each is not best))
    for number, model in enumerate(models):
        points = [each for each in found if each.model == model and each.bins == "paid"]
        low, high = zip(*(_lack(each, best) for each in points), strict=True)
        means = [each.mean for each in points]
        ends = (
            [mean - best.mean - least for mean, least in zip(means, low, strict=True)],
            [most - mean + best.mean for mean, most in zip(means, high, strict=True)],
        )
        places = [place + _APART * (number - 1) for place in range(len(points))]
        ink, mark = drawing.COLOURS[number], drawing.MARKERS[number]
        axes.errorbar(places, means, ends, color=ink, marker=mark, capsize=2, label=model)
    axes.axhline(best.mean, color=drawing.MUTED, linestyle="--", label=f"{BOOSTING}, no privacy")
    axes.set_xticks(range(len(EPSILONS)), [f"{e:g}" if e else "none" for e in EPSILONS])
    axes.set_xlabel("ε at δ = 1e-5, for each record of each of ten clients; bins paid for")
    axes.set_ylabel("AUROC, test records")
    axes.legend(loc="lower right")


def _boosting(found: Sequence[Measured]) -> Measured:
    (best,) = (each for each in found if each.model == BOOSTING)
    return best


def _lack(each: Measured, best: Measured) -> tuple[float, float]:
    """Ends of the 95 % interval of the mean difference from boosting, paired by split."""
    pairs = zip(each.aurocs, best.aurocs, strict=True)
    differences = [mine - theirs for mine, theirs in pairs]
    return around(differences)
