"""What columns of private records are, how many of them train, and of whom little is told."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from domains.banking.features import Categorical, Numeric
from domains.banking.groups import OTHERS
from domains.errors import InputError
from pipelines.steps.credit.fairness import groups_of
from pipelines.steps.credit.pictures import lender_table
from pipelines.steps.credit.scores import FEWEST, Lender
from pipelines.tracking import open_job
from tests.domains.sample_loans import sample_loans
from tests.pipelines.sample_credit import config_of, prepare_in, prepared


@pytest.mark.parametrize("terminal", [True, False])
def test_one_word_among_numbers_is_an_empty_field(
    tmp_path: Path,
    home: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    terminal: bool,
) -> None:
    """How many there are is told on a terminal, and not where lines are kept."""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    frame = sample_loans().astype({"income": object, "amount": object})
    frame.loc[7, ["income", "amount"]] = "unknown"
    with open_job("credit", config_of(tmp_path, frame)) as job:
        made = prepare_in(job)
        features = {each.column: each for each in made.encoder.features}
        empty = made.frame["income"].isna().sum()
    income = features["income"]
    assert isinstance(income, Numeric)
    assert len(income.edges or ()) > 5
    assert isinstance(features["purpose"], Categorical)
    assert empty == sample_loans()["income"].isna().sum() + 1
    assert ["income", "number"] in made.dataset.to_json()["columns"]  # type: ignore[operator]
    said = capsys.readouterr().err
    assert ("spell no number, taken as empty: amount 1, income 1" in said) == terminal
    assert ("spell no number" in said) == terminal


def test_undeclared_dates_are_left_out(tmp_path: Path, home: Path) -> None:
    with open_job("credit", config_of(tmp_path, exclude=[])) as job:
        assert sorted(prepare_in(job).encoder.columns) == ["amount", "income", "purpose"]


def test_a_declared_number_needs_no_category_threshold(tmp_path: Path, home: Path) -> None:
    data = {"path": "loans.csv", "name": "loans", "types": {"income": "number"}}
    made = prepared(config_of(tmp_path, data=data, categories={"purpose": ["car", "home"]}))
    plan = made.charged.plan
    assert plan is not None
    assert (plan.setup_columns, plan.setup_delta) == (1, 0.0)


@pytest.mark.parametrize(
    "keys",
    [
        {"bounds": {"income": [0, 1]}, "types": {"income": "category"}},
        {"categories": {"income": ["a"]}, "types": {"income": "number"}},
    ],
)
def test_a_type_may_not_contradict_bounds_or_categories(
    tmp_path: Path, keys: dict[str, Any]
) -> None:
    data = {"path": "loans.csv", "name": "loans", "types": keys.pop("types")}
    with pytest.raises(InputError, match=r"data\.types\.income: found"):
        config_of(tmp_path, data=data, **keys)


def test_of_training_records_only_the_public_number_is_told(tmp_path: Path, home: Path) -> None:
    frame = sample_loans().assign(borrower=np.arange(1200) // 3)
    data = {"path": "loans.csv", "name": "loans", "id": "borrower"}
    with open_job("credit", config_of(tmp_path, frame, data=data)) as job:
        made = prepare_in(job)
        tested = made.facts.query("part == 'test'")
    assert made.split["train"].keys() == {"records"}
    assert sum(part["records"] for part in made.split.values()) == 1200
    assert made.split["test"] == {"records": len(tested), "groups": tested["group"].nunique()}


def test_a_client_of_few_records_is_said_to_add_noise(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = sample_loans()
    frame.loc[0, "bank"], frame.loc[1:3, "bank"] = "Solo", "Trio"
    prepared(config_of(tmp_path, frame, sampling_rate=1.0, rounds=40))
    said = capsys.readouterr().err
    assert "Of 5 clients, 2 hold fewer than" in said
    assert "add little but noise to the model: Trio (3), Solo (1)." in said


def _lender(name: str, records: int, rate: float) -> Lender:
    return Lender(name, records, rate, None)


def _told(lenders: list[Lender], clients: list[str]) -> dict[str, list[Any]]:
    return {str(row[0]): row[1:3] for row in lender_table(lenders, clients).rows}


def test_nothing_is_told_of_a_client_with_few_test_records() -> None:
    lenders = [_lender("A", 300, 0.2), _lender("B", 3, 1 / 3), _lender("C", 1, 1.0)]
    few = [f"fewer than {FEWEST}", None]
    told = _told(lenders, ["A", "B", "C", "D"])
    assert told == {"A": [300, "20.0%"], "B": few, "C": few, "D": few}


def test_the_sum_of_all_does_not_tell_of_a_single_small_client() -> None:
    told = _told([_lender("A", 300, 0.2), _lender("B", 90, 0.5), _lender("C", 1, 1.0)], ["A"])
    assert told["A"] == [300, "20.0%"]
    assert told["B"] == ["not told", None]


def test_a_rate_of_one_kind_of_outcome_is_not_told() -> None:
    told = _told([_lender("A", 40, 0.0), _lender("B", 50, 1.0), _lender("C", 60, 0.5)], ["A"])
    assert told == {"A": [40, None], "B": [50, None], "C": [60, "50.0%"]}


@pytest.mark.parametrize("public", [True, False])
def test_a_protected_column_that_is_no_feature_is_read_as_it_is_declared(
    tmp_path: Path, home: Path, public: bool
) -> None:
    """An age with a word in it, and a code of many numbers: quartiles of the one, and every value
    of the other, of a file of text as of one of numbers."""
    rng = np.random.default_rng(4)
    age = rng.integers(18, 80, 1200).astype(object)
    age[::100] = "unknown"
    frame = sample_loans().assign(age=age, district=rng.integers(1, 13, 1200))
    data = {"path": "loans.csv", "name": "loans", "public": public}
    keys: dict[str, Any] = {
        "protected": ["age", "district"],
        "fairness": {"least": 20},
        **({"privacy": None, "release": None} if public else {}),
    }
    declared = {**data, "types": {"age": "number", "district": "category"}}
    with open_job("credit", config_of(tmp_path, frame, data=declared, **keys)) as job:
        made = prepare_in(job)
        groups = {each.column: each for each, _ in groups_of(made, job.config)}
        assert not {"age", "district"} & {*made.encoder.columns}
    assert len(groups["age"].names) == 4
    assert all(name[0].isdigit() or name.startswith("below") for name in groups["age"].names)
    assert {name.removesuffix(OTHERS) for name in groups["district"].names} <= {
        str(code) for code in range(1, 13)
    }
    assert len(groups["district"].names) > 4
