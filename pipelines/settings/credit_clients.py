"""Who the clients of a credit job are, and how far each may move its model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from pipelines.settings.base import Section


class Clients(Section):
    """Who the clients are: a column names them, or the job cuts them."""

    column: str | None = None
    top: int | None = Field(None, ge=1, description="Only the largest")
    skip: int = Field(0, ge=0, description="Leave out so many of the largest, before `top`")
    count: int | None = Field(None, ge=1)
    by: Literal["iid", "dirichlet"] = "iid"
    alpha: float = Field(0.5, gt=0)

    @model_validator(mode="after")
    def _one_way(self) -> Clients:
        if (self.column is None) == (self.count is None):
            raise ValueError("clients: give either column (who names them) or count (cut here)")
        return self


class Updates(Section):
    """How far a client may move the model in one round."""

    times_median: float | None = Field(
        None,
        ge=1,
        allow_inf_nan=False,
        description="How many times as long as the round's median an update may be, or as its own "
        "expected noise, if that is longer; default: any length",
    )
    longest: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Public bound on an update's length"
    )
    beyond: Literal["exclude", "clip"] = Field(
        "exclude", description="What becomes of a longer one"
    )
