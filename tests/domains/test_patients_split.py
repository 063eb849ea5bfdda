"""Splits by site and by time hold out whole sites or the latest records, never half a patient."""

from datetime import date

import numpy as np
import pandas as pd
import pytest

from domains.errors import InputError
from domains.healthcare.cohort.split import LEFT_OUT, Divided, Rule, divide

SHARES = {"train": 0.62, "validation": 0.10, "calibration": 0.08, "test": 0.20}
KEY = b"key"
RNG = np.random.default_rng(0)
PATIENTS = np.array([f"p{k}" for k in RNG.integers(0, 300, 900)], dtype=object)
SITES = pd.Series(RNG.choice(["north", "south", "east", "west"], 900), name="site")
TIMES = pd.Series(RNG.uniform(0, 100, 900), name="when")


def _divide(marks: pd.Series, rule: Rule) -> Divided:
    return divide(PATIENTS, marks, rule, SHARES, KEY, "file.csv")


@pytest.mark.parametrize(
    ("marks", "rule"),
    [
        (SITES, Rule("site")),
        (SITES, Rule("site", ("east", "west"))),
        (TIMES, Rule("time")),
        (TIMES, Rule("time", test_from=70.0)),
        (pd.Timestamp("2020-01-01") + pd.to_timedelta(TIMES, "D"), Rule("time")),
    ],
)
def test_no_patient_stands_in_two_parts_and_the_order_moves_nobody(
    marks: pd.Series, rule: Rule
) -> None:
    divided = _divide(marks, rule)
    used = pd.DataFrame({"patient": PATIENTS, "part": divided.parts})
    used = used[used["part"] != LEFT_OUT]
    assert set(used["part"]) == set(SHARES)
    assert (used.groupby("patient")["part"].nunique() == 1).all()
    order = np.random.default_rng(1).permutation(900)
    again = divide(PATIENTS[order], marks.iloc[order], rule, SHARES, KEY, "file.csv")
    assert again.parts.tolist() == divided.parts[order].tolist()
    assert again.facts == divided.facts


def test_named_sites_are_tested_whole_and_no_others() -> None:
    parts = _divide(SITES, Rule("site", ("east",))).parts
    assert ((parts == "test") == (SITES == "east").to_numpy()).all()


def test_sites_may_be_numbers() -> None:
    numbered = SITES.map({"north": 1.0, "south": 2.0, "east": 3.0, "west": 4.0})
    parts = _divide(numbered, Rule("site", ("3",))).parts
    assert parts.tolist() == _divide(SITES, Rule("site", ("east",))).parts.tolist()


def test_drawn_sites_are_tested_whole() -> None:
    divided = _divide(SITES, Rule("site"))
    assert divided.facts
    assert set(SITES[divided.parts == "test"]) == set(divided.facts)
    assert not set(SITES[divided.parts == "train"]) & set(divided.facts)


def test_records_from_a_time_on_are_tested_and_patients_parted_by_it_leave() -> None:
    divided = _divide(TIMES, Rule("time", test_from=70.0))
    assert ((divided.parts == "test") == (TIMES >= 70).to_numpy()).all()
    torn = np.isin(PATIENTS, PATIENTS[TIMES >= 70]) & (TIMES < 70).to_numpy()
    assert ((divided.parts == LEFT_OUT) == torn).all()
    assert f"{torn.sum()} record(s) were left out" in divided.notes[1]


def test_days_may_be_dates_or_text() -> None:
    days = pd.Timestamp("2020-01-01") + pd.to_timedelta(TIMES.round(), "D")
    rule = Rule("time", test_from=date(2020, 3, 1))
    text = days.dt.strftime("%Y-%m-%d").rename("when")
    assert _divide(days, rule).parts.tolist() == _divide(text, rule).parts.tolist()
    assert (_divide(days, rule).parts == "test").sum() == (days >= pd.Timestamp("2020-03-01")).sum()


@pytest.mark.parametrize(
    ("marks", "rule", "said"),
    [
        (SITES, Rule("site", ("esat",)), "test_sites names 'esat'.* there are 4 sites"),
        (SITES.where(SITES.index > 0), Rule("site"), "site column site is empty in 1 row"),
        (SITES.mask(SITES != "east", "east"), Rule("site"), "all records are of one site"),
        (SITES.rename("when"), Rule("time"), r"time column when, row 1: no time \(900 such"),
        (TIMES, Rule("time", test_from=date(2020, 1, 1)), "holds numbers, and data.test_from"),
    ],
)
def test_what_cannot_be_split_by_is_one_line(marks: pd.Series, rule: Rule, said: str) -> None:
    with pytest.raises(InputError, match=said) as raised:
        _divide(marks, rule)
    assert str(raised.value).startswith("file.csv: ")
    assert "\n" not in str(raised.value)
