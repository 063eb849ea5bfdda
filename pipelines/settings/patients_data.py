"""Keys that say where patients' records are, how visits become rows, and who is held out."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from domains.healthcare.studies import NAMES
from pipelines.settings.base import Section, check_held_out


class Visits(Section):
    """How several visits of a patient become one row, as it stood at the prediction time.

    Of each column its last value, its trend a year, how many values there are, and how long ago the
    last one is; of a column that never changes its last value alone.
    """

    time: str = Field(description="Column of the visit's time, a number with any origin")
    until: float = Field(description="Prediction time; nothing recorded after it becomes a feature")
    year: float = Field(365.25, gt=0, description="What a year is in the unit of the time column")


class PatientsData(Section):
    """Where patients' records are."""

    name: str | None = Field(
        None, description=f"Built-in study ({', '.join(NAMES)}), or a name of your own"
    )
    path: Path | None = Field(None, description="CSV or Parquet, plain or gzipped")
    patient: str | None = Field(None, description="Column of the patient id; default: each row")
    one_row: bool = Field(False, description="Refuse a table in which a patient stands twice")
    visits: Visits | None = Field(None, description="Make one row a patient of several visits")
    site: str | None = Field(None, description="Column: where the record was made; no feature")
    time: str | None = Field(
        None, description="Column: when the record was made, an ISO date or a number; no feature"
    )
    split_by: Literal["patient", "site", "time"] = Field(
        "patient",
        description="Who is tested: patients by a keyed hash, whole sites, or the latest records; "
        "no patient stands on two sides in any case",
    )
    test_sites: list[str] = Field(
        [], description="Sites to test on; default: those that a keyed hash draws"
    )
    test_from: float | date | None = Field(
        None, description="Time from which records are for testing; default: the last share of them"
    )
    ranges: dict[str, tuple[float, float]] = Field(
        {}, description="Column of numbers → [lowest, highest] that it may hold"
    )
    categories: list[str] = Field(
        [],
        description="Columns of a file of your own that are categories though they hold numbers, "
        "like codes of race or ward",
    )
    least_events: int = Field(
        10, ge=1, description="Outcomes of yes and no, and survival: fewest events to learn from"
    )
    public: bool = Field(False, description="Whether the records are public; built-in ones are")

    @model_validator(mode="after")
    def _names_its_source(self) -> PatientsData:
        if self.path is None and self.name not in NAMES:
            raise ValueError(f"built-in studies: {', '.join(NAMES)}; found {self.name!r}")
        if self.path is None and self.visits is not None:
            raise ValueError("visits: a built-in study has its own prediction time, expected none")
        if self.path is None and self.categories:
            raise ValueError("categories: for a file of your own; a built-in study has its own")
        if self.path is not None and self.patient is None:
            for key in ("one_row", "visits"):
                if getattr(self, key):
                    raise ValueError(f"{key}: needs patient: the column of the patient id")
        return self

    @model_validator(mode="after")
    def _says_who_is_held_out(self) -> PatientsData:
        check_held_out(self.split_by, self.site, self.time, self.test_sites, self.test_from)
        if self.visits is not None and self.time == self.visits.time:
            raise ValueError(
                f"time: {self.time} is the time of the visits, which are one row a patient; "
                "expected a column with one time a patient, as of the enrolment"
            )
        return self

    @model_validator(mode="after")
    def _ranges_go_upwards(self) -> PatientsData:
        for column, (low, high) in self.ranges.items():
            if low >= high:
                raise ValueError(
                    f"ranges.{column}: found [{low:g}, {high:g}], expected the lower first"
                )
        return self


class ExternalTest(Section):
    """Records of elsewhere that a model is judged on, and never learns from."""

    path: Path = Field(description="CSV or Parquet with the columns of the data")
    patient: str | None = Field(None, description="Column of the patient id; default: the data's")
    exclude: list[str] = Field(
        [], description="Columns of this file that the data do not have, to be set aside"
    )
    differing: list[str] = Field(
        [], description="Columns that may hold other numbers than the data by orders of magnitude"
    )
