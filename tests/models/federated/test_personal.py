"""Personalisation at home: what strengths mean, and whose records a personal model has seen."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from models.federated.personal import Own, levelled, likelihoods, pulled, shares

STRENGTHS = (np.inf, 100.0, 10.0, 1.0)


def sample_owner(records: int, seed: int, width: int = 6) -> Own:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(records, width)).astype(np.float32)
    start = x[:, 0] / 2.0
    chance = 1.0 / (1.0 + np.exp(-(start + x[:, 1] - x[:, 2])))
    return Own(x, (rng.random(records) < chance).astype(float), start.astype(float)[:, None])


def test_an_infinite_pull_is_the_global_model_and_a_strong_one_comes_near_it() -> None:
    found = pulled([sample_owner(300, 0)], [np.inf, 1e9, 1e3])[0, 0]
    assert not found[0].any()
    assert np.abs(found[1]).max() < 1e-5 < np.abs(found[2]).max()


def test_without_a_pull_it_goes_on_until_its_own_records_say_no_more() -> None:
    own = sample_owner(2000, 0)
    delta = pulled([own], [0.0])[0, 0, 0]
    p = 1.0 / (1.0 + np.exp(-(own.starts[:, 0] + own.features @ delta)))
    assert np.abs(own.features.T @ (p - own.target)).max() < 0.05


def test_where_the_start_is_nothing_it_is_ridge_regression_alone() -> None:
    own = sample_owner(2000, 1)
    alone = Own(own.features, own.target, np.zeros((2000, 1)))
    for strength in (0.1, 10.0):
        fitted = LogisticRegression(C=1 / strength, fit_intercept=False, tol=1e-8)
        expected = fitted.fit(own.features, own.target).coef_[0]
        assert pulled([alone], [strength])[0, 0, 0] == pytest.approx(expected, abs=1e-3)


def test_a_stronger_pull_never_leads_further_away() -> None:
    lengths = np.linalg.norm(pulled([sample_owner(100, 2)], STRENGTHS)[0, 0], axis=1)
    assert np.all(np.diff(lengths) > 0)


def test_the_order_of_strengths_changes_nothing() -> None:
    own = sample_owner(200, 3)
    found, turned = pulled([own], STRENGTHS), pulled([own], STRENGTHS[::-1])
    assert found[0, 0] == pytest.approx(turned[0, 0, ::-1], abs=1e-9)


def test_an_owners_model_depends_on_no_other_owners_records() -> None:
    sizes = (40, 41, 39, 1, 0, 900)
    owners = [sample_owner(size, seed) for seed, size in enumerate(sizes)]
    others = [sample_owner(size, seed + 50) for seed, size in enumerate(sizes)]
    together = pulled(owners, STRENGTHS)
    for place, own in enumerate(owners):
        among_others = pulled([*others[:place], own, *others[place + 1 :]], STRENGTHS)[place]
        assert together[place] == pytest.approx(among_others, abs=1e-4)
        assert together[place] == pytest.approx(pulled([own], STRENGTHS)[0], abs=1e-4)


def test_no_records_leave_the_global_model() -> None:
    assert not pulled([sample_owner(0, 0)], [*STRENGTHS, 0.0]).any()


def test_one_outcome_alone_has_an_answer_at_any_strength() -> None:
    own = sample_owner(30, 4)
    sided = Own(own.features, np.zeros(30), own.starts)
    assert np.isfinite(pulled([sided], [*STRENGTHS, 0.0])).all()


def test_no_owner_is_no_model() -> None:
    assert pulled([], STRENGTHS).shape == (0, 0, len(STRENGTHS), 0)


def test_many_held_out_records_leave_the_best_model_and_none_all_alike() -> None:
    rng = np.random.default_rng(0)
    good = rng.normal(size=2000)
    y = (rng.random(2000) < 1 / (1 + np.exp(-good))).astype(float)
    candidates = np.column_stack([good, -good, np.zeros(2000)])
    assert shares(likelihoods(candidates, y)) == pytest.approx([1, 0, 0], abs=1e-6)
    assert shares(likelihoods(candidates[:0], y[:0])) == pytest.approx([1 / 3] * 3)


def test_one_odd_record_does_not_decide_what_models_count() -> None:
    y = np.r_[np.zeros(20), 1.0]
    calm, sure = np.full(21, -1.0), np.full(21, -1.6)
    each = likelihoods(np.column_stack([calm, sure]), y)
    by_likelihood = 1.0 / (1.0 + np.exp(np.diff(each.sum(axis=0))))[0]
    assert abs(shares(each)[0] - 0.5) < abs(by_likelihood - 0.5)
    assert np.array_equal(shares(each), shares(each))


def test_every_start_is_pulled_as_if_it_were_the_only_one() -> None:
    own = sample_owner(400, 5)
    both = Own(own.features, own.target, np.column_stack([own.starts[:, 0], np.zeros(400)]))
    found = pulled([both], STRENGTHS)[0]
    for place in (0, 1):
        single = Own(own.features, own.target, both.starts[:, [place]])
        assert found[place] == pytest.approx(pulled([single], STRENGTHS)[0, 0], abs=1e-6)


@pytest.mark.parametrize("strength", [100.0, 1.0, 0.01])
def test_steps_with_an_old_curvature_end_where_the_gradient_is_zero(strength: float) -> None:
    own = sample_owner(3000, 6, width=20)
    far = Own(own.features, own.target, own.starts * 8.0)
    delta = pulled([far], [1e4, strength])[0, 0, 1]
    p = 1.0 / (1.0 + np.exp(-(far.starts[:, 0] + far.features @ delta)))
    gradient = far.features.T @ (p - far.target) + strength * delta
    assert np.abs(gradient).max() < 1.0  # of 3,000 records' slopes


def test_a_level_is_what_lacks_for_the_mean_outcome_and_nothing_without_records() -> None:
    y = np.r_[np.ones(3), np.zeros(9)]
    assert levelled(np.zeros(12), y) == pytest.approx(np.log(3.5 / 9.5))
    log_odds = np.linspace(-3.0, 1.0, 12)
    p = 1.0 / (1.0 + np.exp(-(log_odds + levelled(log_odds, y))))
    assert p.sum() == pytest.approx(3.0, abs=0.5)
    assert levelled(np.zeros(0), np.zeros(0)) == 0.0


def test_fewer_records_than_codes_have_an_answer_without_a_pull() -> None:
    found = pulled([sample_owner(20, 7, width=120)], [0.0])
    assert np.isfinite(found).all()
    assert found.any()
