"""Metrics of mixed kinds: masked labels do not count, and models are compared in pairs."""

import numpy as np
import pandas as pd
import pytest

from domains.healthcare.outcomes.codec import Codec, fit_codec
from domains.healthcare.outcomes.scores import MEAN, compare, scores
from domains.healthcare.outcomes.spec import Kind, Outcome
from domains.healthcare.outcomes.targets import Targets, known, read_targets
from tests.domains.sample_patients import OUTCOMES, sample_patients


@pytest.fixture(scope="module")
def codecs_and_targets() -> tuple[dict[str, Codec], Targets]:
    targets = read_targets(sample_patients(400), OUTCOMES, "f")
    return {o.name: fit_codec(o, targets.values[o.name]) for o in OUTCOMES}, targets


def _predictions(codecs: dict[str, Codec], targets: Targets, noise: float) -> pd.DataFrame:
    """The truth blurred; nonsense where there is no label."""
    rng = np.random.default_rng(1)
    n = len(targets.mask)
    died = np.nan_to_num(targets.values["death"], nan=0.5)
    place = targets.values["place"]
    time = targets.values["survival"][:, 0]
    frame = {
        "death": np.clip(died + rng.normal(0, noise, n), 0, 1),
        "stay": np.expm1(np.log1p(np.nan_to_num(targets.values["stay"])) + rng.normal(0, noise, n)),
        "survival.risk": -time + rng.normal(0, noise, n),
        "survival.at_5": np.ones(n),
        "survival.at_20": np.ones(n),
    }
    classes = codecs["place"].classes
    likely = np.exp([3.0 * (place == label) + rng.normal(0, noise, n) for label in classes])
    frame |= {f"place.{k}": p for k, p in zip(classes, likely / likely.sum(axis=0), strict=True)}
    return pd.DataFrame(frame)


def test_every_kind_has_its_metric_and_perfect_answers_are_perfect(
    codecs_and_targets: tuple[dict[str, Codec], Targets],
) -> None:
    codecs, targets = codecs_and_targets
    found = scores(codecs, targets, _predictions(codecs, targets, 0.0))
    values = {key: score(None) for key, score in found.items()}
    assert set(values) == {
        *("death.auroc", "death.ece", "death.average_precision", "place.auroc", "place.ece"),
        *("stay.r2", "survival.cindex"),
    }
    ranks = ("death.auroc", "death.average_precision", "place.auroc", "survival.cindex")
    for key in (*ranks, "stay.r2"):
        assert values[key] == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["multiclass", "ordinal"])
def test_classes_that_are_called_low_and_high_are_no_bounds(kind: Kind) -> None:
    names = np.array(["low", "medium", "high"], dtype=object)[np.arange(90) % 3]
    outcome = Outcome("grade", kind, column="grade", levels=("low", "medium", "high"))
    codec = fit_codec(outcome, names)
    p = np.random.default_rng(0).dirichlet(np.ones(3), size=90)
    answers = p if kind == "multiclass" else p[:, :2]
    frame = pd.DataFrame(codec.decode(answers), columns=list(codec.columns))
    found = scores({"grade": codec}, Targets((outcome,), {"grade": names}), frame)
    assert f"grade.{outcome.metric}" in found
    assert "grade.coverage" not in found


def test_a_weight_of_two_is_a_record_twice(
    codecs_and_targets: tuple[dict[str, Codec], Targets],
) -> None:
    codecs, targets = codecs_and_targets
    frame = _predictions(codecs, targets, 1.0)
    weight = np.r_[np.full(100, 2.0), np.ones(300)]
    rows = np.r_[np.arange(100), np.arange(400)]
    weighted = scores(codecs, targets, frame)
    doubled = scores(codecs, targets.take(rows), frame.take(rows.tolist()))
    for key, score in weighted.items():
        assert score(weight) == pytest.approx(doubled[key](None))


