"""Outcome columns become masked targets, or one clear line says why not."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from domains.errors import InputError
from domains.healthcare.outcomes.codec import Codec, fit_codec
from domains.healthcare.outcomes.spec import Outcome
from domains.healthcare.outcomes.targets import known, read_targets
from tests.domains.sample_patients import OUTCOMES, sample_patients


def _one(outcome: Outcome, **columns: list[object]) -> np.ndarray:
    return read_targets(pd.DataFrame(columns), [outcome], "file.csv").values[outcome.name]


def test_missing_labels_are_masked_one_outcome_at_a_time() -> None:
    frame = sample_patients(200)
    targets = read_targets(frame, OUTCOMES, "file.csv")
    expected = np.column_stack(
        [frame.died.notna(), np.ones(200, bool), frame.days != -1, np.ones(200, bool)]
    )
    assert np.array_equal(targets.mask, expected)
    assert targets.take(np.array([3, 1])).mask.tolist() == expected[[3, 1]].tolist()


@pytest.mark.parametrize(
    ("positive", "cells"),
    [
        ((), [1, 0, None, 1]),
        (("yes",), ["yes", "no", None, " yes "]),
        ((2, 3), [2, 1, None, 3.0]),
        ((2,), ["2", "1", None, "2.0"]),
        ((), [True, False, None, True]),
    ],
)
def test_the_same_yes_and_no_however_a_file_spells_them(
    positive: tuple[str | int, ...], cells: list[object]
) -> None:
    values = _one(Outcome("o", "binary", column="c", positive=positive), c=cells)
    assert np.array_equal(values, [1, 0, np.nan, 1], equal_nan=True)


def test_codes_for_unknown_are_no_label() -> None:
    values = _one(Outcome("o", "binary", column="c", positive=(1,), missing=(9,)), c=[1, 2, 9])
    assert np.array_equal(values, [1, 0, np.nan], equal_nan=True)


GRADE = Outcome("o", "ordinal", column="c", levels=("low", "high"))
FALLS = Outcome("o", "count", column="c")
BINARY = Outcome("o", "binary", column="c")
AMOUNT = Outcome("o", "regression", column="c", transform="log1p")
TIME = Outcome("o", "survival", time="t", event="e")


@pytest.mark.parametrize(
    ("outcome", "columns", "said"),
    [
        (BINARY, {"c": [None, None]}, "none of the 2 records has a label"),
        (GRADE, {"c": ["low", "hgh"]}, "1 cell.s. hold none of the levels, the first in row 2"),
        (replace(GRADE, levels=()), {"c": ["low", "2"]}, "the order of low is not known"),
        (GRADE, {"c": ["low", None]}, "one class only in 1 labelled"),
        (FALLS, {"c": [1, -2]}, "1 value.s. are no counts, the first in row 2 .negative"),
        (FALLS, {"c": [0.5, 2]}, "1 value.s. are no counts, the first in row 1 .a fraction"),
        (FALLS, {"c": [2, 2]}, "one value only in 2 labelled"),
        (BINARY, {"c": [1, 1, None]}, "one class only in 2 labelled records"),
        (BINARY, {"c": [1, 2, 9]}, "expected 0 and 1, found 1, 2, 9"),
        (replace(BINARY, positive=(True,)), {"c": ["yes", "no"]}, "quote it"),
        (replace(BINARY, kind="multiclass"), {"c": ["a", "a"]}, "one class only"),
        (replace(BINARY, kind="multiclass"), {"c": [f"p{k}" for k in range(99)]}, "99 classes"),
        (AMOUNT, {"c": [1.0, "many", 2.0]}, "row 2 holds text, expected a number"),
        (AMOUNT, {"c": [1.0, 2.0, -1.0]}, "the first in row 3, where log1p expects 0 or more"),
        (AMOUNT, {"c": [4.0, 4.0]}, "one value only in 2"),
        (TIME, {"t": [3.0, 0.0], "e": [1, 0]}, "column t not above 0, the first in row 2"),
        (TIME, {"t": [-3.0, 1.0], "e": [1, 0]}, r"row 1 \(negative\)"),
        (TIME, {"t": [3.0, None], "e": [0, 1]}, "without a time in column t, the first in row 2"),
        (TIME, {"t": [3.0, 4.0], "e": [0, 0]}, "no event in 2 records"),
        (replace(TIME, horizons=(9.0,)), {"t": [3.0, 4.0], "e": [1, 0]}, "beyond the longest"),
    ],
)
def test_bad_targets_are_one_line_that_names_outcome_and_column(
    outcome: Outcome, columns: dict[str, list[object]], said: str
) -> None:
    with pytest.raises(InputError, match=said) as raised:
        _one(outcome, **columns)
    message = str(raised.value)
    assert message.startswith("file.csv: outcome o")
    assert "\n" not in message


def test_records_that_only_judge_need_not_differ() -> None:
    frame = pd.DataFrame({"c": [1, 1], "t": [3.0, 4.0], "e": [0, 0]})
    outcomes = [BINARY, replace(TIME, name="s", horizons=(9.0,))]
    assert read_targets(frame, outcomes, "file.csv", learn=False).mask.all()


def test_an_identifier_taken_for_an_outcome_is_not_repeated_in_the_message() -> None:
    names: list[object] = [f"Jane Doe {k}" for k in range(60)]
    for kind in ("binary", "multiclass"):
        with pytest.raises(InputError) as raised:
            _one(replace(BINARY, kind=kind), c=names)
        assert "Jane" not in str(raised.value)


@pytest.mark.parametrize("outcome", OUTCOMES, ids=lambda outcome: outcome.name)
def test_codecs_survive_json(outcome: Outcome) -> None:
    values = read_targets(sample_patients(), [outcome], "f").values[outcome.name]
    codec = fit_codec(outcome, values)
    assert Codec.from_json(codec.to_json()) == codec
    assert np.array_equal(known(codec.encode(values)), known(values))


def test_back_transform_undoes_the_transform() -> None:
    values = np.array([0.0, 3.0, 500.0, np.nan])
    codec = fit_codec(AMOUNT, values)
    encoded = codec.encode(values)
    assert np.allclose(codec.decode(encoded[:3])[:, 0], values[:3])
    assert np.nanmean(encoded) == pytest.approx(0.0)
    assert np.nanstd(encoded) == pytest.approx(1.0)


def test_a_class_that_training_never_saw_is_masked() -> None:
    codec = fit_codec(replace(BINARY, kind="multiclass"), np.array(["10", "9", None], dtype=object))
    assert codec.classes == ("9", "10")
    assert np.array_equal(
        codec.encode(np.array(["10", "11", None], dtype=object)),
        [1, np.nan, np.nan],
        equal_nan=True,
    )


def test_hazards_of_the_true_intervals_give_back_kaplan_meier() -> None:
    rng = np.random.default_rng(0)
    time, event = rng.integers(1, 9, 400).astype(float), np.ones(400)
    codec = fit_codec(replace(TIME, horizons=(4.0,)), np.column_stack([time, event]))
    encoded = codec.encode(np.column_stack([time, event]))
    survived, happened = encoded.T
    hazards = [
        ((survived == k) & (happened == 1)).sum() / (survived + happened > k).sum()
        for k in range(codec.size)
    ]
    answers = codec.decode(np.array([hazards]))
    assert codec.columns == ("o.risk", "o.at_4")
    assert answers[0, 1] == pytest.approx((time > 4).mean())


def test_larger_hazards_mean_larger_risk_and_less_survival() -> None:
    codec = fit_codec(TIME, np.column_stack([np.arange(1.0, 50), np.ones(49)]))
    low, high = codec.decode(np.array([np.full(codec.size, 0.05), np.full(codec.size, 0.2)]))
    assert high[0] > low[0]
    assert (high[1:] < low[1:]).all()
    assert ((low >= 0) & (low <= 1)).all()


def test_private_event_times_are_rounded_and_the_last_ones_left_out() -> None:
    time = np.random.default_rng(0).exponential(100, 400)
    values = np.column_stack([time, np.ones(400)])
    private = fit_codec(TIME, values, public=False)
    assert all(float(f"{cut:.3g}") == cut for cut in private.cuts)
    assert private.cuts[-1] < np.sort(time)[-5]
    assert fit_codec(TIME, values).cuts[-1] == time.max()


def test_censoring_past_the_middle_of_an_interval_counts_as_surviving_it() -> None:
    codec = Codec(TIME, cuts=(10.0, 20.0))
    values = np.array([[4.0, 0], [6.0, 0], [4.0, 1], [10.0, 1], [15.0, 1], [99.0, 0], [99.0, 1]])
    assert codec.encode(values).tolist() == [
        [0, 0], [1, 0], [0, 1], [0, 1], [1, 1], [2, 0], [2, 0],
    ]  # fmt: skip


def test_levels_are_passed_one_by_one() -> None:
    values = _one(Outcome("o", "ordinal", column="c"), c=[10, 2, None, 1, 2])
    codec = fit_codec(Outcome("o", "ordinal", column="c"), values)
    assert codec.classes == ("1", "2", "10")
    assert codec.columns == ("o.expected", "o.1", "o.2", "o.10")
    expected = np.array([[2, 0], [1, 1], [np.nan, np.nan], [0, 1], [1, 1]])
    assert np.array_equal(codec.encode(values), expected, equal_nan=True)
    assert Codec.from_json(codec.to_json()) == codec


def test_counts_are_learned_over_their_mean_and_come_back_as_counts() -> None:
    values = _one(FALLS, c=[0, 4, None, 2])
    codec = fit_codec(FALLS, values)
    assert np.allclose(codec.encode(values), [0, 2, np.nan, 1], equal_nan=True)
    assert codec.decode(np.array([0.0, np.log(2.0)]))[:, 0].tolist() == pytest.approx([2.0, 4.0])
