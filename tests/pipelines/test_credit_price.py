"""What privacy costs and what federation buys: who trains, on what, and how sure it is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from domains.errors import InputError
from pipelines.steps.credit import priced
from pipelines.steps.credit.controls import ALONE, POOLED
from pipelines.steps.credit.price import ARMS, DRAWS, Priced, price
from pipelines.steps.credit.scores import Tested
from pipelines.steps.credit.training import FEDERATED
from pipelines.tracking import open_job
from tests.pipelines.sample_credit import PRIVATE, config_of, prepare_in

PUBLIC = {**PRIVATE["data"], "public": True}


def drawn(folder: Path, noise: float, trainings: int) -> tuple[Tested, list[Priced]]:
    """Two clients; every training blurs the risk anew, pooled ones less."""
    rng = np.random.default_rng(4)
    risk = rng.normal(size=600)
    y = (rng.random(600) < 1 / (1 + np.exp(-2 * risk))).astype(float)
    tested = Tested(y, np.arange(600) % 2, np.arange(600), ("a", "b"), {})
    made = []
    for epsilon in (2.0, None):
        for arm in ARMS:
            blur = noise * (0.5 if arm == POOLED else 1.0) * (1.0 if epsilon else 0.0)
            count = trainings if epsilon else 1
            path = folder / f"{arm}-{epsilon}-{noise}-{trainings}.npy"
            np.save(path, risk + blur * rng.normal(size=(count, 600)))
            made.append(Priced(arm, epsilon, path, 1.0))
    return tested, made


@pytest.mark.slow
def test_every_arm_is_trained_at_every_epsilon_and_nobody_is_charged(
    tmp_path: Path, home: Path
) -> None:
    with open_job("credit", config_of(tmp_path, data=PUBLIC, release=None, epsilons=[4])) as job:
        prepared = prepare_in(job)
        spent = prepared.charged.owners
        found = price.fn(job, prepared)
        tested = int((prepared.facts["part"] == "test").sum())
        assert [(each.arm, each.epsilon) for each in found] == [
            (arm, epsilon) for epsilon in (4.0, None) for arm in ARMS
        ]
        for each in found:
            assert each.read().shape == (DRAWS if each.epsilon else 1, tested)
            assert np.isfinite(each.read()).all()
        private = {each.arm: each.read() for each in found if each.epsilon}
        assert not np.array_equal(private[FEDERATED][0], private[FEDERATED][1])
        assert prepared.charged.owners == spent


def test_the_table_holds_every_arm_and_both_differences(tmp_path: Path) -> None:
    tested, made = drawn(tmp_path, 1.0, 3)
    points = priced.measured(tested, made)
    assert points[POOLED, 2.0][0] > points[FEDERATED, 2.0][0]
    table = priced.table(points)
    assert table.columns == ["", "ε = 2", "no privacy"]
    assert [row[0] for row in table.rows] == [*ARMS, priced.BOUGHT, priced.COST]
    assert table.rows[-1][-1] is None, "without privacy nothing is paid for it"
    assert "ε = 2" in priced.sentence(points, 3.0)
    assert priced.figure(tmp_path, points).path.exists()


def test_the_noise_of_the_trainings_is_in_the_interval(tmp_path: Path) -> None:
    tested, made = drawn(tmp_path, 1.0, 1)
    once = priced.measured(tested, made)[ALONE, 2.0]
    rng, first = np.random.default_rng(0), made[0].read()[0]
    np.save(made[0].scores, np.stack([first, -first, first + rng.normal(size=600)]))
    often = priced.measured(tested, made)[ALONE, 2.0]
    assert np.ptp(often[1:]) > 2 * np.ptp(once[1:])
    assert often[0] < once[0]


def test_without_clients_that_can_be_judged_there_is_no_picture(tmp_path: Path) -> None:
    tested, made = drawn(tmp_path, 1.0, 1)
    few = Tested(np.zeros(600), tested.client, tested.group, tested.names, {})
    assert priced.measured(few, made) == {}


def test_private_records_and_impossible_epsilons_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="epsilons: each would have to be charged"):
        config_of(tmp_path, epsilons=[1])
    with pytest.raises(InputError, match="epsilons: expected positive"):
        config_of(tmp_path, data=PUBLIC, release=None, epsilons=[0])


def test_the_usual_epsilons_are_those_of_full_controls(tmp_path: Path) -> None:
    full = config_of(tmp_path, data=PUBLIC, release=None, controls="full")
    assert full.priced(public=True) == [1.0, 3.0, 8.0]
    assert full.priced(public=False) == []
    assert config_of(tmp_path, data=PUBLIC, release=None).priced(public=True) == []
