"""What a stage hands on comes back from JSON as it went, or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
import pytest

from domains.banking.census import Census
from pipelines.life.kept import decode, encode
from pipelines.settings import CreditConfig, load_config
from pipelines.steps.credit.charge import Charged, _builtin
from privacy.plan import PrivacyPlan, Schedule


@dataclass(frozen=True)
class Low:
    at: pd.Timestamp
    edges: tuple[float, ...] | None = None


@dataclass(frozen=True)
class High:
    at: pd.Timestamp
    values: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Mixed:
    path: Path
    role: Literal["arm", "control"]
    days: tuple[pd.Timestamp, pd.Timestamp]
    marks: Mapping[str, Low | High | None]
    names: frozenset[str] = frozenset()
    cells: list[list[str | float | int | None]] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)


DAY = pd.Timestamp("2001-02-03")


def _back(declared: Any, value: Any) -> Any:
    return decode(declared, json.loads(json.dumps(encode(value))))


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        (type(None), None),
        (dict[str, Any], {"a": [1, None, "b"], "b": {"c": 0.1}}),
        (list[Low | High], [High(DAY, ("x",)), Low(DAY, (0.5, 1e300)), Low(DAY)]),
        (
            Mixed,
            Mixed(
                Path("/a/b"),
                "control",
                (DAY, pd.Timestamp("2004-05-06 07:08:09.000000010")),
                {"one": Low(DAY), "two": High(DAY), "none": None},
                frozenset({"x", "y"}),
                [["a", 1.5, 2, None]],
                {"deep": {"er": [True]}},
            ),
        ),
        (Schedule, PrivacyPlan(1, 2, 0.1, 3.0, 1e-5, 1.0, 1.0)),
        (Schedule, Schedule(1, 2, 0.1)),
    ],
)
def test_values_come_back_as_they_went(declared: Any, value: Any) -> None:
    back = _back(declared, value)
    assert back == value
    assert type(back) is type(value)


def test_a_whole_number_stays_one_in_a_cell_that_may_hold_a_fraction() -> None:
    assert repr(_back(list[str | float | int | None], [635, 0.5, "a", None])) == (
        "[635, 0.5, 'a', None]"
    )


def test_a_charged_job_comes_back_whole() -> None:
    config = load_config("credit", scale="tiny")
    assert isinstance(config, CreditConfig)
    plan = PrivacyPlan(1, 2, 0.1, 1.0, 1e-5, 1.0, 1.0)
    charged = Charged(_builtin(config), Census(("a",), {"x": 3}), plan, ("a", "b"))
    assert _back(Charged, charged) == charged


def test_numbers_of_numpy_become_plain_ones() -> None:
    assert _back(dict[str, float], {"a": np.float32(0.5), "b": np.float64(1)}) == {"a": 0.5, "b": 1}


@pytest.mark.parametrize("value", [np.zeros(3), object(), {1: "a"}])
def test_what_has_no_form_in_json_is_refused_as_it_is_written(value: Any) -> None:
    with pytest.raises(TypeError):
        encode(value)


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        (Low, {"class": "High", "at": str(DAY), "edges": None}),
        (Low, {"class": "Low", "at": str(DAY)}),
        (Low, {"class": "Low", "at": "no day", "edges": None}),
        (Path, {"class": "Popen", "args": ["id"]}),
        (list[str], "abc"),
        (tuple[int, int], [1]),
        (int, True),
        (float, "1"),
    ],
)
def test_what_is_not_of_the_declared_type_is_refused(declared: Any, value: Any) -> None:
    with pytest.raises((TypeError, ValueError, KeyError)):
        decode(declared, value)
