"""What columns add to a prediction: the properties that make it a fair division."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import combinations
from math import factorial
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from domains.healthcare.cohort.features import Encoder, fit_encoder
from domains.healthcare.outcomes.codec import Codec, fit_codec
from domains.healthcare.outcomes.spec import Outcome
from domains.healthcare.patients import read_cohort
from models.multitask.explaining import explained, in_words, on_scale, reasons, shapley
from models.multitask.named import network
from models.multitask.scorer import PatientsScorer
from models.multitask.shape import Shape
from tests.domains.sample_patients import EVERY_KIND, patients_of_every_kind, sample_patients
from tests.models.sample_outcomes import codecs, encoder

COLUMNS = ["age", "lab", "ward", "smoker"]


@dataclass(frozen=True)
class Known:
    """A model of one yes or no whose log-odds are a known function of the raw columns."""

    encoder: Encoder
    codecs: Mapping[str, Codec]
    log_odds: Callable[[pd.DataFrame], Any]

    def predict(self, inputs: pd.DataFrame) -> pd.DataFrame:
        """One column, `death`."""
        return pd.DataFrame({"death": expit(np.asarray(self.log_odds(inputs), dtype=float))})


def known(log_odds: Callable[[pd.DataFrame], Any], frame: pd.DataFrame) -> Known:
    codec = fit_codec(Outcome("death", "binary", column="died"), np.array([0.0, 1.0] * 10))
    return Known(fit_encoder(frame), {"death": codec}, log_odds)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return sample_patients(60, seed=4)[COLUMNS].assign(twin=lambda rows: rows["age"])


@pytest.fixture(scope="module")
def scorer() -> PatientsScorer:
    sizes = {name: codec.size for name, codec in codecs().items()}
    shape = Shape(encoder().width, sizes, 8, "tabm", 3, encoder().numbers)
    built = network("hard", shape).eval()
    return PatientsScorer(encoder(), codecs(), built, "hard", shape)


def test_shares_add_up_to_the_distance_from_the_typical_record(scorer: PatientsScorer) -> None:
    cohort = read_cohort(patients_of_every_kind(30, seed=5), EVERY_KIND, "f", patient="id")
    shares = explained(scorer, cohort.features)
    told = on_scale(scorer.codecs, scorer.predict(cohort.features))
    assert shares.values.shape == (30, 4, told.shape[1])
    np.testing.assert_allclose(shares.values.sum(axis=1) + shares.typical, told, atol=1e-6)
    typical = on_scale(scorer.codecs, scorer.predict(scorer.encoder.typical()))
    np.testing.assert_allclose(shares.typical, typical[0], atol=1e-6)
    assert {answer.outcome for answer in shares.answers} == set(scorer.codecs)


def test_a_column_that_the_model_ignores_has_no_share(frame: pd.DataFrame) -> None:
    shares = explained(known(lambda rows: rows["age"] * rows["smoker"] / 60, frame), frame)
    size = dict(zip(shares.columns, shares.by_outcome()["death"], strict=True))
    assert size["lab"] == size["ward"] == size["twin"] == 0
    assert size["age"] > 0.01
    assert size["smoker"] > 0.01


def test_columns_that_do_the_same_share_alike(frame: pd.DataFrame) -> None:
    """Whether they add up or work through each other."""
    model = known(lambda rows: (rows["age"] + rows["twin"]) / 60, frame)
    together = known(lambda rows: rows["age"] * rows["twin"] / 3600 + rows["smoker"], frame)
    for each in (model, together):
        shares = explained(each, frame)
        age, twin = (shares.columns.index(name) for name in ("age", "twin"))
        np.testing.assert_allclose(shares.values[:, age], shares.values[:, twin], atol=1e-9)


def test_a_term_of_a_column_alone_is_its_share(frame: pd.DataFrame) -> None:
    model = known(lambda rows: rows["age"] / 60 + (rows["ward"] == "surgery"), frame)
    shares, typical = explained(model, frame), model.encoder.typical().iloc[0]
    age, ward = (shares.values[:, shares.columns.index(name), 0] for name in ("age", "ward"))
    np.testing.assert_allclose(age, (frame["age"] - typical["age"]) / 60, atol=1e-6)
    surgery = (frame["ward"] == "surgery").astype(float) - float(typical["ward"] == "surgery")
    np.testing.assert_allclose(ward, surgery, atol=1e-6)


def test_a_missing_value_is_told_with_its_column(frame: pd.DataFrame) -> None:
    shares = explained(known(lambda rows: 2.0 * rows["lab"].isna(), frame), frame)
    lab = shares.values[:, shares.columns.index("lab"), 0]
    np.testing.assert_allclose(lab, 2.0 * frame["lab"].isna(), atol=1e-6)


def _value(own: np.ndarray) -> np.ndarray:
    """A game of five players with terms of one, two, three and four of them, and of a record."""
    a, b, c, d, e = own.T.astype(float)
    return a + 2 * a * b - 3 * b * c * d + 4 * a * c * d * e


def _exact(players: int) -> np.ndarray:
    found = np.zeros(players)
    for one in range(players):
        others = [other for other in range(players) if other != one]
        for size in range(players):
            weight = factorial(size) * factorial(players - size - 1) / factorial(players)
            for some in combinations(others, size):
                before = np.isin(np.arange(players), some)
                after = before | (np.arange(players) == one)
                found[one] += weight * (_value(after[None]) - _value(before[None]))[0]
    return found


def test_many_orders_give_the_shapley_values_themselves() -> None:
    found = shapley(lambda _, own: _value(own)[:, None], records=1, columns=5, orders=4000)
    np.testing.assert_allclose(found[0, :, 0], _exact(5), atol=0.05)


def test_a_few_orders_are_exact_where_columns_work_in_pairs() -> None:
    def pairs(_: np.ndarray, own: np.ndarray) -> np.ndarray:
        a, b, c, d = own.T.astype(float)
        return (a + 2 * a * b - 6 * c * d + 4 * a * d)[:, None]

    found = shapley(pairs, records=1, columns=4, orders=2)
    np.testing.assert_allclose(found[0, :, 0], [1 + 1 + 2, 1, -3, -3 + 2])


def test_a_record_is_explained_alike_whatever_it_came_with(scorer: PatientsScorer) -> None:
    rows = sample_patients(12, seed=6)
    together = explained(scorer, rows).values
    alone = np.concatenate([explained(scorer, rows.iloc[[place]]).values for place in range(12)])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_reasons_are_the_largest_shares_of_the_most_probable_class(scorer: PatientsScorer) -> None:
    rows = sample_patients(12, seed=6)
    shares, predicted = explained(scorer, rows), scorer.predict(rows)
    columns = [answer.column for answer in shares.answers]
    for place, found in enumerate(reasons(shares, predicted, top=2)):
        classes = predicted.filter(like="place.").iloc[place]
        named = list(dict.fromkeys(reason.answer for reason in found))
        expected = ["death", classes.idxmax(), "stay", "survival.risk", "grade.expected"]
        assert named == [*expected, "falls", "relapse.risk"]
        for answer in named:
            own = [reason for reason in found if reason.answer == answer]
            assert {reason.outcome for reason in own} == {answer.partition(".")[0]}
            values = shares.values[place, :, columns.index(answer)]
            assert [abs(reason.change) for reason in own] == sorted(np.abs(values))[:-3:-1]
            for reason in own:
                assert reason.change == values[shares.columns.index(reason.column)]


def test_reasons_in_words_are_the_same_ones_with_their_direction(scorer: PatientsScorer) -> None:
    rows = sample_patients(5, seed=6)
    rows.index = pd.Index([4, 4, 7, 1, 0])
    words = in_words(scorer, rows)
    assert list(words.index) == list(rows.index)
    for place, found in enumerate(reasons(explained(scorer, rows), scorer.predict(rows))):
        said = [f"{'+' if r.change > 0 else '-'}{r.column}" for r in found if r.outcome == "death"]
        assert words.filter(like="death.").iloc[place].tolist() == said + [None] * (4 - len(said))


def test_the_typical_record_has_no_reasons(scorer: PatientsScorer) -> None:
    words = in_words(scorer, scorer.encoder.typical())
    assert words.isna().all(axis=None)
