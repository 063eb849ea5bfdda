"""Boosted trees are packed as arrays that answer what scikit-learn answers, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file
from scipy.special import expit, softmax
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from domains.errors import InputError
from domains.healthcare.outcomes.codec import fit_codec
from domains.healthcare.outcomes.spec import Outcome
from domains.healthcare.patients import read_cohort
from models import inference
from models import scorer as packed
from models.multitask import boosted as boosted_trees
from models.multitask import scorer as scorers
from models.multitask.boosted import BOOSTED, Boosted
from models.multitask.boosting import boost
from models.multitask.named import network
from models.multitask.patched import BOOSTING, SINGLE, Patched
from models.multitask.scorer import PatientsScorer, load_scorer, predictions
from models.multitask.shape import Shape
from tests.domains.sample_patients import EVERY_KIND, patients_of_every_kind
from tests.models.sample_outcomes import codecs, encoder

CATEGORICAL = np.array([True, False, False, True])


def _table(count: int, seed: int, levels: int) -> np.ndarray:
    """Categories, numbers and gaps."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(count, 4))
    x[:, 0], x[:, 3] = rng.integers(0, levels, count), rng.integers(1, 4, count)
    x[rng.random(x.shape) < 0.1] = np.nan
    return x


def _labels(x: np.ndarray) -> np.ndarray:
    """Log-odds to which every column matters, gaps and categories among them."""
    clean = np.nan_to_num(x)
    return clean[:, 1] - clean[:, 2] * (x[:, 3] == 2) + (clean[:, 0] % 3) + np.isnan(x[:, 1]) - 1


@pytest.mark.parametrize("kind", ["binary", "multiclass", "count", "regression"])
def test_packed_trees_answer_what_the_library_answers(kind: Any) -> None:
    """Categories that training never had, and gaps where training had none, among them."""
    x, unseen = _table(700, 0, 6), _table(500, 1, 9)
    unseen[:50] = np.nan
    z = _labels(x)
    y = {
        "binary": (z > 0.3).astype(float),
        "multiclass": np.digitize(z, [0, 1]).astype(float),
        "count": np.exp(z / 2).round(),
        "regression": z,
    }[kind]
    settings = {"categorical_features": CATEGORICAL, "random_state": 3, "max_iter": 15}
    names = y.astype(int).astype(str).astype(object) if kind == "multiclass" else y
    codec = fit_codec(Outcome("o", kind, column="o"), names)
    found = boost(codec, x, y, categorical=CATEGORICAL, seed=3, rounds=15).logits(unseen)
    if kind in ("binary", "multiclass"):
        model = HistGradientBoostingClassifier(early_stopping=False, **settings).fit(x, y)
        p = expit(found) if kind == "binary" else softmax(found, axis=1)
        expected = model.predict_proba(unseen)[:, -p.shape[1] :]
        assert np.allclose(p, expected, atol=1e-5)
        assert np.ptp(expected) > 0.5
    else:
        loss = "poisson" if kind == "count" else "squared_error"
        library = HistGradientBoostingRegressor(loss=loss, **settings).fit(x, y)
        said = np.exp(found[:, 0]) if kind == "count" else found[:, 0]
        assert np.allclose(said, library.predict(unseen), rtol=1e-12)
        assert np.ptp(said) > 1


def test_answers_of_a_record_do_not_depend_on_those_beside_it() -> None:
    x = _table(300, 0, 6)
    codec = fit_codec(Outcome("o", "regression", column="o"), _labels(x))
    model = boost(codec, x, _labels(x), categorical=CATEGORICAL, seed=0, rounds=10)
    together = model.logits(x)
    apart = np.concatenate([model.logits(x[[row]]) for row in range(40)])
    assert np.array_equal(together[:40], apart)
    assert model.logits(x[:0]).shape == (0, 1)


def test_classes_that_training_never_had_stay_unlikely() -> None:
    names = np.array(["a", "b", "c"], dtype=object)[np.arange(300) % 3]
    codec = fit_codec(Outcome("o", "multiclass", column="o"), names)
    x = _table(300, 0, 6)
    y = np.where(_labels(x) > 0, 0.0, 2.0)
    p = np.exp(boost(codec, x, y, categorical=CATEGORICAL, seed=0, rounds=20).logits(x))
    assert np.allclose(p.sum(axis=1), 1, atol=1e-4)
    assert p[:, 1].max() < 1e-5
    assert p[y == 2, 2].mean() > 0.8


@pytest.fixture(scope="module")
def trees() -> dict[str, Boosted]:
    """Of outcomes of every kind."""
    cohort = read_cohort(patients_of_every_kind(), EVERY_KIND, "f", patient="id")
    x, how = encoder().ordinal(cohort.features), {"categorical": encoder().categorical}
    return {
        name: boost(codec, x, codec.encode(cohort.targets.values[name]), seed=0, rounds=5, **how)
        for name, codec in codecs().items()
    }


