"""Loans: public facts before records, parts that never overlap, and what a file may not hold."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from domains import splits
from domains.banking import census as census_module
from domains.banking import credit
from domains.banking.census import LoanTable, private_columns, take_census
from domains.banking.credit import edges_between, read_loans
from domains.banking.features import Categorical, Numeric, Untyped
from domains.errors import InputError
from domains.splits import split_key
from tests.domains.sample_loans import sample_loans

KEY = split_key(0, None)


def _table(folder: Path, frame: pd.DataFrame | None = None, **keys: Any) -> LoanTable:
    path = folder / "loans.csv"
    (sample_loans() if frame is None else frame).to_csv(path, index=False)
    values = {"lender": "bank", "exclude": frozenset({"sex"}), "date": "approved", **keys}
    return LoanTable("loans", path, False, "defaulted", 1, **values)


def test_the_census_reads_no_column_but_the_clients(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def spy(path: Path, columns: Any = None) -> pd.DataFrame:
        asked.append(columns)
        return pd.read_csv(path, usecols=columns)

    monkeypatch.setattr(census_module, "read_table", spy)
    found = take_census(_table(tmp_path))
    assert asked == [["bank"]]
    assert list(found.sizes) == ["North", "South", "West"]
    assert sum(found.sizes.values()) == 1200


def test_only_the_largest_clients_take_part(tmp_path: Path) -> None:
    table = _table(tmp_path, top=2)
    census = take_census(table)
    assert list(census.sizes) == ["North", "South"]
    assert set(read_loans(table, census, KEY).client) == {"North", "South"}


def test_parts_are_as_large_as_promised_and_share_no_borrower(tmp_path: Path) -> None:
    frame = sample_loans().assign(borrower=np.arange(1200) // 3)
    table = _table(tmp_path, frame, borrower="borrower")
    loans = read_loans(table, take_census(table), KEY)
    shares = pd.Series(loans.part).value_counts(normalize=True)
    assert shares["test"] == pytest.approx(0.2, abs=0.05)
    assert shares["train"] == pytest.approx(0.7, abs=0.05)
    assert pd.DataFrame({"g": loans.group, "p": loans.part}).groupby("g")["p"].nunique().max() == 1


def test_a_record_keeps_its_part_when_the_file_is_reordered(tmp_path: Path) -> None:
    table = _table(tmp_path)
    first = read_loans(table, take_census(table), KEY)
    sample_loans().sample(frac=1, random_state=1).to_csv(table.path, index=False)
    second = read_loans(table, take_census(table), KEY)
    before = dict(zip(first.record, first.part, strict=True))
    assert before == dict(zip(second.record, second.part, strict=True))


def test_a_record_keeps_its_part_when_columns_move_or_a_field_is_empty(tmp_path: Path) -> None:
    table = _table(tmp_path, sample_loans().assign(branch=np.arange(1200) % 7))
    first = read_loans(table, take_census(table), KEY)
    extra = sample_loans().iloc[:1].assign(amount=123.45, branch=None)
    longer = pd.concat([sample_loans().assign(branch=np.arange(1200) % 7), extra])
    longer[longer.columns[::-1]].to_csv(table.path, index=False)  # branch: 3 becomes 3.0
    second = read_loans(table, take_census(table), KEY)
    after = dict(zip(second.record, second.part, strict=True))
    assert all(after[record] == part for record, part in zip(first.record, first.part, strict=True))


def test_equal_records_stay_on_one_side(tmp_path: Path) -> None:
    table = _table(tmp_path, pd.concat([sample_loans(), sample_loans()]))
    loans = read_loans(table, take_census(table), KEY)
    assert len(set(loans.record)) == 2400
    parts = pd.DataFrame({"group": loans.group, "part": loans.part}).groupby("group")["part"]
    assert (parts.size() % 2 == 0).all()
    assert parts.nunique().max() == 1


def test_on_private_data_later_approvals_never_train(tmp_path: Path) -> None:
    table = _table(tmp_path, later=pd.Timestamp("2007-01-01"))
    loans = read_loans(table, take_census(table), KEY)
    assert set(loans.part[loans.later]) == {"out-of-time", "left out"}
    assert "out-of-time" not in loans.part[~loans.later]


@pytest.mark.parametrize("borrower", [None, "borrower"])
def test_what_trains_under_one_day_is_tested_under_no_other(
    tmp_path: Path, borrower: str | None
) -> None:
    frame = sample_loans().assign(borrower=np.arange(1200) // 3)
    table = _table(tmp_path, frame, borrower=borrower)
    trained, seen = set(), set()
    for day in (None, "2004-01-01", "2007-01-01"):
        at = replace(table, later=None if day is None else pd.Timestamp(day))
        loans = read_loans(at, take_census(at), KEY)
        trained |= set(loans.record[loans.part == "train"])
        seen |= set(loans.record[~np.isin(loans.part, ["train", "left out"])])
    assert len(trained) > 700
    assert len(seen) > 200
    assert not trained & seen


def test_a_private_clients_public_number_does_not_depend_on_dates(tmp_path: Path) -> None:
    table = _table(tmp_path)
    whole = take_census(table)
    for last in ("2005-12-30", "2005-12-31"):
        window = (pd.Timestamp("2004-01-01"), pd.Timestamp(last))
        limited = replace(table, approved=window)
        assert take_census(limited) == whole
        assert 0 < len(read_loans(limited, whole, KEY).y) < 1200
        public = take_census(replace(limited, public=True))
        assert 0 < sum(public.sizes.values()) < 1200


@pytest.mark.parametrize("public", [False, True])
def test_dates_that_leave_nothing_are_refused(tmp_path: Path, public: bool) -> None:
    window = (pd.Timestamp("1904-01-01"), pd.Timestamp("1904-02-01"))
    table = replace(_table(tmp_path, approved=window), public=public)
    with pytest.raises(InputError, match="no record is left by the configured dates; widen"):
        read_loans(table, take_census(table), KEY)


def test_clients_cut_here_are_disjoint_and_public_in_size(tmp_path: Path) -> None:
    table = _table(tmp_path, lender=None, parts=4)
    census = take_census(table)
    assert census.sizes == {f"part {k}": 300 for k in range(1, 5)}
    loans = read_loans(table, census, KEY)
    assert set(loans.client) == set(census.sizes)
    assert len(loans.client) == 1200


def test_a_column_is_public_or_not_yet_known(tmp_path: Path) -> None:
    table = _table(tmp_path, bounds={"amount": (0, 5e6)}, categories={"purpose": ["car", "home"]})
    census = take_census(table)
    assert private_columns(table, census.columns) == ["income"]
    features = credit.describe_features(table, read_loans(table, census, KEY).frame)
    amount, income, purpose = features
    assert isinstance(amount, Numeric)
    assert amount.edges is not None
    assert income == Untyped("income")
    assert purpose == Categorical("purpose", ("car", "home"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"defaulted": [None, *[0, 1] * 599, 0]}, "target 'defaulted' is empty in 1 of 1200"),
        ({"defaulted": 1}, "target 'defaulted' only holds the positive value"),
        ({"defaulted": 0}, "target 'defaulted' never holds the positive value"),
        ({"amount": np.inf}, "infinite"),
        ({"income": np.nan}, "'income' holds no value"),
    ],
)
def test_what_a_file_may_not_hold_is_named(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    table = _table(tmp_path, sample_loans().assign(**change))
    with pytest.raises(InputError, match=message):
        read_loans(table, take_census(table), KEY)


def test_one_field_changes_how_no_other_is_read(tmp_path: Path) -> None:
    """Neither a type nor a part nor an id, in columns that are read for nothing too."""
    table = _table(tmp_path, sample_loans().assign(code="007", flag=True))
    whole = read_loans(table, take_census(table), KEY)
    frame = sample_loans().assign(code="007", flag=True).astype({"code": object, "flag": object})
    for column in ("income", "code", "flag", "purpose", "sex"):
        frame[column] = [*frame[column].tolist()[:-1], "3.50"]
    frame.to_csv(table.path, index=False)
    odd = read_loans(table, take_census(table), KEY)
    features = credit.describe_features(table, odd.frame)
    assert features == credit.describe_features(table, whole.frame)
    pd.testing.assert_frame_equal(odd.frame.iloc[:-1], whole.frame.iloc[:-1])
    for name in ("y", "client", "group", "record", "part"):
        assert (getattr(odd, name)[:-1] == getattr(whole, name)[:-1]).all(), name


def test_ids_of_private_records_agree_between_csv_and_parquet(tmp_path: Path) -> None:
    frame = sample_loans().assign(opened=pd.Timestamp("2001-02-03"), flag=True, count=3)
    table = _table(tmp_path, frame)
    first = read_loans(table, take_census(table), KEY)
    frame.to_parquet(tmp_path / "loans.parquet")
    other = replace(table, path=tmp_path / "loans.parquet")
    assert (first.record == read_loans(other, take_census(other), KEY).record).all()


def test_a_declared_type_is_taken_at_its_word(tmp_path: Path) -> None:
    table = _table(tmp_path, types={"income": "category", "purpose": "number", "amount": "number"})
    frame = sample_loans().astype({"purpose": object})
    frame.loc[0, "purpose"] = "7"
    frame.to_csv(table.path, index=False)
    found = credit.describe_features(table, read_loans(table, take_census(table), KEY).frame)
    assert found == [Numeric("amount"), Categorical("income"), Numeric("purpose")]


def test_of_a_borrower_who_could_train_nothing_is_tested_later(tmp_path: Path) -> None:
    """Which later loans are tested depends on no loan that trains."""
    frame = sample_loans().assign(borrower=np.arange(1200) // 3)
    table = _table(tmp_path, frame, borrower="borrower", later=pd.Timestamp("2007-01-01"))
    loans = read_loans(table, take_census(table), KEY)
    side = splits.assign(loans.group, credit.PARTS, KEY)
    assert set(loans.part[loans.later & (side == "test")]) == {"out-of-time"}
    assert set(loans.part[loans.later & (side != "test")]) == {"left out"}


OUTCOMES = ["paid", "late", "default", "?"]


def _outcomes(folder: Path, values: list[str], **keys: Any) -> tuple[LoanTable, np.ndarray]:
    outcome = np.random.default_rng(0).choice(values, 1200)
    frame = sample_loans().assign(defaulted=outcome)
    path = _table(folder, frame).path
    keys = {"lender": "bank", "exclude": frozenset({"approved"}), "positive": "default", **keys}
    return LoanTable(name="loans", path=path, target="defaulted", **keys), outcome


def test_a_third_value_of_the_outcome_is_not_taken_for_no_default(tmp_path: Path) -> None:
    public, _ = _outcomes(tmp_path, OUTCOMES[:3], public=True)
    with pytest.raises(InputError, match=r"'paid'.*: list every value .* target\.negative"):
        read_loans(public, take_census(public), KEY)
    private = replace(public, public=False)
    with pytest.raises(InputError, match="holds 3 different values in 1200") as refused:
        read_loans(private, take_census(private), KEY)
    assert "paid" not in str(refused.value)


def test_declared_values_of_the_outcome_are_what_they_are_declared(tmp_path: Path) -> None:
    keys: dict[str, Any] = {"public": False, "negative": ("paid", "late")}
    table, outcome = _outcomes(tmp_path, OUTCOMES[:3], **keys)
    loans = read_loans(table, take_census(table), KEY)
    assert (loans.y == (outcome == "default")).all()
    table, outcome = _outcomes(tmp_path, OUTCOMES, **keys)
    first = int(np.flatnonzero(outcome == "?")[0]) + 1
    with pytest.raises(InputError, match=f"the first other one is at record {first}"):
        read_loans(table, take_census(table), KEY)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"lender": "banque"}, "no column 'banque'"),
        ({"bounds": {"amout": (0, 1)}}, "no column 'amout'"),
    ],
)
def test_a_column_the_configuration_names_must_exist(
    tmp_path: Path, keys: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        take_census(_table(tmp_path, **keys))


def test_every_record_needs_its_client(tmp_path: Path) -> None:
    frame = sample_loans()
    frame.loc[5, "bank"] = None
    with pytest.raises(InputError, match="'bank' is empty in 1 of 1200 rows"):
        take_census(_table(tmp_path, frame))


def test_edges_follow_public_bounds() -> None:
    assert edges_between(0, 10) == pytest.approx(range(11))
    money = np.array(edges_between(0, 5_000_000))
    assert money[0] == 0
    assert money[-1] == pytest.approx(5_000_000)
    assert (np.diff(money)[1:] > np.diff(money)[:-1]).all()
    with pytest.raises(InputError, match="bounds"):
        edges_between(5, 5)
