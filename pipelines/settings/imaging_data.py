"""Keys that say where labelled images are, how they are read, and who is held out."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from pipelines.settings.base import Section, Share, check_held_out


class VolumeKeys(Section):
    """How volumes become images: NIfTI files, DICOM series, files of several frames."""

    axis: Literal["axial", "coronal", "sagittal", "acquired"] = Field(
        "axial", description="Of the patient; acquired: as stored, or in the order of the series"
    )
    every: int = Field(1, ge=1, description="Every k-th slice; a large k: the middle one")
    between: tuple[Share, Share] = Field(
        (0.0, 1.0), description="Shares of the axis, from the feet, the back or the left"
    )
    stack: Literal[1, 3] = Field(
        1, description="3: a slice between its two neighbours as red, green and blue"
    )

    @model_validator(mode="after")
    def _goes_upwards(self) -> VolumeKeys:
        if self.between[0] >= self.between[1]:
            raise ValueError(
                f"volume.between: found {list(self.between)}, expected the lower first"
            )
        return self


class ImagingData(Section):
    """Where labelled images are."""

    kind: Literal["builtin", "folder", "manifest", "medmnist"] = "builtin"
    name: str | None = Field(None, description="Built-in or MedMNIST name, or a name of your own")
    path: Path | None = Field(None, description="Folder, manifest CSV or .npz file")
    image: str = Field(
        "path", description="Manifest column: path of the file, or of the folder of a DICOM series"
    )
    label: str | list[str] = Field(
        "label",
        description="Manifest column, or several of 1 and 0 where an image may have several "
        "labels; or the task of a built-in set (default: malignancy)",
    )
    classes: list[str] = Field(
        [],
        description="Classes in order, the positive one last; default: those that occur, sorted. "
        "Manifest: rows of another are set aside. Folder: all of its sub-folders. MedMNIST: their "
        "names by number",
    )
    patient: str | None = Field(
        None,
        description="Manifest column: patient id; default: the patient that a DICOM file names, "
        "else each image, known by its pixels, or each volume",
    )
    site: str | None = Field(None, description="Manifest column: where the image was taken")
    time: str | None = Field(None, description="Manifest column: when, as an ISO date")
    split: str | None = Field(None, description="Manifest column: train, validation, … test")
    split_by: Literal["patient", "site", "time"] = Field(
        "patient",
        description="Who is tested: patients by a keyed hash, whole sites, or the latest images; "
        "no patient stands on two sides in any case",
    )
    test_sites: list[str] = Field(
        [], description="Sites to test on; default: those that a keyed hash draws"
    )
    test_from: date | None = Field(
        None, description="Day from which images are for testing; default: the last share of them"
    )
    duplicates: Literal["remove", "report", "refuse"] = Field(
        "remove",
        description="Copies of a picture, exact or near, on two sides of a given split: remove "
        "them from the less held-out side, report them alone, or refuse the data",
    )
    window: Literal["header", "own"] | tuple[float, float] = Field(
        "header",
        description="What is black and white in pixels of more than 8 bits: what the file's header "
        "says, or a pair in the file's units, or own, each file's darkest and brightest value",
    )
    channels: Literal[1, 3] = Field(
        3, description="1: colours become greys, and the net sees one channel"
    )
    volume: VolumeKeys | None = Field(None, description="How volumes become images")
    slice: str | None = Field(
        None, description="Manifest column: number of the slice of a volume that a row is about"
    )
    public: bool = Field(False, description="Whether the images are public")
    max_unreadable: Share = Field(
        0.05,
        description="Largest share of unusable images to set aside, and of images to leave out for "
        "their patient is on two sides of a given split; data with more are refused",
    )

    @field_validator("classes", "test_sites", mode="before")
    @classmethod
    def _as_text(cls, given: Any, info: ValidationInfo) -> Any:
        """Numbers as a manifest spells them; what YAML has made of yes and no is not known."""
        names = given if isinstance(given, list) else []
        if any(isinstance(name, bool) for name in names):
            raise ValueError(
                f"{info.field_name}: found {names}; YAML reads yes, no, on, off, true and false "
                'as truth values: write them in quotes, as "yes"'
            )
        return [str(each) if isinstance(each, int) else each for each in names] or given

    @model_validator(mode="after")
    def _names_its_source(self) -> ImagingData:
        if self.kind == "builtin" and self.name != "lidc":
            raise ValueError(f"built-in image sets: lidc; found {self.name!r}")
        if self.kind in ("folder", "manifest") and self.path is None:
            raise ValueError(f"kind {self.kind} needs path: the folder or manifest file")
        if self.kind == "medmnist" and self.path is None and self.name is None:
            raise ValueError("kind medmnist needs path (a .npz file) or name (of a set to fetch)")
        return self

    @model_validator(mode="before")
    @classmethod
    def _built_in_set_has_a_task(cls, given: Any) -> Any:
        if isinstance(given, dict) and given.get("kind", "builtin") == "builtin":
            return {"label": "malignancy", **given}
        return given

    @model_validator(mode="after")
    def _columns_are_of_a_manifest(self) -> ImagingData:
        if self.kind == "manifest":
            return self
        for key in ("patient", "site", "time", "split", "slice"):
            if getattr(self, key) is not None:
                raise ValueError(f"{key}: names a column, and only kind manifest has columns")
        if not isinstance(self.label, str):
            raise ValueError("label: several columns, and only kind manifest has columns")
        return self

    @model_validator(mode="after")
    def _names_classes_apart(self) -> ImagingData:
        names = [name.strip() for name in self.classes]
        if names and (len(names) < 2 or "" in names or len(set(names)) < len(names)):
            raise ValueError(
                f"classes: found {self.classes}, expected the names of at least two classes, each "
                "once"
            )
        if names and self.kind == "builtin":
            raise ValueError("classes: the built-in set has its own, expected none")
        return self

    @model_validator(mode="after")
    def _says_who_is_held_out(self) -> ImagingData:
        check_held_out(self.split_by, self.site, self.time, self.test_sites, self.test_from)
        if self.split is not None and self.split_by != "patient":
            raise ValueError(f"split: a given split, and split_by: {self.split_by}; expected one")
        return self

    @model_validator(mode="after")
    def _says_how_to_read(self) -> ImagingData:
        if isinstance(self.window, tuple) and self.window[0] >= self.window[1]:
            raise ValueError(f"window: found {list(self.window)}, expected the lower first")
        if self.channels == 1 and self.volume is not None and self.volume.stack == 3:
            raise ValueError("channels: 1, and volume.stack: 3 makes three; expected one of them")
        if self.volume is not None and self.kind in ("builtin", "medmnist"):
            raise ValueError(f"volume: kind {self.kind} holds no volumes, expected none")
        if self.channels == 1 and self.kind == "builtin":
            raise ValueError("channels: the built-in set has three views as channels, expected 3")
        if self.slice is not None and self.volume is None:
            raise ValueError("slice: needs volume: how slices are counted (axis, stack)")
        several = [self.label] if isinstance(self.label, str) else self.label
        if not several or len(set(several)) < len(several):
            raise ValueError("label: expected a column, or several different ones")
        if len(several) > 1 and self.classes and self.kind == "manifest":
            raise ValueError("classes: several label columns are named by themselves")
        return self

    @property
    def is_public(self) -> bool:
        """Whether the images are public: built-in and fetched sets are, others if they say so."""
        fetched = self.kind == "medmnist" and self.path is None
        return self.public or self.kind == "builtin" or fetched

    @property
    def outcome(self) -> str:
        """What the labels are called, as one name."""
        return self.label if isinstance(self.label, str) else " ".join(self.label)
