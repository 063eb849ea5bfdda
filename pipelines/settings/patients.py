"""Configuration of the patients pipeline."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from domains.errors import InputError
from models.multitask.named import BALANCING, EQUAL, SHARING, check_pair, check_sharing
from pipelines.settings.base import Job, Section
from pipelines.settings.patients_data import ExternalTest, PatientsData


class Outcome(Section):
    """One thing predicted about a patient."""

    name: str = Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]*$")
    kind: Literal["binary", "multiclass", "ordinal", "count", "regression", "survival"]
    column: str | None = Field(None, description="Target column; for survival use time and event")
    positive: list[bool | str | int | float] | None = Field(
        None, description="Binary, survival event: values that mean yes; default: 0 and 1 are held"
    )
    transform: Literal["none", "log1p"] = "none"
    missing: list[str | int | float] = Field(default=[], description="Codes that mean unknown")
    time: str | None = None
    event: str | None = None
    horizons: list[Annotated[float, Field(gt=0)]] | None = Field(
        None, description="Survival: times to answer at, in the unit of the time column"
    )

    head: Literal["hazard", "cox"] = Field(
        "hazard", description="Survival: free hazards an interval, or proportional ones"
    )
    levels: list[str | int | float] | None = Field(
        None, description="Ordinal: classes from the lowest to the highest; default: numbers"
    )

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that it is read from."""
        return tuple(name for name in (self.column, self.time, self.event) if name)

    @model_validator(mode="after")
    def _names_its_columns(self) -> Outcome:
        if self.kind == "survival":
            if self.time is None or self.event is None:
                raise ValueError(f"outcome {self.name}: survival needs time and event columns")
        elif self.column is None:
            raise ValueError(f"outcome {self.name}: kind {self.kind} needs column")
        for key, kinds in _OUTCOME_KEYS.items():
            if key in self.model_fields_set and self.kind not in kinds:
                raise ValueError(
                    f"outcome {self.name}: {key} is for kind {' and '.join(kinds)}, "
                    f"found kind {self.kind}"
                )
        return self


_OUTCOME_KEYS = {
    "column": ("binary", "multiclass", "ordinal", "count", "regression"),
    "levels": ("ordinal",),
    "head": ("survival",),
    "positive": ("binary", "survival"),
    "transform": ("regression",),
    "time": ("survival",),
    "event": ("survival",),
    "horizons": ("survival",),
}


def _one_of(key: str, names: Collection[str], found: str) -> str:
    if found not in names:
        raise ValueError(f"{key}: found {found!r}, expected one of {', '.join(names)}")
    return found


class PatientsConfig(Job):
    """Many outcomes from one record."""

    data: PatientsData = PatientsData(name="support2")
    exclude: list[str] = Field(default=[], description="Columns that leak or must not be used")
    outcomes: list[Outcome] = Field(default=[], description="At least one; studies bring theirs")
    test: ExternalTest | None = Field(None, description="An external test set")
    sharing: Annotated[str, AfterValidator(partial(_one_of, "sharing", SHARING))] = Field(
        "hard",
        description=f"One of {', '.join(SHARING)}; none: a network an outcome; mmoe: experts, and "
        "a gate an outcome",
        json_schema_extra={"enum": [*SHARING]},
    )
    groups: list[list[str]] = Field(
        default=[], description="For sharing groups: outcomes that share a trunk with each other"
    )
    worse: float = Field(
        0.01,
        ge=0,
        description="An outcome that the shared network answers worse by more than this, on "
        "records that train neither, is served by its single-task network or boosted trees",
    )
    sharing_settings: dict[str, float] = Field(
        default={}, description="soft: tie 0.01; cross-stitch: own 0.9; mmoe: experts 4"
    )
    balancing: Annotated[str, AfterValidator(partial(_one_of, "balancing", BALANCING))] = Field(
        EQUAL,
        description=f"One of {', '.join(BALANCING)}: how outcomes' losses are weighed, or their "
        "gradients reconciled",
        json_schema_extra={"enum": [*BALANCING]},
    )
    trunk: Literal["tabm", "mlp"] = Field(
        "tabm", description="tabm: an ensemble in one network over numbers in pieces; mlp: plain"
    )
    members: int | None = Field(
        None, ge=2, le=64, description="Members of a trunk tabm; default by scale"
    )
    hidden: int = Field(128, ge=4)
    slices: list[str] = Field(
        default=[],
        description="Columns (sex, race, age …) by whose values results are told apart, beside "
        "data.site; studies have theirs",
    )
    coverage: float = Field(
        0.9,
        ge=0.5,
        lt=1.0,
        description="Amounts and counts: share of new patients' records within NAME.low to "
        "NAME.high",
    )
    epochs: int | None = Field(None, ge=1, description="Default by scale; stops early")

    @property
    def grouped(self) -> tuple[tuple[str, ...], ...]:
        """The groups that share."""
        return tuple(tuple(group) for group in self.groups)

    @model_validator(mode="after")
    def _is_of_one_piece(self) -> PatientsConfig:
        if bool(self.groups) != (self.sharing == "groups"):
            raise ValueError(
                "groups: name them for sharing groups, and for no other; "
                f"found sharing {self.sharing} and {len(self.groups)} groups"
            )
        try:
            check_pair(self.sharing, self.balancing)
        except InputError as refused:
            raise ValueError(str(refused)) from None
        return self

    @model_validator(mode="after")
    def _sets_what_sharing_takes(self) -> PatientsConfig:
        if not self.sharing_settings:
            return self  # what a way of sharing takes is in its own file, which imports torch
        try:
            check_sharing(self.sharing, self.sharing_settings)
        except InputError as refused:
            raise ValueError(f"sharing_settings.{refused}") from None
        return self

    @model_validator(mode="after")
    def _declares_categories_of_features(self) -> PatientsConfig:
        data, visits = self.data, self.data.visits
        taken = {name: f"column of outcome {o.name}" for o in self.outcomes for name in o.columns}
        taken |= dict.fromkeys(self.exclude, "listed under exclude")
        marks = {"patient": data.patient, "site": data.site, "time": data.time}
        marks["visits.time"] = visits.time if visits else None
        taken |= {name: f"data.{key}" for key, name in marks.items() if name}
        for name in data.categories:
            if name in taken:
                raise ValueError(
                    f"data.categories: {name} is {taken[name]}, expected a feature; take it out"
                )
        return self

    @model_validator(mode="after")
    def _has_outcomes(self) -> PatientsConfig:
        if self.data.path is not None and not self.outcomes:
            raise ValueError("outcomes: name at least one outcome for a file of your own")
        names = [outcome.name for outcome in self.outcomes]
        if taken := {"mean", "external"} & set(names):
            raise ValueError(f"outcomes: the name {taken.pop()!r} is taken; choose another")
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"outcomes: named twice: {', '.join(sorted(twice))}")
        if self.controls == "full" and self.data.path is not None and not self.data.public:
            raise ValueError(
                "controls: full is refused on private records; "
                "expected auto or none, or data.public: true"
            )
        return self
