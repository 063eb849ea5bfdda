"""Reasons against counterfactuals: on a model that adds features up the two always agree."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import numpy as np
import pandas as pd
import pytest

from domains.banking.features import Categorical, Derived, Numeric
from models.credit import CreditScorer, build
from models.credit_counterfactuals import agreement, at_reference
from models.credit_encoding import Coding, Encoder
from models.credit_reasons import references
from models.trees import Boosting, run
from models.trees import build as grow
from privacy.plan import Schedule
from tests.domains.sample_loans import sample_loans
from tests.models.sample_card import sample_card
from tests.models.trees.sample_trees import ENCODER as TREES
from tests.models.trees.sample_trees import banks

RNG = np.random.default_rng(2)
FRAME = pd.DataFrame(
    {
        "amount": RNG.uniform(0, 5e4, 200),
        "income": RNG.uniform(1e3, 6e4, 200),
        "purpose": RNG.choice(["car", "home", "boat"], 200),
    }
)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_every_reason_of_a_scorecard_is_confirmed(seed: int) -> None:
    encoder = sample_card("steps", seed).encoder
    found = agreement(sample_card("steps", seed), FRAME)
    assert found.fixed == ("amount", "income", "burden")  # amount and income make burden too
    assert found.agreed == found.named > 0
    assert found.named + found.others == len(FRAME) * (len(encoder.features) - len(found.fixed))


@pytest.mark.parametrize("kind", ["linear", "steps", "bins"])
@pytest.mark.parametrize("edges", [(0.0, 10.0, 20.0), (0.0, 1.0, 2.0, 5.0), (0.0, 9.0)])
def test_the_raw_values_of_a_reference_have_its_codes(
    kind: Literal["linear", "steps", "bins"], edges: tuple[float, ...]
) -> None:
    feature = Numeric("x", edges)
    encoder = Encoder((feature,), coding=Coding(kind))
    moves = at_reference(encoder, feature)
    assert moves is not None
    codes = encoder.encode(pd.DataFrame(moves)) / encoder.scales[0]
    expected = references(feature, encoder.coding).mean(axis=0)
    assert codes.mean(axis=0) == pytest.approx(expected, abs=1e-6)


def test_a_derived_category_is_moved_by_its_raw_column() -> None:
    sector = Categorical("sector", ("11", "52"))
    encoder = Encoder((sector,), (Derived("sector", "prefix", ("code",)),))
    moves = at_reference(encoder, sector)
    assert moves == [{"code": "110000"}, {"code": "520000"}]
    codes = encoder.encode(pd.DataFrame(moves))
    assert (codes > 0).tolist() == [[True, False, False, False], [False, True, False, False]]


def test_on_a_net_disagreement_is_counted_not_hidden() -> None:
    encoder = Encoder((Numeric("amount", (0.0, 1e4, 3e4)), Categorical("purpose", ("car", "home"))))
    found = agreement(CreditScorer(encoder, build(encoder.width, 4, seed=1)), FRAME, top=1)
    assert 0 < found.agreed <= found.named <= len(FRAME)
    assert found.others_lowered <= found.others
    assert found.fixed == ()


@pytest.mark.parametrize("interaction", [1, 2])
def test_every_reason_of_trees_is_confirmed(interaction: int) -> None:
    """Each is the very change that the counterfactual makes, whatever else its trees ask about."""
    encoder = replace(TREES, derived=(), features=TREES.features[:3])
    clients = [replace(bank, features=bank.features[:, :3]) for bank in banks()]
    model = grow(encoder, 24, 3, interaction)
    run(model, clients, Schedule(6, 4, 1.0), Boosting(1.0))
    found = agreement(CreditScorer(encoder, model, 0.9, -0.2), sample_loans(300, seed=8))
    assert found.fixed == ()
    assert found.agreed == found.named > 100
    assert found.others > 0
    assert found.others_lowered < found.agreed
