"""Calibration an outcome: planted faults are mended, promises are kept, few labels give none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binom

from domains.healthcare.outcomes.codec import Codec, fit_codec
from domains.healthcare.outcomes.spec import Outcome
from domains.metrics import auroc, ece
from models.calibration import probabilities
from models.multitask.calibrating import (
    LEAST,
    NONE,
    Calibrator,
    fit_calibrators,
    least_patients,
    round_up,
)

YES = {"death": Codec(Outcome("death", "binary", column="died"))}
PLACES = {"place": Codec(Outcome("place", "multiclass", column="c"), classes=("a", "b", "c"))}


def _fit(
    codecs: dict[str, Codec], z: np.ndarray, y: np.ndarray, coverage: float = 0.9
) -> Calibrator:
    (name,) = codecs
    patients = np.arange(len(y)).astype(str)
    found = fit_calibrators(codecs, {name: z}, {name: y.astype(float)}, patients, coverage)
    return found.get(name, NONE)


def _yes_or_no(count: int, seed: int, bend: bool) -> tuple[np.ndarray, np.ndarray]:
    """Log-odds three times too extreme, but where bent and above zero, four times too tame."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 1, count)
    y = (rng.random(count) < expit(truth)).astype(int)
    return np.where(bend & (truth > 0), truth / 4, 3 * truth)[:, None], y


def test_what_a_temperature_can_mend_keeps_a_temperature() -> None:
    z, y = _yes_or_no(4000, 0, bend=False)
    found = _fit(YES, z, y)
    assert found.method == "temperature"
    assert found.temperature == pytest.approx(3.0, rel=0.15)
    assert found.labels == 4000


def test_what_a_temperature_cannot_mend_is_bent_and_no_order_changes() -> None:
    found = _fit(YES, *_yes_or_no(2000, 1, bend=True))
    assert found.method == "isotonic"
    z, y = _yes_or_no(20_000, 2, bend=True)
    before, after = expit(z[:, 0]), probabilities(found.logits(z)[:, 0])
    heated = probabilities(z[:, 0], _fit(YES, *_yes_or_no(250, 1, bend=True)).temperature)
    assert ece(y, after) < 0.5 * ece(y, heated) < ece(y, before)
    assert auroc(y, after) == auroc(y, before)


def test_fewer_records_than_stated_never_bend() -> None:
    for seed in range(5):
        assert _fit(YES, *_yes_or_no(299, seed, bend=True)).method == "temperature"


def test_a_choice_that_makes_no_difference_is_seldom_isotonic() -> None:
    """True log-odds: isotonic can win by noise alone; a one-sided 16 % at most, here of 40."""
    bent = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        z = rng.normal(0, 1.5, 600)
        y = (rng.random(600) < expit(z)).astype(int)
        bent += _fit(YES, z[:, None], y).method == "isotonic"
    assert bent <= binom.ppf(0.999, 40, 0.16)


def test_classes_are_bent_each_against_the_rest() -> None:
    rng = np.random.default_rng(4)
    truth = rng.normal(0, 1, (6000, 3))
    p = probabilities(truth)
    y = np.array([rng.choice(3, p=each) for each in p])
    z = truth + np.array([2.0, 0.0, -1.0])  # one class said too often: no temperature mends that
    found = _fit(PLACES, z[:3000], y[:3000])
    assert found.method == "isotonic"
    after = probabilities(found.logits(z[3000:]))
    assert after.sum(axis=1) == pytest.approx(np.ones(3000))
    assert np.abs(after - p[3000:]).mean() < 0.3 * np.abs(probabilities(z[3000:]) - p[3000:]).mean()


def _amounts(codec: Codec, patients: int, each: int, seed: int) -> tuple[np.ndarray, ...]:
    """Answers and encoded truths of patients whose records err alike; errors are skewed."""
    rng = np.random.default_rng(seed)
    own = rng.gumbel(size=patients).repeat(each)
    answer = rng.normal(size=patients * each)
    if codec.outcome.kind == "count":
        rate = np.exp(answer)
        mean = np.exp(codec.center)
        return answer, rng.poisson(rate * mean * np.exp(0.3 * own)) / mean, rate
    return answer, answer + own, own


