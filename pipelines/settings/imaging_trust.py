"""Keys of the imaging pipeline that say how its answers are to be trusted, and shipped."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipelines.settings.base import Section


class PredictionSets(Section):
    """Sets of classes that hold the true one as often as promised."""

    coverage: float = Field(
        0.9, ge=0.5, lt=1.0, description="Share of new patients' sets that hold the true class"
    )
    method: Literal["lac", "aps"] = Field(
        "lac", description="lac: the smallest sets; aps: misses spread over easy and hard images"
    )


class Trust(Section):
    """What is measured, told and written beside the model itself."""

    specificity: float = Field(
        0.9, gt=0.0, lt=1.0, description="Specificity at which the sensitivity is told"
    )
    sets: PredictionSets | None = Field(
        PredictionSets(), description="Prediction sets; null for none"
    )
    unlike: float = Field(
        0.95,
        gt=0.5,
        lt=1.0,
        description="Share of new patients' images that pass without the warning that they are "
        "unlike the training images",
    )
    slices: list[str] = Field(
        [], description="Manifest columns (site, sex, age …) by whose values results are told apart"
    )
    test_time_augmentation: bool = Field(
        False, description="Answer with the mean over mirrored (lidc: and turned) views"
    )
    export: Literal["auto", "none"] | list[Literal["pt2", "onnx"]] = Field(
        "auto",
        description="Files for other machines: auto writes pt2 at scale full, and onnx where the "
        "extra of that name is installed",
    )
