"""Exports of the packed model, and how far their answers lie from its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from domains.errors import InputError
from models.imaging.export import Form, Parity, can_export, export, parity
from models.imaging.scorer import ImagingScorer, load_scorer
from pipelines.evidence import Cell, Table
from pipelines.progress import say
from pipelines.settings import ImagingConfig
from pipelines.steps.imaging.trust import Trust

_FORMS: tuple[Form, ...] = ("pt2", "onnx")
_SIZES = ((1.0, 1.0), (1.0, 1.0), (1.7, 2.1), (0.6, 0.6))  # of the net's own, height and width
_OWN = 2  # so many of them need no squeezing
_MOST = 17


def check_forms(config: ImagingConfig) -> None:
    """Raise InputError where a form is asked for that cannot be written here."""
    asked = [] if isinstance(config.export, str) else config.export
    for form in asked:
        if not can_export(form):
            raise InputError(
                f"export: {form} needs packages that are not installed; "
                "`pip install 'careledger[onnx]'` brings them, or leave it out"
            )


def forms_of(config: ImagingConfig) -> tuple[Form, ...]:
    """The forms that a job writes."""
    if not isinstance(config.export, str):
        return tuple(form for form in _FORMS if form in config.export)
    wanted = config.export == "auto" and config.scale == "full"
    return tuple(form for form in _FORMS if can_export(form)) if wanted else ()


def export_package(found: Trust, config: ImagingConfig, package: Path) -> None:
    """Write the exports into the package, and tell how they answer to made-up pictures.

    Pictures are made up, so that nothing is learned from a record for its sake: noise and ramps
    of several sizes and numbers of images, one alone among them.
    """
    forms = forms_of(config)
    if not forms:
        return
    served = load_scorer(package)
    scorer = replace(served, precision="float32")
    say(f"exporting as {' and '.join(forms)}")
    files = export(scorer, package, forms)
    pictures = made_up(scorer.image_size)
    compared = [
        (parity(scorer, form, file, pictures[:_OWN]), parity(scorer, form, file, pictures))
        for form, file in files.items()
    ]
    found.tables.append(_table(compared, [len(each) for each in pictures]))
    found.exported.append(
        "The model is exported too, with preprocessing and calibration inside: "
        + "; ".join(_told(own, every) for own, every in compared)
        + f".{_halved(served, files, pictures)}"
    )


def _halved(served: ImagingScorer, files: dict[Form, Path], pictures: list[np.ndarray]) -> str:
    """How far half precision, which only the served model has, takes it from the files."""
    if served.precision == "float32":
        return ""
    form, file = next(iter(files.items()))
    apart = parity(served, form, file, pictures).probability
    return (
        " These are its answers in float32; as it is served, in bf16, a probability differs from "
        f"{file.name}'s by {apart:.1g} at most."
    )


def made_up(size: int) -> list[np.ndarray]:
    """Batches of noise over ramps, uint8 (n, H, W, 3)."""
    rng = np.random.default_rng(0)
    batches = []
    for number, (tall, broad) in enumerate(_SIZES):
        height, width = max(int(size * tall), 8), max(int(size * broad), 8)
        count = 1 if number == 1 else _MOST
        ramp = np.linspace(0, 255, width)[None, None, :, None] * rng.random((count, 1, 1, 3))
        noise = 60 * rng.random((count, height, width, 3))
        batches.append(np.clip(ramp + noise, 0, 255).astype(np.uint8))
    return batches


def _told(own: Parity, every: Parity) -> str:
    return (
        f"in {own.file.name} a probability differs from the served model's by "
        f"{own.probability:.1g} at most, by {every.probability:.1g} where pictures are squeezed "
        f"({every.images} made-up ones)"
    )


def _table(compared: list[tuple[Parity, Parity]], counts: list[int]) -> Table:
    rows: list[list[Cell]] = [
        [
            own.file.name,
            round(own.file.stat().st_size / 1e6, 1),
            own.probability,
            every.probability,
            every.distance,
            every.sets,
        ]
        for own, every in compared
    ]
    return Table(
        "Exported files",
        "Input: raw pixels uint8 (n, height, width, 3), any n and any size from 8 to 8192. Output: "
        "calibrated probabilities, prediction sets and distances. Largest differences from the "
        f"served model's own answers, float32, on {sum(counts)} made-up pictures of "
        f"{len(counts)} batches. Pixels are squeezed exactly as it squeezes them.",
        ["file", "MB", "probability, own size", "squeezed too", "distance", "sets (share)"],
        rows,
    )
