"""Configuration of the credit pipeline.

How long and how finely a model trains depends on the model; see `credit_models`.
"""

from __future__ import annotations

import datetime
import itertools
import math
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from domains.errors import InputError
from models.strategies import STRATEGIES, make
from pipelines.settings.base import Job, Section
from pipelines.settings.credit_clients import Clients, Updates
from pipelines.settings.credit_decisions import Fairness, Points
from pipelines.settings.credit_models import OF_WEIGHTS, TRAINING, Growth, Model, Rate


class CreditData(Section):
    """Where loans are."""

    name: str | None = Field(None, description="Built-in name, or the name owners are kept under")
    path: Path | None = Field(None, description="CSV or Parquet, plain or gzipped")
    id: str | None = Field(
        None,
        description="Column of the borrower id; default: all columns of the row. Of private data "
        "it stays what it was in the first run, and without it so do the columns",
    )
    date: str | None = Field(None, description="Column of the approval date")
    approved: tuple[datetime.date, datetime.date] | None = Field(
        None,
        description="First and last day of approval of the loans that take part; how many those "
        "are of private loans is not told, and noise and weights go by all in the file",
    )
    out_of_time: datetime.date | None = Field(
        None,
        description="Loans approved from this day on are the out-of-time test; of private ones, "
        "those that the split would test anyway, and none of them trains",
    )
    types: dict[str, Literal["number", "category"]] = Field(
        default={},
        description="What columns are that have neither bounds nor categories; in a private run "
        "those that nobody declares are voted on under the run's own ε, and dates left out",
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
    negative: list[str | int | float] | str | int | float | None = Field(
        None, description="Value or values that mean no default; needed where there are several"
    )


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
        0.3, gt=0, lt=1, description="Share of ε for bins and categories that are not public"
    )


def _by_model(key: str, description: str, **limits: Any) -> Any:
    """A key whose default is the model's; null in the schema, never in a configuration."""
    each = ", ".join(f"{model} {row[key]}" for model, row in TRAINING.items())
    said = f"{description}; default: {each}" if description else f"Default: {each}"
    return Field(None, description=said, **limits)


