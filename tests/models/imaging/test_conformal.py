"""Prediction sets: the coverage that was promised, for patients, and no smaller."""

from itertools import pairwise

import numpy as np
import pytest

from models.conformal import fewest_patients, patient_quantile
from models.imaging.conformal import Method, Sets, fit_sets


def _patients(rng: np.random.Generator, count: int, most: int) -> np.ndarray:
    return np.repeat(np.arange(count), rng.integers(1, most + 1, size=count))


def _draw(rng: np.random.Generator, patients: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities of three classes that are too sure, and alike within a patient."""
    own = rng.normal(size=(patients.max() + 1, 3))[patients]
    truth = np.exp(own + 0.3 * rng.normal(size=(len(patients), 3)))
    truth /= truth.sum(axis=1, keepdims=True)
    y = np.array([rng.choice(3, p=row) for row in truth])
    said = truth**2
    return said / said.sum(axis=1, keepdims=True), y


@pytest.mark.parametrize("method", ["lac", "aps"])
def test_new_patients_are_covered_as_promised(method: Method) -> None:
    """Mean over 300 calibrations of 40 patients; a false alarm is four standard errors away."""
    rng, coverage, covered = np.random.default_rng(0), 0.8, []
    for _ in range(300):
        patients = _patients(rng, 80, 8)
        p, y = _draw(rng, patients)
        known = patients < 40
        sets = fit_sets(p[known], y[known], patients[known], coverage, method)
        hit = sets.members(p[~known])[np.arange((~known).sum()), y[~known]]
        groups = patients[~known]
        covered.append(np.mean([hit[groups == each].mean() for each in np.unique(groups)]))
    error = np.std(covered) / np.sqrt(len(covered))
    assert np.mean(covered) > coverage - 4 * error
    assert np.mean(covered) < (0.87 if method == "lac" else 0.97)


def test_counting_images_instead_of_patients_promises_too_much() -> None:
    """One calibration patient with very many easy images must not set the bound alone."""
    values = np.r_[np.zeros(1000), np.arange(1.0, 20.0)]
    patients = np.r_[np.zeros(1000), np.arange(1, 20)]
    assert patient_quantile(values, patients, 0.9) == 18.0
    assert patient_quantile(values, np.arange(len(values)), 0.9) == 0.0


def test_one_record_a_patient_gives_the_plain_conformal_rank() -> None:
    values = np.random.default_rng(1).permutation(99).astype(float)
    for level in (0.5, 0.9, 0.99):
        rank = int(np.ceil(level * 100 - 1e-9))
        assert patient_quantile(values, np.arange(99), level) == rank - 1


@pytest.mark.parametrize("level", [0.8, 0.9, 0.95, 0.98])
def test_too_few_patients_give_sets_of_all_classes(level: float) -> None:
    fewest = fewest_patients(level)
    for count, finite in ((fewest - 1, False), (fewest, True)):
        patients = np.arange(count)
        assert np.isfinite(patient_quantile(np.ones(count), patients, level)) == finite
        p = np.full((count, 3), 1 / 3)
        sets = fit_sets(p, np.zeros(count, int), patients, level)
        assert finite or sets.members(np.array([[1.0, 0.0, 0.0]])).all()


def test_a_set_is_never_empty_and_grows_with_the_threshold() -> None:
    p = np.random.default_rng(2).dirichlet(np.ones(4), size=200)
    methods: tuple[Method, ...] = ("lac", "aps")
    for method in methods:
        sizes = [Sets(0.9, method, t, 50).members(p) for t in (0.0, 0.4, 0.8, 2.0)]
        assert (sizes[0].sum(axis=1) == 1).all()
        assert sizes[-1].all()
        assert all((low <= high).all() for low, high in pairwise(sizes))


def test_binary_sets_do_not_depend_on_the_temperature() -> None:
    """So that a temperature fitted on the same records takes nothing from the coverage."""
    rng = np.random.default_rng(3)
    z, y = rng.normal(size=200), rng.integers(0, 2, size=200)

    def members(temperature: float) -> np.ndarray:
        positive = 1 / (1 + np.exp(-z / temperature))
        p = np.stack([1 - positive, positive], axis=1)
        return fit_sets(p[:100], y[:100], np.arange(100), 0.9).members(p[100:])

    assert (members(1.0) == members(3.0)).all()
