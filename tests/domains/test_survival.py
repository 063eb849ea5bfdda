"""Survival curves are judged as by counting record by record, whoever is lost on the way."""

from __future__ import annotations

import numpy as np
import pytest

from domains.survival import IntegratedBrier, kaplan_meier


def _people(count: int, seed: int = 0, whole: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Time and event, (n, 2), and the rate that each one's times have, (n,)."""
    rng = np.random.default_rng(seed)
    rate = rng.uniform(0.02, 0.3, count)
    died, lost = rng.exponential(1 / rate), rng.exponential(12.0, count)
    time = np.minimum(died, lost)
    y = np.column_stack([np.ceil(time) if whole else time, died <= lost])
    return y, rate


def _share_left(y: np.ndarray, at: float, lost: bool, before: bool) -> float:
    """The product-limit estimate, person by person; at equal times events come before losses."""
    share = 1.0
    for time in sorted(set(y[:, 0])):
        if time > at or (before and time == at):
            break
        here = y[:, 0] == time
        events = int((here & (y[:, 1] == 1)).sum())
        losses = int(here.sum()) - events
        at_risk = int((y[:, 0] >= time).sum())
        share *= 1 - (losses / max(at_risk - events, 1) if lost else events / at_risk)
    return share


def _by_hand(y: np.ndarray, free: np.ndarray, at: np.ndarray) -> float:
    """Graf et al. (1999), equation by equation."""
    scores = [0.0]
    for k, t in enumerate(at):
        total = 0.0
        for (time, event), said in zip(y, free[:, k], strict=True):
            if time > t:
                total += (1 - said) ** 2 / _share_left(y, t, lost=True, before=False)
            elif event:
                total += said**2 / _share_left(y, time, lost=True, before=True)
        scores.append(total / len(y))
    return float(np.trapezoid(scores, np.r_[0.0, at]) / at[-1])


@pytest.mark.parametrize("whole", [False, True])
def test_the_score_is_that_of_the_paper(whole: bool) -> None:
    y, rate = _people(60, whole=whole)
    at = np.array([1.0, 2.0, 4.0, 7.0])
    free = np.exp(-rate[:, None] * at)
    assert IntegratedBrier(y, free, at)() == pytest.approx(_by_hand(y, free, at))


@pytest.mark.parametrize("whole", [False, True])
def test_kaplan_meier_is_the_product_limit(whole: bool) -> None:
    y, _ = _people(60, whole=whole)
    at = np.array([0.1, 1.0, 3.0, 6.5, 20.0])
    expected = [_share_left(y, t, lost=False, before=False) for t in at]
    assert kaplan_meier(y, at) == pytest.approx(expected)


def test_a_weight_of_two_is_a_record_twice() -> None:
    y, rate = _people(80, whole=True)
    weight = np.r_[np.full(20, 2.0), np.ones(60)]
    at = np.array([2.0, 5.0])
    assert kaplan_meier(y, at, weight) == pytest.approx(kaplan_meier(np.r_[y[:20], y], at))
    free = np.exp(-rate[:, None] * at)
    found = IntegratedBrier(y, free, at)
    assert found(np.ones(80)) == pytest.approx(found())


def test_losing_people_at_random_does_not_move_the_score() -> None:
    """Against the same people followed to the end: within 4 standard errors of 4,000 people."""
    rng = np.random.default_rng(5)
    rate = rng.uniform(0.02, 0.3, 4000)
    died, lost = rng.exponential(1 / rate), rng.exponential(12.0, 4000)
    at = np.linspace(1, 8, 8)
    free = np.exp(-rate[:, None] * at)
    whole = np.column_stack([died, np.ones(4000)])
    cut = np.column_stack([np.minimum(died, lost), died <= lost])
    found, expected = IntegratedBrier(cut, free, at)(), IntegratedBrier(whole, free, at)()
    assert found == pytest.approx(expected, abs=0.006)


def test_the_true_curves_beat_everyone_s_and_that_beats_a_wrong_one() -> None:
    y, rate = _people(2000, seed=3)
    at = np.linspace(1, 8, 8)
    true = IntegratedBrier(y, np.exp(-rate[:, None] * at), at)()
    same = IntegratedBrier(y, np.tile(kaplan_meier(y, at), (2000, 1)), at)()
    wrong = IntegratedBrier(y, np.zeros((2000, 8)), at)()
    assert true < same < wrong


def test_knowing_the_future_scores_nothing() -> None:
    rng = np.random.default_rng(0)
    died = rng.exponential(5.0, 200)
    at = np.array([1.0, 4.0])
    y = np.column_stack([died, np.ones(200)])
    assert IntegratedBrier(y, (died[:, None] > at).astype(float), at)() == 0.0
