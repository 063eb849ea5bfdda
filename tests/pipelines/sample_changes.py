"""Loans of borrowers who come back, and changes of one training record."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from domains import splits
from domains.banking.census import LoanTable, take_census
from domains.banking.credit import PARTS, read_loans
from tests.domains.sample_loans import sample_loans

KEY = bytes(range(32))


def loans() -> pd.DataFrame:
    rng = np.random.default_rng(8)
    frame = sample_loans(900)
    frame["loan"] = np.arange(len(frame)) + 10_000
    frame["borrower"] = rng.integers(500, 1_000, len(frame))
    frame["age"] = rng.integers(18, 90, len(frame))
    frame["region"] = rng.choice(["east", "west", "north"], len(frame))
    frame["insured"] = rng.random(len(frame)) < 0.5
    return frame


def trained_record(frame: pd.DataFrame) -> int:
    """A row that trains, whatever its content, because its borrower and its day say so; its
    borrower has no other."""
    alone = frame.groupby("borrower")["loan"].transform("size") == 1
    rows = (_parts(frame) == "train") & ~_later(frame) & frame["income"].notna() & alone
    return int(np.flatnonzero(rows)[5])


def _parts(frame: pd.DataFrame) -> np.ndarray:
    return splits.assign(frame["borrower"], PARTS, splits.split_key(0, KEY))


def _later(frame: pd.DataFrame) -> pd.Series:
    return frame["approved"] >= pd.Timestamp("2007-01-01")


def only_later(frame: pd.DataFrame) -> int:
    """A borrower on the side that trains, all of whose loans came too late for it."""
    too_late = _later(frame).groupby(frame["borrower"]).transform("all")
    return int(frame["borrower"][too_late & (_parts(frame) == "train")].iloc[0])


def other_values(frame: pd.DataFrame, row: int) -> None:
    """Another outcome and other features, of other types than the column had: its first fraction,
    its first empty field, the largest number in it."""
    record: Any = frame.iloc[row]
    put(
        frame,
        row,
        defaulted=1 - record["defaulted"],
        amount=987_654.0,
        income=0.5,
        age=35.5,
        purpose="home" if record["purpose"] != "home" else "car",
        region="west" if record["region"] != "west" else "east",
        insured=None,
        sex="f" if record["sex"] == "m" else "m",
    )


def words_for_numbers(frame: pd.DataFrame, row: int) -> None:
    """Text where the column had numbers and numbers where it had text, in columns that are read for
    nothing too. (A new value of a list that is read is kept from it by chance alone: see there.)"""
    words: dict[str, Any] = dict.fromkeys(("amount", "income", "age", "loan"), "unknown")
    put(frame, row, **words, region="3", insured="TRUE", sex="7.50")


def another_borrower(frame: pd.DataFrame, row: int) -> None:
    """The loan of somebody whose later ones could be tested, were it not for this one."""
    put(frame, row, borrower=only_later(frame))


def another_day(frame: pd.DataFrame, row: int) -> None:
    """The loan as one that came too late to train."""
    put(frame, row, approved=pd.Timestamp("2008-03-04"))


def another_content(frame: pd.DataFrame) -> None:
    """Other values in a record that trains by its content, before and after."""
    parts = _parts_by_content(frame)
    row = int(np.flatnonzero((parts == "train") & ~_later(frame) & frame["income"].notna())[5])
    for amount in range(900_000, 900_100):
        other_values(frame, row)
        put(frame, row, amount=float(amount))
        if _parts_by_content(frame)[row] == "train":
            return
    raise AssertionError("no content that trains")


def _parts_by_content(frame: pd.DataFrame) -> np.ndarray:
    """As a file of these loans without an id is split."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "loans.csv"
        frame.to_csv(path, index=False)
        table = LoanTable("loans", path, False, "defaulted", 1, lender="bank", date="approved")
        return read_loans(table, take_census(table), splits.split_key(0, KEY)).part


def put(frame: pd.DataFrame, row: int, **values: Any) -> None:
    """Other cells in one row, whatever type the column had."""
    for column, value in values.items():
        cells = frame[column].tolist()
        cells[row] = value
        frame[column] = pd.Series(cells, dtype=object)