class CreditConfig(Job):
    """Default risk learned across lenders that keep their loans."""

    data: CreditData = CreditData(name="sba")
    target: Target | None = Field(None, description="Default: what the built-in set means")
    exclude: list[str] = Field(default=[], description="Columns that leak or must not be used")
    clients: Clients | None = None
    protected: list[str] = Field(
        default=[],
        description="Columns by whose values decisions are compared; no features, see fairness",
    )
    fairness: Fairness = Fairness()
    approval_rate: float = Field(
        0.7,
        gt=0,
        lt=1,
        description="Share of loans to approve; the threshold is chosen on calibration records",
    )
    model: Model = Field(
        "scorecard",
        description="A table of points, a net of one hidden layer, or boosted trees with drawn "
        "splits, of which each round grows local_steps",
    )
    bounds: dict[str, list[float]] = Field(
        default={}, description="Public bounds, or every edge of its bins"
    )
    categories: dict[str, list[str | int | float]] = Field(
        default={}, description="Public lists of values"
    )
    privacy: Privacy | None = Privacy(epsilon=3.0, delta=1e-5)
    release: Literal["metrics"] | None = Field(
        None, description="metrics: test metrics may leave their owner; public data always may"
    )
    rounds: int = _by_model("rounds", "", ge=1)
    local_steps: int = _by_model("local_steps", "Steps a client takes each round", ge=1)
    sampling_rate: float = _by_model(
        "sampling_rate", "Poisson sampling of each step; 1 is full batch", gt=0, le=1
    )
    clip_norm: float = _by_model("clip_norm", "Largest norm of one record's gradient", gt=0)
    learning_rate: Rate | Literal["auto"] = _by_model(
        "learning_rate",
        "Of the clients' steps; auto, for scorecards alone: 1.1, and less where noise is loud for "
        "the public number of records",
    )
    momentum: float = _by_model("momentum", "Of the averaged step of each round", ge=0, lt=1)
    averaged: float = _by_model(
        "averaged", "Share of the last rounds whose models are averaged", ge=0, le=1
    )
    strategy: str = Field(
        "fedavg",
        description=f"{', '.join(STRATEGIES)}; fedprox and scaffold change a client's steps from "
        "the second of a round on, so they need local_steps above 1",
        json_schema_extra={"enum": list(STRATEGIES)},
    )
    strategy_settings: dict[str, float] = Field(
        default={},
        description="fedprox: mu (0.1); fedadam: server_rate (0.1), beta2 (0.99), tau (0.001), "
        "with momentum as its first beta; trimmed-mean: trim (0.1), the share of clients left out "
        "at either end",
    )
    weights: Literal["size", "equal"] | None = Field(
        None,
        description="What a client counts: by its public number of records, or as every other; "
        "default: size, but median and trimmed-mean count each client once",
    )
    participation: float = Field(
        1.0,
        gt=0,
        le=1,
        description="Share of the clients drawn for each round; an owner is charged for all rounds",
    )
    dropout: float = Field(
        0.0,
        ge=0,
        lt=1,
        description="Chance of a client's update to be lost in a round, as a rehearsal",
    )
    updates: Updates = Updates()
    personalise: Literal["none", "head", "proximal"] | None = Field(
        None,
        description="How each client goes on at home after the rounds: head moves slope and "
        "intercept, proximal everything, pulled to the shared model as its own calibration records "
        "say; default: proximal on public records with controls, none on private ones, of which "
        "the result goes to each client's own folder alone",
    )
    epsilons: list[float] | None = Field(
        None,
        description="At which ε the figure of privacy and federation trains the model anew, alone, "
        "federated and pooled, on public records; default: 1, 3, 8 under controls: full, else none",
    )
    bins: int = _by_model("bins", "Bins of a number without public bounds", ge=2)
    codes: Literal["linear", "steps", "bins"] = _by_model("codes", "How a number fills its bins")
    hidden: int = Field(16, ge=1, description="Hidden units of the net")
    trees: Growth = Growth()
    monotone: dict[str, Literal["up", "down"]] = Field(
        default={}, description="Numbers with which a scorecard's risk only rises or falls"
    )
    points: Points = Points()

    @model_validator(mode="before")
    @classmethod
    def _trained_as_its_model_is(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        model = values.get("model", cls.model_fields["model"].default)
        row = next((row for name, row in TRAINING.items() if name == model), {})
        return row | {k: v for k, v in values.items() if v is not None or k not in row}

    def personalised(self, public: bool) -> Literal["none", "head", "proximal"]:
        """How clients go on at home; where nothing is said, as the controls are trained."""
        if self.personalise is not None:
            return self.personalise
        return "proximal" if public and self.controls != "none" else "none"

    def priced(self, public: bool) -> list[float]:
        """At which ε the model is compared with itself, rising; none on private records."""
        if not public:
            return []
        usual = [1.0, 3.0, 8.0] if self.controls == "full" else []
        return sorted({*(usual if self.epsilons is None else self.epsilons)})

    def others(self) -> list[CreditConfig]:
        """The same job with each other model, trained as that one is by default."""
        return [
            self.model_copy(update={"model": model, "monotone": {}, "trees": Growth(), **row})
            for model, row in TRAINING.items()
            if model != self.model
        ]

    @model_validator(mode="after")
    def _has_a_strategy(self) -> CreditConfig:
        if self.strategy not in STRATEGIES:
            raise ValueError(f"strategy: expected {', '.join(STRATEGIES)}, found {self.strategy!r}")
        if self.strategy_settings:
            try:
                make(self.strategy, self.strategy_settings, learning_rate=self.learning_rate)
            except InputError as error:
                raise ValueError(f"strategy_settings.{error}") from None
        return self

    @model_validator(mode="after")
    def _trained_as_trees_are(self) -> CreditConfig:
        if self.learning_rate == "auto" and self.model != "scorecard":
            raise ValueError("learning_rate: auto is for model: scorecard; expected a number")
        if (self.model == "trees") != (self.codes == "bins"):
            raise ValueError(
                f"codes: found {self.codes}; bins is for model: trees, and for it alone"
            )
        if self.model != "trees":
            return self
        for key, least in (("sampling_rate", 1.0), ("averaged", 0.0)):
            if getattr(self, key) != least:
                raise ValueError(f"{key}: model: trees takes {least:g}, found {getattr(self, key)}")
        if self.clip_norm > 1.0:
            raise ValueError("clip_norm: a record adds 1 to a tree at most, so expected at most 1")
        for key in OF_WEIGHTS:
            if getattr(self, key) != type(self).model_fields[key].default:
                raise ValueError(f"{key}: model: trees has none; leave it out")
        return self

    @model_validator(mode="after")
    def _of_one_type(self) -> CreditConfig:
        for key, kind in (("bounds", "number"), ("monotone", "number"), ("categories", "category")):
            for name in getattr(self, key):
                if (found := self.data.types.get(name, kind)) != kind:
                    raise ValueError(f"data.types.{name}: found {found}, and {key} says {kind}")
        return self

    @model_validator(mode="after")
    def _prices_what_it_may(self) -> CreditConfig:
        asked = self.epsilons or []
        if not all(math.isfinite(epsilon) and epsilon > 0 for epsilon in asked):
            raise ValueError(f"epsilons: expected positive numbers, found {asked}")
        if asked and self.data.path is not None and not self.data.public:
            raise ValueError(
                "epsilons: each would have to be charged; expected none, or data.public: true"
            )
        return self

    @model_validator(mode="after")
    def _complete(self) -> CreditConfig:
        if self.monotone and self.model != "scorecard":
            raise ValueError("monotone: needs model: scorecard")
        for name, edges in self.bounds.items():
            rising = all(a < b for a, b in itertools.pairwise(edges))
            if len(edges) < 2 or not rising or not all(map(math.isfinite, edges)):
                raise ValueError(f"bounds.{name}: expected two or more rising numbers")
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
