"""Configuration of the imaging pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from models.imaging.strategies import STRATEGIES, make
from pipelines.settings.base import Job
from pipelines.settings.imaging_data import ImagingData
from pipelines.settings.imaging_trust import Trust
from pipelines.settings.span import Span

MODEL = r"^models:/[^@/]+(@[^@/]+|/[0-9]+)$"
"""How a registered version is named: by alias or by number."""


class ImagingConfig(Trust, Job):
    """Transfer learning and fine-tuning on medical images."""

    data: ImagingData = ImagingData(kind="builtin", name="lidc", label="malignancy")
    source: ImagingData | None = Field(
        None,
        description="Source task that a base is trained on first, without target pictures and, "
        "where both name patients, target patients; lidc brings its own. The base is registered "
        "as imaging-base-NAME",
    )
    test: ImagingData | None = Field(
        None,
        description="A second data set of the same labels, all of it for testing: external "
        "validation. Read as data says; what the two share is left out",
    )
    backbone: Literal["efficientnet-lite0", "densenet121", "resnet18"] = "efficientnet-lite0"
    base: str | None = Field(
        None,
        pattern=MODEL,
        description="Registered model to start from: models:/imaging-base-NAME@base or "
        "models:/NAME/VERSION",
    )
    weights: Path | None = Field(None, description="Local base weights (.safetensors or .pt/.pth)")
    strategy: str | list[str] = Field(
        "auto", description=f"auto, or one or several of {', '.join(STRATEGIES)}"
    )
    strategy_settings: dict[str, dict[str, float]] = Field(
        {},
        description="What a strategy alone takes, by its name: partial.blocks, gradual.until, "
        "l2-sp.pull",
    )
    time_budget: Span = Field(
        600.0,
        description="How long auto may train, in seconds or as 10m, half of it at most on a source "
        "task; a strategy that no longer fits is left out, and the report says so",
    )
    learning_curve: Literal["auto", "none"] | list[Annotated[int, Field(ge=4)]] = Field(
        "auto",
        description="Strategies and controls trained again on fewer images, for at most half the "
        "time budget again: none, or on how many, as [20, 50, 100]; auto: at scale full, or under "
        "controls: full, on 20, 50, 100, 200 … all",
    )
    image_size: int | None = Field(
        None, ge=32, le=512, description="Side images are resized to; default 64, and 48 for lidc"
    )
    epochs: int | None = Field(None, ge=1, description="Fine-tuning epochs; default by scale")
    patience: int | None = Field(
        None, ge=1, description="Epochs without improvement before stopping; default by scale"
    )
    learning_rate: float = Field(1e-3, gt=0, description="Of the head; the base's decays by depth")
    batch_size: int = Field(32, ge=2)
    average: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="Keep the moving average of the weights, which forgets by this factor a step, "
        "such as 0.99",
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="auto: bfloat16 where the processor and the net gain from it"
    )

    @model_validator(mode="after")
    def _names_a_strategy(self) -> ImagingConfig:
        names = [self.strategy] if isinstance(self.strategy, str) else self.strategy
        expected = f"expected auto, or one or several of {', '.join(STRATEGIES)}"
        if not names:
            raise ValueError(f"strategy: found an empty list, {expected}")
        for name in names:
            if name not in STRATEGIES and self.strategy != "auto":
                raise ValueError(f"strategy: found {name!r}, {expected}")
        for name, settings in self.strategy_settings.items():
            try:
                make(name, settings)
            except ValueError as error:
                raise ValueError(f"strategy_settings.{error}") from None
        return self

    @model_validator(mode="after")
    def _starts_somewhere(self) -> ImagingConfig:
        if self.base is not None and self.weights is not None:
            raise ValueError("base: and weights: are both given; expected one to start from")
        return self

    @model_validator(mode="after")
    def _tests_on_all_of_it(self) -> ImagingConfig:
        given = self.test.model_fields_set if self.test is not None else set()
        held = sorted(given & {"split", "split_by", "test_sites", "test_from"})
        if held:
            raise ValueError(
                f"test.{held[0]}: all images of test: are tested, expected no such key; name a "
                "file or folder that holds the test images alone"
            )
        return self

    @model_validator(mode="after")
    def _slices_are_columns(self) -> ImagingConfig:
        if self.slices and self.data.kind != "manifest":
            raise ValueError(
                f"slices: found {', '.join(self.slices)}, and only kind manifest has columns"
            )
        return self

    @model_validator(mode="after")
    def _controls_are_allowed(self) -> ImagingConfig:
        if self.controls == "full" and not self.data.is_public:
            raise ValueError(
                "controls: full is refused on private images; "
                "expected auto or none, or data.public: true"
            )
        return self
