"""What an imaging run measures: thresholds, patients' means, groups, images from elsewhere."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from domains.healthcare.slicing import group_names
from domains.metrics import auroc, average_precision, named
from models.imaging.backbones import Classifier, build
from models.imaging.conformal import Sets
from models.imaging.scorer import ImagingScorer
from pipelines.settings import ImagingConfig
from pipelines.steps.imaging import slices
from pipelines.steps.imaging.exporting import forms_of, made_up
from pipelines.steps.imaging.external import drops, shares, validate
from pipelines.steps.imaging.figures import _reliability
from pipelines.steps.imaging.measuring import (
    Sure,
    macro,
    metrics_of,
    one_against_rest,
    operating_point,
)
from pipelines.steps.imaging.packing import calibrated, temperature
from pipelines.steps.imaging.tested import Answered, read_test
from pipelines.steps.imaging.trust import Trust, examine


def _answered(count: int, seed: int, noise: float = 1.0) -> Answered:
    """Binary answers of patients with two images each."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 2, count)
    p = 1 / (1 + np.exp(-(2 * y - 1 + noise * rng.normal(size=count))))
    members = np.stack([p < 0.7, p > 0.3], axis=1)
    return Answered(y, np.arange(count) // 2, p, members, rng.uniform(0.2, 1.1, count))


def _sure(on: Answered, seed: int = 0) -> Sure:
    return Sure(on.groups, 60, seed)


@pytest.mark.parametrize("aim", [0.5, 0.9, 0.95, 0.99])
def test_the_threshold_reaches_the_specificity_on_the_records_that_set_it(aim: float) -> None:
    on = _answered(300, 0)
    point = operating_point(on.y, on.p, aim)
    assert point is not None
    reached = point.specificity(on.y, on.p)
    assert aim <= reached < aim + 2 / point.negatives
    assert point.sensitivity(on.y, on.p) == pytest.approx((on.p[on.y > 0] > point.threshold).mean())
    assert operating_point(np.ones(5, int), on.p[:5], aim) is None


@pytest.mark.parametrize(("aim", "negatives"), [(0.8, 12), (0.9, 30), (0.95, 40)])
def test_new_negatives_are_spared_as_often_as_was_aimed_at(aim: float, negatives: int) -> None:
    draws = np.random.default_rng(0).random((4000, negatives + 20))
    spared = []
    for row in draws:
        point = operating_point(np.zeros(negatives, int), row[:negatives], aim)
        assert point is not None
        spared.append((row[negatives:] <= point.threshold).mean())
    assert aim - 0.003 <= np.mean(spared) <= aim + 1 / negatives


def test_every_patient_counts_once_however_many_images() -> None:
    groups = np.array([0] * 8 + [1, 2])
    hit = np.array([0.0] * 8 + [1.0, 1.0])
    assert Sure(groups, 20, 0).of_patients(hit).value == pytest.approx(2 / 3)


def test_a_share_that_all_patients_agree_on_has_a_bound_and_a_size_has_none() -> None:
    sure = Sure(np.arange(30), 20, 0)
    found = sure.of_patients(np.ones(30, bool))
    assert (found.low, found.high) == pytest.approx((0.025 ** (1 / 30), 1.0))
    assert np.isnan(sure.of_patients(np.ones(30, int)).low)
    on = _answered(40, 0)
    told = _sure(on).measure(on.y, on.y * 0.8 + 0.1)
    assert told["auroc_low"] < 0.9
    assert "average_precision_low" not in told


def test_macro_metrics_are_means_over_labels_and_classes() -> None:
    rng = np.random.default_rng(0)
    y, p = rng.integers(0, 2, (80, 3)), rng.random((80, 3))
    each = [auroc(y[:, j], p[:, j]) for j in range(3)]
    assert macro(auroc)(y, p) == pytest.approx(np.mean(each))
    y[:, 1] = 0  # a label that nobody has says nothing
    assert macro(auroc)(y, p) == pytest.approx(np.mean([each[0], each[2]]))
    numbers = rng.integers(0, 3, 80)
    whole = [average_precision(numbers == k, p[:, k]) for k in range(3)]
    assert one_against_rest(average_precision)(numbers, p) == pytest.approx(np.mean(whole))
    assert set(metrics_of(y, p)) == {"auroc", "accuracy", "ece", "average_precision"}


def test_labels_have_a_temperature_each_and_classes_one() -> None:
    rng = np.random.default_rng(0)
    z = rng.normal(size=(4000, 2))
    y = (rng.random((4000, 2)) < 1 / (1 + np.exp(-z))).astype(np.int8)
    heat = temperature(z * [1.0, 3.0], y)
    assert isinstance(heat, tuple)
    assert heat == pytest.approx((1.0, 3.0), rel=0.15)
    assert calibrated(z, heat).shape == (4000, 2)
    assert isinstance(temperature(z, y[:, 0].astype(int)), float)
    assert temperature(z[:10], y[:10]) == (1.0, 1.0)  # too few to tell


def _first(on: Answered, count: int) -> Answered:
    return Answered(on.y[:count], on.groups[:count], on.p[:count], None, None)


def _of_sites(sites: np.ndarray, on: Answered) -> list[slices.Slice]:
    images: Any = SimpleNamespace(rows=lambda part: np.arange(len(sites)))
    tested: Any = SimpleNamespace(rows=np.arange(len(sites)), y=on.y, groups=on.groups, answered=on)
    return slices.by_group(pd.DataFrame({"site": sites}), images, tested, _sure(on))


def test_small_groups_are_counted_together_and_not_measured() -> None:
    on = _answered(320, 1)
    sites = np.array(["north"] * 200 + ["south"] * 80 + ["far"] * 20 + ["farther"] * 20)
    on = Answered(np.where(sites == "south", 1, on.y), on.groups, on.p, None, None)
    found = {s.value: s for s in _of_sites(sites, on)}
    assert found["north"].auroc is not None
    assert found["north"].auroc.value == pytest.approx(auroc(on.y[:200], on.p[:200]))
    few = found["2 smaller groups"]
    assert (few.images, few.patients, few.auroc is not None) == (40, 20, True)
    assert found["south"].auroc is None
    assert "a class of under 5 images" in found["south"].why
    assert "fewer than 20 patients" in {s.why for s in _of_sites(sites[:300], _first(on, 300))}


def test_a_group_that_is_answered_worse_is_named_and_drawn(tmp_path: Path) -> None:
    on = _answered(600, 2, noise=0.7)
    sites = np.where(np.arange(600) % 40 < 36, "near", "away")
    p = np.where(sites == "away", np.random.default_rng(0).random(600), on.p)
    found = _of_sites(sites, Answered(on.y, on.groups, p, None, None))
    away = next(s for s in found if s.value == "away")
    assert away.gap is not None
    assert away.gap.high < 0
    (said,) = slices.finding(found)
    assert "site: away is the one most surely behind" in said
    assert "2 of 2 groups" in said
    whole = named("auroc", _sure(on).of(auroc, on.y, p))
    (figure,) = slices.draw(tmp_path, found, whole)
    assert figure.path.is_file()
    assert slices.draw(tmp_path, [slices.Slice("site", "far", 9, 4, why="few")], whole) == []
    (table,) = slices.tables(found, public=False)
    assert all(row[1] % 5 == 0 for row in table.rows if isinstance(row[1], int))
    (few,) = slices.tables([slices.Slice("site", "far", 9, 4, why="few")], public=False)
    assert few.rows[0][1:3] == ["<5", "<5"]
    assert slices.tables([]) == [] == list(slices.finding([]))


def test_numbers_are_cut_in_thirds_of_training_records_and_words_are_kept() -> None:
    ages = pd.Series([str(age) for age in range(20, 80)] + [""])
    cut = group_names(ages, np.arange(60))
    assert pd.Series(cut[:60]).value_counts().tolist() == [20, 20, 20]
    assert cut[60] == "not stated"
    assert set(group_names(pd.Series(["F", "M", ""]), np.arange(3))) == {"F", "M", "not stated"}


def test_the_drop_elsewhere_is_found_with_an_interval_that_holds_both_draws() -> None:
    own, other = _answered(400, 0, noise=1.0), _answered(400, 1, noise=4.0)
    here, there, drop = drops("auroc", auroc, own, other, _sure(own), _sure(other, 1))
    assert drop.value == pytest.approx(there.value - here.value)
    assert drop.high < 0
    assert drop.high - drop.low > max(here.high - here.low, there.high - there.low)
    same = drops("auroc", auroc, own, _answered(400, 2), _sure(own), _sure(own, 1))[2]
    assert same.low < 0 < same.high


def test_the_drop_of_a_share_is_as_wide_as_both_sides_together() -> None:
    rng, truth = np.random.default_rng(0), 0.7 - 0.9
    every, covered = 120, 0
    for seed in range(every):
        own, other = rng.random(80) < 0.9, rng.random(60) < 0.7
        sides = [Sure(np.arange(len(side)), 100, seed + k) for k, side in enumerate((own, other))]
        here, there, drop = shares(own, other, *sides)
        assert drop.value == pytest.approx(there.value - here.value)
        covered += drop.low <= truth <= drop.high
    assert covered / every > 0.88  # 95 %, and three standard errors
    flawless = shares(np.ones(20, bool), np.ones(20, bool), *(Sure(np.arange(20), 50, 0),) * 2)
    assert flawless[2].low < -0.1
    assert flawless[2].high > 0.1


def test_a_report_of_images_from_elsewhere_has_both_and_says_the_drop(tmp_path: Path) -> None:
    own, other = _answered(400, 0), _answered(300, 1, noise=4.0)
    scorer: Any = SimpleNamespace(
        judge=lambda images: SimpleNamespace(
            predictions=pd.DataFrame({"p_a": 1 - other.p, "p_b": other.p}),
            sets=[tuple(np.array(["a", "b"])[row]) for row in other.members],  # type: ignore[union-attr]
            distance=other.distance,
        ),
        classes=("a", "b"),
        sets=Sets(0.9, "lac", 0.7, 100),
    )
    outside: Any = SimpleNamespace(
        rows=lambda part: np.arange(300),
        images=lambda: np.zeros((300, 8, 8, 3), np.uint8),
        labels=lambda: other.y,
        records=lambda: pd.DataFrame({"group": other.groups}),
        dataset=SimpleNamespace(name="elsewhere"),
    )
    point = operating_point(own.y, own.p, 0.8)
    found, tested = Trust(), SimpleNamespace(answered=own, point=point)
    validate(found, scorer, outside, tested, _sure(own))  # type: ignore[arg-type]
    assert found.metrics["external.auroc"] == pytest.approx(auroc(other.y, other.p))
    assert "external.auroc_low" in found.metrics
    assert point is not None
    reached = point.specificity(other.y, other.p)
    assert found.metrics["external.specificity_reached"] == pytest.approx(reached)
    assert "a loss beyond its interval" in found.said[0]
    covered = found.metrics["external.set_coverage"]
    assert f"for 90%, do so for {covered:.1%} there" in found.said[0]
    assert any("no guard against images from elsewhere" in line for line in found.limits)
    assert found.tables[0].title == "External validation"
    assert all(" to " in str(row[3]) for row in found.tables[0].rows), "a drop without interval"


def test_too_few_calibration_patients_promise_nothing_and_say_so() -> None:
    on = _answered(200, 0)
    tested: Any = SimpleNamespace(answered=on, point=operating_point(on.y[:20], on.p[:20], 0.9))
    few: Any = SimpleNamespace(sets=Sets(0.95, "lac", 2.0, 12), classes=("a", "b"), familiar=None)
    found = examine(few, tested, _sure(on))
    assert any("12 calibration patients are too few" in line for line in found.limits)
    assert not any("promised" in line for line in found.said)
    assert any("which is few" in line for line in found.limits)


def test_of_private_images_no_class_of_few_patients_is_told() -> None:
    rng = np.random.default_rng(0)
    y, p = np.r_[np.repeat([0, 1], 40), 2, 2], rng.dirichlet(np.ones(3), 82)
    on = Answered(y, np.arange(82), p, p > 0.2, None)
    tested: Any = SimpleNamespace(answered=on, point=None)
    scorer: Any = SimpleNamespace(
        sets=Sets(0.9, "lac", 0.8, 60), classes=("a", "b", "rare"), familiar=None
    )
    for public, told in ((True, 2), (False, "<5")):
        found = examine(scorer, tested, _sure(on), public)
        for table in found.tables:
            rare = table.rows[-1]
            assert rare[:2] == ["rare", told]
            assert all(cell is None for cell in rare[2:]) is not public


def test_before_and_after_calibration_differ_by_the_temperature_alone(tmp_path: Path) -> None:
    """Logits of the training, perhaps of half precision and of no views, have no say in it."""
    torch.manual_seed(0)
    net = Classifier(build("resnet18", 32, seed=0), 2).eval()
    torch.nn.init.normal_(net.head.weight, std=0.1)
    scorer = ImagingScorer(net, ("a", "b"), 32, temperature=1.5)
    images = np.random.default_rng(0).integers(0, 256, (40, 32, 32, 3)).astype(np.uint8)
    y = np.arange(40) % 2
    target: Any = SimpleNamespace(
        rows=lambda part: np.arange(20) + 20 * (part == "test"),
        labels=lambda: y,
        images=lambda: images,
        records=lambda: pd.DataFrame({"group": np.arange(40)}),
    )
    np.save(tmp_path / "logits.npy", scorer.read(images)[0] + 0.3 * y[:, None] * [[0.0, 1.0]])
    arm: Any = SimpleNamespace(name="arm", logits=tmp_path / "logits.npy")
    found = read_test(target, [arm], arm, scorer, 0.9)
    before, after = (np.log(p / (1 - p)) for p in (found.uncalibrated, found.p["arm"]))
    assert np.allclose(before, 1.5 * after, atol=1e-4)


def test_a_plot_of_answers_that_were_not_calibrated_says_so(tmp_path: Path) -> None:
    on = _answered(80, 0)
    kept: Any = SimpleNamespace(y=on.y, uncalibrated=on.p, best="arm", p={"arm": on.p})
    assert "no temperature was fitted" in _reliability(tmp_path, kept).caption
    kept.uncalibrated = on.p**2
    assert "before and after temperature scaling" in _reliability(tmp_path, kept).caption


def test_only_a_full_run_exports_unless_it_is_asked_to() -> None:
    assert "pt2" in forms_of(ImagingConfig())
    assert forms_of(ImagingConfig(scale="small")) == ()
    assert forms_of(ImagingConfig(scale="small", export=["pt2"])) == ("pt2",)
    assert forms_of(ImagingConfig(export="none")) == ()
    assert {len(each) for each in made_up(48)} == {1, 17}


def test_slices_are_refused_where_there_are_no_columns() -> None:
    with pytest.raises(ValueError, match="only kind manifest has columns"):
        ImagingConfig(slices=["sex"])
