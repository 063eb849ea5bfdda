"""The models of the credit pipeline, and how long and how finely each trains.

What a configuration does not say is taken from its model's row of `TRAINING`. Each row was chosen
on public records, by AUROC on calibration records.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from pipelines.settings.base import Section

Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""Of steps; see `TRAINING`."""


class Growth(Section):
    """How trees are drawn, and their leaves' values."""

    depth: Annotated[int, Field(ge=1, le=8)] | Literal["auto"] = Field(
        "auto",
        description="Levels of a tree, which has 2^depth leaves; auto: few where noise is loud for "
        "the public number of records",
    )
    features: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        "auto",
        description="Features that one tree asks about; with 1 the risk is a sum over them; auto: "
        "1 where trees have few levels, else 2",
    )
    ridge: float = Field(
        1.0, gt=0, allow_inf_nan=False, description="What draws a leaf's value towards 0"
    )


Model = Literal["mlp", "scorecard", "trees"]
TRAINING: dict[Model, dict[str, Any]] = {
    "mlp": {
        "rounds": 40,
        "local_steps": 4,
        "sampling_rate": 0.05,
        "clip_norm": 4.0,
        "learning_rate": 0.3,
        "momentum": 0.8,
        "averaged": 0.0,
        "bins": 8,
        "codes": "linear",
    },
    "scorecard": {
        "rounds": 50,
        "local_steps": 1,
        "sampling_rate": 1.0,
        "clip_norm": 2.5,
        "learning_rate": "auto",
        "momentum": 0.8,
        "averaged": 0.5,
        "bins": 12,
        "codes": "steps",
    },
    "trees": {
        "rounds": 30,
        "local_steps": 20,
        "sampling_rate": 1.0,
        "clip_norm": 1.0,
        "learning_rate": 0.6,
        "momentum": 0.5,
        "averaged": 0.0,
        "bins": 12,
        "codes": "bins",
    },
}
"""What each model trains with, unless the configuration says otherwise."""
OF_WEIGHTS = ("strategy", "strategy_settings", "weights")
"""How updates of weights become one, which is not what becomes of trees' sums over records."""
