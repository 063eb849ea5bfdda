"""Figures of the imaging flow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models.imaging.gradcam import heat_maps
from models.imaging.scorer import load_scorer
from pipelines.evidence import Figure
from pipelines.reporting import figures
from pipelines.steps.imaging.measuring import labels_apart
from pipelines.steps.imaging.prepare import Prepared
from pipelines.steps.imaging.tested import Tested
from pipelines.steps.imaging.training import Trained


def draw(
    folder: Path,
    prepared: Prepared,
    trained: Sequence[Trained],
    tested: Tested,
    metrics: dict[str, dict[str, float]],
    package: Path,
) -> list[Figure]:
    """All figures; training curves and images are shown of public data alone."""
    folder.mkdir(parents=True, exist_ok=True)
    series = {t.name: t.name if t.role == "arm" else f"control: {t.name}" for t in trained}
    drawn = [_bars(folder, series, metrics, tested)]
    if tested.y.ndim == 1:
        drawn.append(_discrimination(folder, series, tested))
    drawn.append(_reliability(folder, tested))
    curves = {t.name: [point["validation"] for point in t.history] for t in trained if t.history}
    if curves and prepared.target.dataset.public:
        path = figures.learning_curve(folder / "history.png", curves, "AUROC on validation")
        caption = "After each epoch of fine-tuning; the best epoch is kept."
        drawn.append(Figure("history", "Fine-tuning", caption, path))
    if prepared.target.dataset.public:
        drawn.append(_panel(folder, prepared, tested, package))
    return drawn


def _bars(
    folder: Path, series: dict[str, str], metrics: dict[str, dict[str, float]], tested: Tested
) -> Figure:
    rows = [
        (
            name,
            m["auroc"],
            m.get("auroc_low"),
            m.get("auroc_high"),
            _role(series[name], name, tested),
        )
        for name, m in metrics.items()
    ]
    path = figures.bars(folder / "arms.png", rows, "AUROC on test images", 0.5, "a coin")
    caption = "Whiskers are 95 % intervals by patient; the choice was made on validation images."
    return Figure("arms", "Was it worth it? Arms against controls", caption, path)


def _role(called: str, name: str, tested: Tested) -> str:
    if called.startswith("control"):
        return "control"
    return "registered" if name == tested.best else "arm"


def _discrimination(folder: Path, series: dict[str, str], tested: Tested) -> Figure:
    scores = {series[name]: p for name, p in tested.p.items()}
    path = figures.discrimination(folder / "discrimination.png", tested.y, scores)
    caption = "Test images; for more than two classes, the average of one against the rest."
    return Figure("discrimination", "ROC and precision–recall", caption, path)


def _reliability(folder: Path, tested: Tested) -> Figure:
    y, before = labels_apart(tested.y, tested.uncalibrated)
    _, after = labels_apart(tested.y, tested.p[tested.best])
    scaled = not np.array_equal(before, after)
    shown = {"before": before, "after": after} if scaled else {"not calibrated": after}
    path = figures.reliability(folder / "reliability.png", y, shown)
    how = ", before and after temperature scaling" if scaled else "; no temperature was fitted"
    caption = f"{tested.best} on test images{how}."
    if tested.y.ndim == 2:
        caption += " Every label of every image is a point."
    return Figure("reliability", "Do the probabilities mean what they say?", caption, path)


def _panel(folder: Path, prepared: Prepared, tested: Tested, package: Path) -> Figure:
    """Right and wrong answers, the three surest of each."""
    scorer, target = load_scorer(package), prepared.target
    guess, truth, sure = _read_as(tested)
    right = guess == truth
    picks = _surest(right, sure, tested.groups) + _surest(~right, sure, tested.groups)
    images = np.asarray(target.images()[tested.rows[picks]])
    heats = heat_maps(scorer.net, images, guess[picks])
    names = [*target.classes, "none of it"]
    captions = [
        f"right: {names[truth[i]]} ({sure[i]:.2f})"
        if right[i]
        else f"wrong: {names[truth[i]]}, read as {names[guess[i]]} ({sure[i]:.2f})"
        for i in picks
    ]
    shown = _visible(images) if prepared.silhouettes else images
    path = figures.image_panel(folder / "gradcam.png", list(shown), list(heats), captions)
    what = "Evidence for the answer (Grad-CAM) on the surest right and wrong test images."
    if not (~right).any():
        what += " No answer was wrong."
    if prepared.silhouettes:
        what += (
            " The images are thickness maps drawn by radiologists, brightened here: red, green and "
            "blue are the views along the body axis, from the front and from the side."
        )
    return Figure("gradcam", "Where the model looked", what, path)


def _read_as(tested: Tested) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Class an image was read as, its true one, and how probable the first was held to be, (n,).

    Of several labels the surest one is taken: it is right where the image has it, and else the
    true one is a number behind all labels.
    """
    p = tested.p[tested.best]
    whole = np.stack([1 - p, p], axis=1) if p.ndim == 1 else p
    guess, sure = whole.argmax(axis=1), whole.max(axis=1)
    if tested.y.ndim == 1:
        return guess, tested.y, sure
    has = tested.y[np.arange(len(guess)), guess] > 0
    return guess, np.where(has, guess, tested.y.shape[1]), sure


def _surest(which: np.ndarray, sure: np.ndarray, groups: np.ndarray) -> list[int]:
    """Rows of the three surest answers, one a patient."""
    rows = np.flatnonzero(which)
    rows = rows[np.argsort(-sure[rows], kind="stable")]
    first = np.unique(groups[rows], return_index=True)[1]
    return [int(row) for row in rows[np.sort(first)][:3]]


def _visible(images: np.ndarray) -> np.ndarray:
    """Each image stretched to full brightness, for the eye alone."""
    peak = images.max(axis=(1, 2, 3), keepdims=True).clip(min=1)
    return (images.astype(np.float32) * (255.0 / peak)).astype(np.uint8)