KINDS = {
    "plain": fit_codec(Outcome("x", "regression", column="x"), np.arange(10.0)),
    "log": fit_codec(Outcome("x", "regression", column="x", transform="log1p"), np.arange(10.0)),
    "count": fit_codec(Outcome("x", "count", column="x"), np.arange(10.0)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("each", [1, 5])
def test_new_patients_lie_within_bounds_as_often_as_promised(kind: str, each: int) -> None:
    """Over 60 calibrations of 100 patients and one new patient's records each, 10 tries a time.

    The share covered is at least 90 %, but for noise: 600 patients, false alarm below 1 in 1,000.
    """
    codec, covered, patients = KINDS[kind], [], 100
    for seed in range(60):
        answer, y, _ = _amounts(codec, patients, each, seed)
        ids = np.arange(patients).repeat(each)
        found = fit_calibrators({"x": codec}, {"x": answer[:, None]}, {"x": y}, ids, 0.9)["x"]
        answer, y, _ = _amounts(codec, 10, each, seed + 1000)
        low, high = found.bounds(codec, answer).T
        truth = _natural(codec, y)
        inside = (low <= truth + 1e-9) & (truth - 1e-9 <= high)
        covered.append(inside.reshape(10, each).mean(axis=1))
    share = float(np.mean(covered))
    assert share > 0.9 - 3.1 * np.std(covered) / np.sqrt(600)
    assert share < 0.98


def _natural(codec: Codec, y: np.ndarray) -> np.ndarray:
    if codec.outcome.kind == "count":
        return y * np.exp(codec.center)
    return codec.decode(y)[:, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_bounds_hold_the_answer_between_them_and_mean_something(kind: str) -> None:
    codec = KINDS[kind]
    answer, y, _ = _amounts(codec, 200, 1, 0)
    found = _fit({"x": codec}, answer[:, None], y)
    low, high = found.bounds(codec, answer).T
    natural = codec.decode(answer)[:, 0]
    assert found.columns(codec) == ("x.low", "x.high")
    natural = natural if kind == "plain" else np.maximum(natural, 0.0)
    assert (np.floor(low) <= natural).all()
    assert (natural <= np.ceil(high + 1)).all()
    if kind == "count":
        assert (low == low.round()).all()
        assert (high == high.round()).all()
    if kind != "plain":
        assert (low >= 0).all()


def test_a_count_of_patients_and_not_of_records_decides_whether_there_is_anything() -> None:
    codec = KINDS["plain"]
    for coverage in (0.9, 0.95):
        enough = least_patients(coverage)
        for patients, there in ((enough, True), (enough - 1, False)):
            answer, y, _ = _amounts(codec, patients, 20, 0)
            ids = np.arange(patients).repeat(20)
            found = fit_calibrators({"x": codec}, {"x": answer[:, None]}, {"x": y}, ids, coverage)
            assert bool(found) == there
    z, y = _yes_or_no(LEAST - 1, 0, bend=False)
    assert _fit(YES, z, y) is NONE


STEPS = {
    "survival": Codec(
        Outcome("x", "survival", time="t", event="e"), cuts=tuple(range(1, 9)), horizons=(8.0,)
    ),
    "ordinal": Codec(Outcome("x", "ordinal", column="x"), classes=tuple("abcdefghi")),
}


def _stopping(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """True log-odds of stopping at each of eight steps, and where records did; a third of those
    that passed half of the steps are lost there."""
    rng = np.random.default_rng(seed)
    truth = rng.normal(-2.0, 1.0, (count, 1)) + np.linspace(0, 1, 8)
    stops = rng.random((count, 8)) < expit(truth)
    passed = np.where(stops.any(axis=1), stops.argmax(axis=1), 8)
    lost = (passed >= 4) & (rng.random(count) < 1 / 3)
    stopped = np.where(lost, 0.0, stops.any(axis=1))
    return truth, np.column_stack([np.where(lost, 4.0, passed), stopped])


@pytest.mark.parametrize("kind", STEPS)
def test_hazards_that_are_too_extreme_and_too_low_are_mended(kind: str) -> None:
    codec = STEPS[kind]
    truth, y = _stopping(3000, 0)
    found = _fit({"x": codec}, 2 * truth - 1.0, y)
    assert found.temperature == pytest.approx(2.0, rel=0.1)
    assert found.shift == pytest.approx(0.5, abs=0.15)
    truth, _ = _stopping(5000, 1)
    free = codec.decode(expit(truth))[:, -1]
    before = codec.decode(expit(2 * truth - 1.0))[:, -1]
    after = codec.decode(expit(found.logits(2 * truth - 1.0)))[:, -1]
    assert np.abs(after - free).mean() < 0.1 * np.abs(before - free).mean()


@pytest.mark.parametrize("kind", STEPS)
def test_true_hazards_stay_as_they_are(kind: str) -> None:
    truth, y = _stopping(3000, 2)
    found = _fit({"x": STEPS[kind]}, truth, y)
    assert found.temperature == pytest.approx(1.0, abs=0.1)
    assert found.shift == pytest.approx(0.0, abs=0.1)


def test_what_a_shift_mends_no_temperature_does() -> None:
    """True log-odds of a rare yes, raised by one."""
    rng = np.random.default_rng(3)
    truth = rng.normal(-3, 1, 6000)
    y = (rng.random(6000) < expit(truth)).astype(int)
    found = _fit(YES, truth[:3000, None] + 1, y[:3000])
    said = probabilities(found.logits(truth[3000:, None] + 1)[:, 0])
    assert said.mean() == pytest.approx(expit(truth[3000:]).mean(), rel=0.15)
    assert found.temperature == pytest.approx(1.0, abs=0.15)


def test_a_handful_of_events_moves_little() -> None:
    """Four yes among 800 where twelve were expected: the records' rate alone asks for a third."""
    rng = np.random.default_rng(4)
    z = rng.normal(-4.5, 0.8, 800)
    y = np.zeros(800, dtype=int)
    y[np.argsort(-z)[[3, 40, 120, 400]]] = 1
    found = _fit(YES, z[:, None], y)
    assert abs(found.shift) < 0.5
    assert 0.7 < found.temperature < 1.4


def test_a_package_without_a_shift_is_read_as_before() -> None:
    found = Calibrator.from_json({"method": "temperature", "temperature": 2.0, "labels": 40})
    assert found.logits(np.array([[3.0]])) == pytest.approx(1.5)
    assert Calibrator.from_json(found.to_json()) == found


def test_unlabelled_records_have_no_say() -> None:
    z, y = _yes_or_no(400, 0, bend=False)
    masked = np.r_[y.astype(float), np.full(500, np.nan)]
    more = np.r_[z, np.full((500, 1), 30.0)]
    assert _fit(YES, more, masked) == _fit(YES, z, y)


def test_every_method_is_read_back_as_it_was() -> None:
    answer, y, _ = _amounts(KINDS["plain"], 100, 1, 0)
    made = [
        _fit(YES, *_yes_or_no(250, 0, bend=False)),
        _fit(YES, *_yes_or_no(2000, 1, bend=True)),
        _fit({"x": KINDS["plain"]}, answer[:, None], y),
    ]
    assert {each.method for each in made} == {"temperature", "isotonic", "conformal"}
    for each in made:
        assert Calibrator.from_json(each.to_json()) == each


def test_bounds_have_three_digits_and_lie_outwards() -> None:
    rng = np.random.default_rng(0)
    for value in rng.normal(0, 100, 200):
        up = round_up(float(value))
        assert value <= up <= value + abs(value) * 0.0101
        assert float(f"{up:.3g}") == up
