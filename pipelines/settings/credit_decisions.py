"""What a credit model's scores are turned into: points, and decisions about protected groups."""

from __future__ import annotations

from pydantic import Field

from pipelines.settings.base import Section


class Fairness(Section):
    """How protected columns are looked at."""

    least: int = Field(
        50, ge=20, description="Test records below which nothing is told of a protected group"
    )
    as_features: bool = Field(
        False, description="Whether the model may use the protected columns too"
    )


class Points(Section):
    """What a scorecard's points mean."""

    base: float = Field(600.0, description="Score at which the odds of repaying are `odds` to 1")
    odds: float = Field(50.0, gt=0)
    pdo: float = Field(20.0, gt=0, description="Points that double the odds")
