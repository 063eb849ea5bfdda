"""What every job's configuration shares."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

Scale = Literal["tiny", "small", "full"]
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Section(BaseModel):
    """A part of a configuration: unknown keys are errors, numbers finite, values never change."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Job(Section):
    """What every job may say."""

    seed: int = Field(0, ge=0, description="Moves everything random; the split of public data too")
    scale: Scale = Field("full", description="tiny for tests, small for a demonstration")
    model_name: str | None = Field(None, description="Registered name; default PIPELINE-DATA")
    controls: Literal["auto", "full", "none"] = Field(
        "auto",
        description="auto: imaging always, patients and credit on public data alone; none: never; "
        "full: always, and so refused for private records",
    )

    @field_validator("model_name")
    @classmethod
    def _can_be_registered(cls, name: str | None) -> str | None:
        if name is not None and (not name.strip() or set(name) & set("/:@")):
            raise ValueError(f"model_name: found {name!r}, expected a name without / : @")
        return name


def check_held_out(
    split_by: str,
    site: str | None,
    time: str | None,
    test_sites: Sequence[str],
    test_from: float | date | None,
) -> None:
    """Raise ValueError unless each key that says who is tested has the one that it needs."""
    if split_by == "site" and site is None:
        raise ValueError("split_by: site needs site: the column")
    if split_by == "time" and time is None:
        raise ValueError("split_by: time needs time: the column")
    if test_sites and split_by != "site":
        raise ValueError("test_sites: needs split_by: site")
    if test_from is not None and split_by != "time":
        raise ValueError("test_from: needs split_by: time")