def test_mean_is_over_the_ranked_outcomes_and_differences_are_paired(
    codecs_and_targets: tuple[dict[str, Codec], Targets],
) -> None:
    codecs, targets = codecs_and_targets
    models = {
        name: scores(codecs, targets, _predictions(codecs, targets, noise))
        for name, noise in {"good": 1.0, "same": 1.0, "bad": 3.0}.items()
    }
    patients = np.repeat(np.arange(200), 2)
    found = compare(models, patients, repeats=50, seed=0)
    keys = ("death.auroc", "place.auroc", "survival.cindex")
    ranked = [found.values["good"][key] for key in keys]
    assert found.values["good"][MEAN] == pytest.approx(np.mean(ranked))
    same = found.difference("good", "same", MEAN)
    assert (same.low, same.value, same.high) == (0, 0, 0)
    assert found.difference("good", "bad", MEAN).low > 0
    assert compare(models, patients, repeats=50, seed=0).draws["bad"][MEAN].tolist() == (
        found.draws["bad"][MEAN].tolist()
    )


def test_a_class_absent_from_the_records_leaves_its_metric_out(
    codecs_and_targets: tuple[dict[str, Codec], Targets],
) -> None:
    codecs, targets = codecs_and_targets
    rows = np.flatnonzero(targets.values["death"] == 0)
    frame = _predictions(codecs, targets, 1.0).take(rows.tolist())
    found = compare({"m": scores(codecs, targets.take(rows), frame)}, rows, repeats=5, seed=0)
    assert "death.auroc" not in found.values["m"]
    assert "stay.r2" in found.values["m"]


def test_a_model_that_lacks_metrics_takes_anothers_and_has_its_own_mean(
    codecs_and_targets: tuple[dict[str, Codec], Targets],
) -> None:
    codecs, targets = codecs_and_targets
    good, bad = (scores(codecs, targets, _predictions(codecs, targets, n)) for n in (0.5, 3.0))
    patients = np.arange(400)
    some = {key: score for key, score in bad.items() if key.startswith("death.")}
    mixed = compare({"good": good, "mixed": some}, patients, 20, 0).completed("mixed", "good")
    whole = compare({"good": good, "mixed": {**good, **some}}, patients, 20, 0)
    assert mixed.values == whole.values
    assert np.array_equal(mixed.draws["mixed"][MEAN], whole.draws["mixed"][MEAN])
    assert mixed.completed("none", "good").values["none"] == mixed.values["good"]
    assert mixed.values["mixed"][MEAN] < mixed.values["good"][MEAN]


def test_resamples_that_draw_no_label_of_an_outcome_are_left_out_for_it(
    codecs_and_targets: tuple[dict[str, Codec], Targets],
) -> None:
    """Three labels among 400 records: one resample in twenty has none of them."""
    codecs, targets = codecs_and_targets
    values = {name: held.copy() for name, held in targets.values.items()}
    values["stay"][np.flatnonzero(known(values["stay"]))[3:]] = np.nan
    few = Targets(targets.outcomes, values)
    found = scores(codecs, few, _predictions(codecs, few, 0.5))
    compared = compare({"one": found}, np.arange(400).astype(str), 200, 0)
    draws = compared.draws["one"]["stay.r2"]
    assert 0 < np.isnan(draws).sum() < 100
    assert np.isfinite(compared.draws["one"]["death.auroc"]).all()
    assert np.isfinite(compared.interval("one", "stay.r2").low)


def test_two_flawless_models_may_be_told_apart_by_further_records(
    codecs_and_targets: tuple[dict[str, Codec], Targets],
) -> None:
    codecs, targets = codecs_and_targets
    few = np.r_[
        np.flatnonzero(targets.values["death"] == 1)[:3],
        np.flatnonzero(targets.values["death"] == 0)[:20],
    ]
    models = {
        name: {
            key: score
            for key, score in scores(
                codecs, targets.take(few), _predictions(codecs, targets, noise).take(few.tolist())
            ).items()
            if key == "death.auroc"
        }
        for name, noise in {"one": 0.001, "other": 0.002}.items()
    }
    found = compare(models, few, repeats=50, seed=0)
    between = found.difference("one", "other", "death.auroc")
    open_to = 1 - 0.025 ** (1 / 3)  # Clopper and Pearson, three disjoint pairs
    assert (between.low, between.value, between.high) == pytest.approx((-open_to, 0, open_to))
    alone = found.difference("one", "one", MEAN)
    assert (alone.low, alone.value, alone.high) == (0, 0, 0)