def _scorer(alone: dict[str, str], trees: dict[str, Boosted]) -> PatientsScorer:
    sizes = {name: codec.size for name, codec in codecs().items()}
    shape = Shape(encoder().width, sizes, 8, "tabm", 2, encoder().numbers)
    built, own = network("hard", shape), tuple(n for n, by in alone.items() if by == SINGLE)
    built = (Patched(shape, built, own) if own else built).eval()
    boosted = {name: trees[name] for name, by in alone.items() if by == BOOSTING}
    return PatientsScorer(encoder(), codecs(), built, "hard", shape, {}, alone, boosted)


@pytest.mark.parametrize("name", [outcome.name for outcome in EVERY_KIND])
def test_an_outcome_of_any_kind_is_answered_by_its_trees_after_loading_too(
    name: str, trees: dict[str, Boosted], tmp_path: Path
) -> None:
    other = next(outcome.name for outcome in EVERY_KIND if outcome.name != name)
    scorer = _scorer({name: BOOSTING, other: SINGLE}, trees)
    rows = patients_of_every_kind(60, seed=3)
    answers = packed.load(scorer.save(tmp_path / "package")).predict(rows)
    pd.testing.assert_frame_equal(answers, scorer.predict(rows))
    control = {name: trees[name].logits(encoder().ordinal(rows))}
    expected = predictions({name: codecs()[name]}, control, {})
    pd.testing.assert_frame_equal(answers[list(expected)], expected)
    shared = replace(scorer, alone={}, boosted={}).predict(rows)
    assert not np.allclose(shared[list(expected)], expected)
    assert {path.suffix for path in (tmp_path / "package").iterdir()} == {".json", ".safetensors"}


def test_blocks_answer_what_all_records_at_once_do(
    trees: dict[str, Boosted], monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = _scorer({"grade": BOOSTING, "survival": BOOSTING, "death": SINGLE}, trees)
    rows = patients_of_every_kind(131, seed=3)
    rows.loc[[3, 40, 130], "ward"] = "new"
    monkeypatch.setattr(inference, "ROWS", 16)
    (whole, marks), logits = scorer.predict_noting(rows), scorer.logits(rows)
    monkeypatch.setattr(scorers, "_ROWS", 48)
    monkeypatch.setattr(boosted_trees, "_ROWS", 11)
    answers, noted = scorer.predict_noting(rows)
    pd.testing.assert_frame_equal(answers, whole, check_exact=True)
    assert noted["ward"].tolist() == marks["ward"].tolist()
    assert np.flatnonzero(noted["ward"] == 1).tolist() == [3, 40, 130]
    for name, values in scorer.logits(rows).items():
        assert np.array_equal(values, logits[name]), name


def test_packages_that_list_single_task_outcomes_are_still_read(
    trees: dict[str, Boosted], tmp_path: Path
) -> None:
    scorer = _scorer({"stay": SINGLE}, trees)
    description = scorer.save(tmp_path) / packed.DESCRIPTION
    stored = json.loads(description.read_text())
    description.write_text(json.dumps({**stored, "alone": ["stay"]}))
    loaded, rows = load_scorer(tmp_path), patients_of_every_kind(20, seed=3)
    assert loaded.alone == {"stay": SINGLE}
    pd.testing.assert_frame_equal(loaded.predict(rows), scorer.predict(rows))


Arrays = dict[str, np.ndarray]


def _put(name: str, value: float) -> Callable[[Arrays], Arrays]:
    def changed(arrays: Arrays) -> Arrays:
        made = arrays[name].copy()
        made.flat[0] = value
        return {**arrays, name: made}

    return changed


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_put("death/left", 0), "points back"),
        (_put("death/right", 10**6), "points back or nowhere"),
        (_put("death/roots", -1), "nowhere"),
        (_put("death/feature", 40), "a column beyond the 4"),
        (_put("death/value", np.nan), "without a number"),
        (lambda arrays: {**arrays, "death/left": arrays["death/left"][:-1]}, "go together"),
        (lambda arrays: {**arrays, "death/value": arrays["death/left"]}, "int32 for value"),
        (lambda arrays: {k: v for k, v in arrays.items() if k != "death/codes"}, "none for codes"),
        (lambda arrays: {**arrays, "place/classes": np.array([0, 9, 1])}, "3 trees a round for 3"),
        (lambda arrays: {**arrays, "place/classes": np.array([0, 1])}, "for 2 of 3 classes"),
    ],
)
def test_trees_that_were_tampered_with_are_refused(
    change: Callable[[Arrays], Arrays], said: str, trees: dict[str, Boosted], tmp_path: Path
) -> None:
    folder = _scorer({"death": BOOSTING, "place": BOOSTING}, trees).save(tmp_path)
    save_file(change(load_file(folder / BOOSTED)), folder / BOOSTED)
    with pytest.raises(InputError, match=said) as raised:
        load_scorer(folder)
    assert "fetch the model again" in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("content", [None, b"", b"\x80\x04not safetensors"])
def test_a_file_that_holds_no_trees_is_refused(
    content: bytes | None, trees: dict[str, Boosted], tmp_path: Path
) -> None:
    folder = _scorer({"death": BOOSTING}, trees).save(tmp_path)
    path = folder / BOOSTED
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(InputError, match="expected the boosted trees of death"):
        load_scorer(folder)
