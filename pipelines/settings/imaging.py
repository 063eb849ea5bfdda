"""Configuration of the imaging pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from pipelines.settings.base import Job, Section, Share


class ImagingData(Section):
    """Where labelled images are."""

    kind: Literal["builtin", "folder", "manifest", "medmnist"] = "builtin"
    name: str | None = Field(None, description="Built-in or MedMNIST name, or a name of your own")
    path: Path | None = Field(None, description="Folder, manifest CSV or .npz file")
    image: str = Field("path", description="Manifest column: path of the image")
    label: str = Field("label", description="Manifest column, or the task of a built-in set")
    patient: str | None = Field(
        None, description="Manifest column: patient id; default: each image, known by its pixels"
    )
    split: str | None = Field(None, description="Manifest column: train, validation, … test")
    public: bool = Field(False, description="Whether the images are public")
    max_unreadable: Share = Field(0.05, description="Share of unreadable images set aside")

    @model_validator(mode="after")
    def _names_its_source(self) -> ImagingData:
        if self.kind == "builtin" and self.name != "lidc":
            raise ValueError(f"built-in image sets: lidc; found {self.name!r}")
        if self.kind in ("folder", "manifest") and self.path is None:
            raise ValueError(f"kind {self.kind} needs path: the folder or manifest file")
        if self.kind == "medmnist" and (self.path is None) == (self.name is None):
            raise ValueError("kind medmnist needs either path (a .npz file) or name")
        return self

    @property
    def is_public(self) -> bool:
        """Whether the images are public: built-in and fetched sets are, others if they say so."""
        fetched = self.kind == "medmnist" and self.path is None
        return self.public or self.kind == "builtin" or fetched


class ImagingConfig(Job):
    """Transfer learning and fine-tuning on medical images."""

    data: ImagingData = ImagingData(kind="builtin", name="lidc", label="malignancy")
    source: ImagingData | None = Field(
        None,
        description="Source task that a base is trained on first, without target pictures and, "
        "where both name patients, target patients; lidc brings its own",
    )
    backbone: Literal["efficientnet-lite0", "densenet121"] = "efficientnet-lite0"
    weights: Path | None = Field(None, description="Local base weights (.safetensors or .pt/.pth)")
    strategy: Literal["auto", "transfer", "finetune"] | list[Literal["transfer", "finetune"]] = (
        "auto"
    )
    finetune_blocks: int | None = Field(
        None, ge=1, description="Train only the last k blocks; default by scale, all for full"
    )
    image_size: int | None = Field(
        None, ge=32, le=512, description="Side images are resized to; default 64, and 48 for lidc"
    )
    epochs: int | None = Field(None, ge=1, description="Fine-tuning epochs; default by scale")
    learning_rate: float = Field(1e-3, gt=0, description="Of the head; the base's decays by depth")
    batch_size: int = Field(32, ge=2)

    @model_validator(mode="after")
    def _names_a_strategy(self) -> ImagingConfig:
        if not self.strategy:
            raise ValueError("strategy: found an empty list, expected auto, transfer or finetune")
        return self

    @model_validator(mode="after")
    def _controls_are_allowed(self) -> ImagingConfig:
        if self.controls == "full" and not self.data.is_public:
            raise ValueError(
                "controls: full is refused on private images; "
                "expected auto or none, or data.public: true"
            )
        return self
