"""Configuration of the credit pipeline."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from pipelines.settings.base import Job, Section


class CreditData(Section):
    """Where loans are."""

    name: str | None = Field(None, description="Built-in name, or the name owners are kept under")
    path: Path | None = Field(None, description="CSV or Parquet, plain or gzipped")
    id: str | None = Field(None, description="Column of the borrower id; default: the row itself")
    date: str | None = Field(None, description="Column of the approval date")
    approved: tuple[datetime.date, datetime.date] | None = Field(
        None, description="First and last day of approval of the loans that take part"
    )
    out_of_time: datetime.date | None = Field(
        None, description="Loans approved from this day on are the out-of-time test"
    )
    public: bool = False

    @model_validator(mode="after")
    def _names_its_source(self) -> CreditData:
        if self.path is None and self.name != "sba":
            raise ValueError(f"built-in credit sets: sba; found {self.name!r}")
        if self.path is not None and self.date is None and (self.approved or self.out_of_time):
            raise ValueError("data.date: needed for approved and out_of_time")
        return self


class Target(Section):
    """What default means."""

    column: str
    positive: str | int | float = 1


class Clients(Section):
    """Who the clients are: a column names them, or the job cuts them."""

    column: str | None = None
    top: int | None = Field(None, ge=1, description="Only the largest")
    count: int | None = Field(None, ge=1)
    by: Literal["iid", "dirichlet"] = "iid"
    alpha: float = Field(0.5, gt=0)

    @model_validator(mode="after")
    def _one_way(self) -> Clients:
        if (self.column is None) == (self.count is None):
            raise ValueError("clients: give either column (who names them) or count (cut here)")
        return self


class Grant(Section):
    """What each owner allows in all, ever."""

    epsilon: float = Field(gt=0)
    delta: float = Field(1e-5, gt=0, lt=1)


class Privacy(Section):
    """What one job may spend of each owner's budget."""

    epsilon: float = Field(3.0, gt=0)
    delta: float = Field(1e-5, gt=0, lt=1)
    grant: Grant | None = None
    setup_share: float = Field(
        0.1, gt=0, lt=1, description="Share of ε for bins and categories that are not public"
    )


class CreditConfig(Job):
    """Default risk learned across lenders that keep their loans."""

    data: CreditData = CreditData(name="sba")
    target: Target | None = Field(None, description="Default: what the built-in set means")
    exclude: list[str] = Field(default=[], description="Columns that leak or must not be used")
    clients: Clients | None = None
    protected: list[str] = Field(default=[], description="Columns that are never features")
    model: Literal["mlp"] = Field("mlp", description="A net of one hidden layer, the only one")
    bounds: dict[str, tuple[float, float]] = Field(default={}, description="Public bounds")
    categories: dict[str, list[str | int | float]] = Field(
        default={}, description="Public lists of values"
    )
    privacy: Privacy | None = Privacy(epsilon=3.0, delta=1e-5)
    release: Literal["metrics"] | None = Field(
        None, description="metrics: test metrics may leave their owner; public data always may"
    )
    rounds: int = Field(40, ge=1)
    local_steps: int = Field(4, ge=1, description="Steps a client takes each round")
    sampling_rate: float = Field(0.05, gt=0, le=1, description="Poisson sampling of each step")
    clip_norm: float = Field(4.0, gt=0, description="Largest norm of one record's gradient")
    learning_rate: float = Field(0.3, gt=0, description="Of the clients' steps")
    momentum: float = Field(0.8, ge=0, lt=1, description="Of the averaged step of each round")
    hidden: int = Field(16, ge=1, description="Hidden units of the net")
    bins: int = Field(8, ge=2, description="Bins of a number without public bounds")

    @model_validator(mode="after")
    def _complete(self) -> CreditConfig:
        if self.data.path is not None:
            for key in ("target", "clients"):
                if getattr(self, key) is None:
                    raise ValueError(f"{key}: needed for a file of your own")
            if self.privacy is not None and self.data.name is None:
                raise ValueError("data.name: a private run needs the name its owners are kept by")
            if self.privacy is None and not self.data.public:
                raise ValueError(
                    "privacy: null needs data.public: true; private records are charged"
                )
            if self.controls == "full" and not self.data.public:
                raise ValueError(
                    "controls: full trains without privacy, which private records refuse; "
                    "expected auto or none, or data.public: true"
                )
        return self
