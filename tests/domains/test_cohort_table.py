"""The table of a cohort by part: what it shows, and what it never shows of private records."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from domains.healthcare.cohort.features import fit_encoder
from domains.healthcare.cohort.table import (
    Line,
    apart_levels,
    apart_numbers,
    table_one,
)
from domains.healthcare.few import HIDDEN
from domains.healthcare.outcomes.codec import fit_codec
from domains.healthcare.patients import Cohort, read_cohort
from tests.domains.sample_patients import EVERY_KIND, patients_of_every_kind


def _cohort(count: int, seed: int) -> Cohort:
    return read_cohort(patients_of_every_kind(count, seed), EVERY_KIND, "f", patient="id")


def _table(parts: dict[str, Cohort], public: bool) -> list[Line]:
    training = parts["train"]
    codecs = {o.name: fit_codec(o, training.targets.values[o.name], public) for o in EVERY_KIND}
    encoder = fit_encoder(training.features, None if public else training.patients)
    return table_one(parts, encoder, codecs, public)


@pytest.fixture(scope="module")
def parts() -> dict[str, Cohort]:
    return {"train": _cohort(600, 0), "test": _cohort(200, 1)}


def test_public_cells_are_the_records_own_numbers(parts: dict[str, Cohort]) -> None:
    lines = {(line.name, line.level): line for line in _table(parts, public=True)}
    test = parts["test"]
    ages = np.quantile(test.features["age"], [0.5, 0.25, 0.75])
    cell = lines["age", ""].cells["test"]
    found = [float(number) for number in re.findall(r"[\d.]+", cell)]
    assert found == pytest.approx(ages.tolist(), rel=5e-3)
    surgery = (test.features["ward"] == "surgery").sum()
    assert lines["ward", "surgery"].cells["test"] == f"{surgery} ({surgery / 200:.1%})"
    smokers = test.features["smoker"].sum()
    assert lines["smoker", "1"].cells["test"] == f"{smokers} ({smokers / 200:.1%})"
    missing = test.features["lab"].isna().sum()
    assert lines["lab", "missing"].cells["test"] == f"{missing} ({missing / 200:.1%})"
    died = test.targets.values["death"]
    yes, of = int((died == 1).sum()), int((~np.isnan(died)).sum())
    assert lines["death", "yes"].cells["test"] == f"{yes} ({yes / of:.1%})"
    unknown = int(np.isnan(died).sum())
    assert lines["death", "missing"].cells["test"] == f"{unknown} ({unknown / 200:.1%})"
    assert {line.name for line in lines.values()} >= {outcome.name for outcome in EVERY_KIND}


def test_a_number_that_is_only_zero_is_no_yes_or_no() -> None:
    training = _cohort(200, 0)
    since = np.where(np.arange(200) % 2, 0.0, np.nan)
    changed = replace(training, features=training.features.assign(smoker=since))
    (line,) = (at for at in _table({"train": changed}, public=True) if at.name == "smoker"
               and at.level != "missing")  # fmt: skip
    assert line.level == ""
    assert line.cells["train"] == "0 [0, 0]"


def test_levels_of_a_column_and_its_missing_cells_are_all_records(
    parts: dict[str, Cohort],
) -> None:
    lines = _table(parts, public=True)
    for name in ("ward", "place", "grade"):
        counts = [int(line.cells["train"].split(" ")[0]) for line in lines if line.name == name]
        assert sum(counts) == 600


def test_of_private_records_nothing_is_told_of_fewer_than_five_patients() -> None:
    """Nor can it be found by subtraction: what is told is rounded to five."""
    training, test = _cohort(200, 0), _cohort(40, 1)
    rare = test.features["ward"].to_numpy().copy()
    rare[:] = "surgery"
    rare[:3] = "medicine"
    lab = np.full(len(test), np.nan)
    lab[:4] = 123.456
    test = Cohort(
        test.features.assign(ward=rare, lab=lab), test.targets, test.patients, test.records
    )
    lines = {(x.name, x.level): x for x in _table({"train": training, "test": test}, public=False)}
    assert lines["ward", "medicine"].cells["test"] == HIDDEN
    assert lines["ward", "surgery"].cells["test"] == "35 (88%)"
    assert lines["lab", ""].cells["test"] == "(too few)"
    assert lines["lab", ""].apart["test"] is None
    told = [cell for line in lines.values() if line.level for cell in line.cells.values()]
    assert all(cell == HIDDEN or int(cell.split(" ")[0]) % 5 == 0 for cell in told)
    assert "123" not in " ".join(cell for line in lines.values() for cell in line.cells.values())


def test_records_of_few_patients_are_few() -> None:
    """Twenty visits of four patients are not twenty patients."""
    test = _cohort(20, 1)
    test = Cohort(test.features, test.targets, np.repeat(list("abcd"), 5), test.records)
    lines = _table({"train": _cohort(200, 0), "test": test}, public=False)
    for line in lines:
        assert line.cells["test"] in (HIDDEN, "(too few)")


def test_parts_that_are_alike_are_not_apart_and_shifted_ones_are() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(0, 2, 4000), rng.normal(1, 2, 4000)
    assert apart_numbers(one, one) == 0
    assert apart_numbers(one, other) == pytest.approx(0.5, abs=0.05)
    assert apart_numbers(one, np.full(9, np.nan)) is None
    yes = np.repeat([0.0, 1.0], [60, 40])
    no = np.repeat([0.0, 1.0, np.nan], [50, 50, 7])
    spread = np.sqrt((0.4 * 0.6 + 0.5 * 0.5) / 2)
    assert apart_levels(yes, no) == pytest.approx(0.1 / spread)
    assert apart_levels(yes, yes) == 0
    assert apart_levels(yes, np.array([])) is None


def test_an_empty_column_of_a_part_is_a_dash(parts: dict[str, Cohort]) -> None:
    test = parts["test"]
    empty = test.features.assign(lab=np.nan, ward=None)
    moved = {**parts, "external": Cohort(empty, test.targets, test.patients, test.records)}
    lines = {(line.name, line.level): line for line in _table(moved, public=True)}
    assert lines["lab", ""].cells["external"] == "–"
    assert lines["ward", "surgery"].cells["external"] == "–"
    assert lines["ward", "missing"].cells["external"] == "200 (100.0%)"
    assert lines["ward", "surgery"].apart["external"] is None
