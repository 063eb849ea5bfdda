"""How little data is enough: subsets, what is left out, overfitting, the sentence, the figure."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from domains.errors import InputError
from domains.metrics import Interval
from pipelines.life import kept
from pipelines.settings import load_config
from pipelines.steps.imaging import curve as learning
from pipelines.steps.imaging import curve_points, curve_read
from pipelines.steps.imaging.bases import find_bases
from pipelines.steps.imaging.curve import Curve, train_curve, wanted
from pipelines.steps.imaging.evidence import evaluate
from pipelines.steps.imaging.measuring import Sure
from pipelines.steps.imaging.prepare import prepare_images
from pipelines.steps.imaging.subsets import counts, draw_key, in_order, mixed
from pipelines.steps.imaging.training import train_transfer
from pipelines.tracking import open_job
from tests.domains.sample_images import write_manifest
from tests.pipelines.sample_imaging import config as _config

KEY = bytes(64)
ROWS = np.arange(10, 310)
GROUPS = np.arange(400) // 3
IDS = np.array([f"image {row}" for row in range(400)])


def _order(y: np.ndarray, repeat: int = 0, least: int = 20) -> np.ndarray:
    return in_order(ROWS, GROUPS, IDS, y, least, draw_key(KEY, repeat))


# ------------------------------------------------------------------------------- subsets


def test_subsets_grow_by_whole_patients_and_lie_inside_one_another() -> None:
    """Subsets are the beginnings of one order: nested by that alone."""
    order = _order(GROUPS % 2)
    assert sorted(order) == sorted(ROWS)
    changes = np.flatnonzero(np.diff(GROUPS[order]))
    assert len(changes) + 1 == len(np.unique(GROUPS[ROWS]))  # each patient in one piece
    for first, second in ((20, 50), (50, 100)):
        assert set(order[:first]) < set(order[:second])


def test_every_draw_is_another_and_the_same_every_time() -> None:
    y = GROUPS % 2
    draws = [frozenset(_order(y, repeat)[:20]) for repeat in range(5)]
    assert len(set(draws)) == 5
    assert draws[0] == frozenset(_order(y)[:20])


def test_the_smallest_subset_holds_two_classes_and_nothing_else_is_balanced() -> None:
    plain = _order(GROUPS % 2)
    rare = np.zeros(400, int)
    rare[plain[-1]] = 1
    found = _order(rare)
    assert mixed(rare[found[:20]])
    assert list(found) == [plain[-1], *plain[:-1]]  # one image moved, all others as they were


def test_several_labels_are_mixed_where_one_of_them_is() -> None:
    y = np.zeros((400, 2), np.int8)
    assert not mixed(y)
    y[ROWS[7], 1] = 1
    order = _order(y, least=4)
    assert order[0] == ROWS[7]
    assert mixed(y[order[:4]])


def test_counts_end_with_all_images() -> None:
    assert counts(150) == (20, 50, 100, 150)
    assert counts(136) == (20, 50, 136)  # 100 would say what all say
    assert counts(50, [60, 10]) == (10, 50)


# ------------------------------------------------------------------------------- sentences


def _gaps(*lows: float) -> list[tuple[int, Interval]]:
    return [
        (count, Interval(low + 0.02, low, low + 0.04))
        for count, low in zip((20, 50, 100), lows, strict=True)
    ]


def test_the_sentence_names_the_number_from_which_on_every_gap_is_beyond_chance() -> None:
    said = curve_read.sentence("lp-ft", _gaps(-0.01, 0.01, 0.02))
    assert "from 50 training images on, as far as the 100 compared (+0.030 (+0.010" in said


def test_a_lead_that_is_lost_again_is_no_from_on() -> None:
    said = curve_read.sentence("lp-ft", _gaps(0.01, 0.01, -0.02))
    first = "with 20 (+0.030 (+0.010 to +0.050)), 50 (+0.030 (+0.010 to +0.050)) training images"
    assert said.endswith(f"{first}, but not with 100 (+0.000 (-0.020 to +0.020))")


def test_the_sentence_says_that_it_never_does() -> None:
    said = curve_read.sentence("finetune", _gaps(-0.03, -0.01, -0.02))
    assert said.startswith("finetune never beats transfer beyond its interval (20 to 100 ")
    assert "at best +0.010 (-0.010 to +0.030), with 50" in said


def test_where_nothing_can_be_compared_the_finding_says_so() -> None:
    assert "is not known" in curve_read._enough([])
    said = curve_read._enough(["finetune beats transfer"])
    assert said.endswith("(transfer is the frozen base): finetune beats transfer.")


def test_differences_are_paired_by_draw_and_by_test_patient() -> None:
    """Draws and resamples that move both alike leave the difference of both as it is."""
    rng = np.random.default_rng(0)
    common = rng.normal(0.7, 0.1, (3, 40))
    areas = {("new", 20, draw): common[draw] + 0.05 for draw in range(3)}
    areas |= {("old", 20, draw): common[draw] for draw in range(2)}
    ((count, gap),) = curve_read.versus(areas, "new", "old", seed=0)
    assert count == 20
    assert (gap.low, gap.value, gap.high) == pytest.approx((0.05, 0.05, 0.05))
    alone = curve_read.mean(common[:, 1:], 0)
    assert alone.low < alone.value < alone.high


def test_a_single_draw_of_few_images_tells_of_no_other() -> None:
    areas = {("new", 20, 0): np.full(9, 0.8), ("new", 90, 0): np.full(9, 0.9)}
    areas |= {("old", *key[1:]): each - 0.1 for key, each in areas.items()}
    assert [count for count, _ in curve_read.versus(areas, "new", "old", seed=0)] == [90]


def test_an_interval_of_few_draws_is_as_wide_as_their_spread() -> None:
    found = curve_read.mean(np.repeat([[0.6], [0.8]], 201, axis=1), seed=0)
    assert (found.low, found.value, found.high) == pytest.approx((0.6, 0.7, 0.8), abs=0.02)


# ------------------------------------------------------------------------------- in a run


def _images(tmp_path: Path, **keys: Any) -> Any:
    write_manifest(tmp_path, patients=50, each=3)
    data = {"kind": "manifest", "path": "manifest.csv", "patient": "patient_id"}
    made = {"strategy": "transfer", "learning_curve": [10], "epochs": 1, **keys}
    return _config(tmp_path, data=data, **made)


@pytest.mark.usefixtures("known_key")
@pytest.mark.slow
def test_a_run_tells_the_curve_in_a_figure_a_table_and_a_sentence(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(curve_points, "_STEPS", 1)
    with open_job("imaging", _images(tmp_path)) as job:
        prepared = prepare_images.fn(job)
        bases = find_bases.fn(job, prepared)
        probes = train_transfer.fn(job, prepared, bases)
        found = train_curve.fn(job, prepared, bases, probes)
        evidence = evaluate.fn(job, prepared, bases, probes, found)
        again = train_curve.fn(job, prepared, bases, probes)
        train = prepared.target.rows("train")
        rows = [np.load(point.answers)["rows"] for point in found.points]
        spots = _spots(found, prepared)
        figure = next(each for each in evidence.figures if each.name == "curve")
        assert figure.path.stat().st_size > 0

    assert again == found  # trained once, whoever asks
    assert kept.decode(Curve, json.loads(json.dumps(kept.encode(found)))) == found
    assert {(p.series, p.repeat) for p in found.points if p.count == 10} == {
        (name, repeat)
        for name in ("transfer", "finetune", "lp-ft", learning.RANDOM)
        for repeat in (0, 1)
    }
    for point, taken in zip(found.points, rows, strict=True):
        assert len(taken) == point.count
        assert set(taken) <= set(train)
    assert len([p for p in found.points if p.count == len(train)]) == 4  # one draw of all
    table = next(t for t in evidence.tables if t.title == "How little data is enough?")
    assert [row[0] for row in table.rows] == [10] * 4 + [len(train)] * 4
    compared = [(row[0], row[1]) for row in table.rows if row[-1] is None]
    assert compared == [(10, "transfer"), (len(train), "transfer")]
    assert any("finetune" in line and "transfer" in line for line in evidence.findings)
    at_all = next(s for s in spots if s.series == "transfer" and s.count > 10)
    assert at_all.gap.value == pytest.approx(at_all.train.value - at_all.test.value)


def _spots(found: Curve, prepared: Any) -> list[curve_read.Spot]:
    groups = prepared.target.records()["group"].to_numpy()[prepared.target.rows("test")]
    return curve_read.tell(found, prepared, Sure(groups, 20, 0)).spots


@pytest.mark.usefixtures("known_key")
def test_fine_tuning_that_does_not_fit_is_left_out_and_said(home: Path, tmp_path: Path) -> None:
    config = _images(tmp_path, time_budget=0.001)
    with open_job("imaging", config) as job:
        prepared = prepare_images.fn(job)
        bases = find_bases.fn(job, prepared)
        probes = train_transfer.fn(job, prepared, bases)
        found = train_curve.fn(job, prepared, bases, probes)
    assert {point.series for point in found.points} == {"transfer", learning.RANDOM}
    assert [line.split()[2] for line in found.left_out] == ["finetune", "lp-ft"]
    assert "2 with 10, 1 with" in found.left_out[0]


# ------------------------------------------------------------------------------- settings


def test_a_curve_is_drawn_at_full_scale_or_where_it_is_asked_for(tmp_path: Path) -> None:
    def asks(**keys: Any) -> bool:
        return wanted(_config(tmp_path, **keys))

    assert asks(scale="full")
    assert not asks(scale="small")
    assert asks(scale="small", controls="full")
    assert asks(scale="tiny", learning_curve=[20, 50])
    assert not asks(scale="full", controls="none")
    assert not asks(scale="full", learning_curve="none")


def test_a_count_that_cannot_be_learned_from_is_refused() -> None:
    with pytest.raises(InputError, match="learning_curve"):
        load_config("imaging", overrides=["learning_curve=[2]"])
