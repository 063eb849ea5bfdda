"""Outcomes that oppose each other are told, grouped apart, and answered by nets of their own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from domains.errors import InputError
from models import scorer as packed
from models.multitask.grouping import conflicts, proposed
from models.multitask.named import network
from models.multitask.patched import SINGLE, Patched
from models.multitask.scorer import PatientsScorer
from models.multitask.shape import Shape
from tests.domains.sample_patients import EVERY_KIND, patients_of_every_kind
from tests.models.sample_outcomes import codecs, encoder

SIZES = {"a": 1, "b": 3, "c": 2}
ANGLES = np.array([[1, -0.3, 0.5], [-0.3, 1, -0.1], [0.5, -0.1, 1]])


def test_outcomes_that_agree_are_grouped_and_those_that_oppose_are_told_worst_first() -> None:
    assert proposed(ANGLES, list("abc")) == (("a", "c"), ("b",))
    assert proposed(np.abs(ANGLES), list("abc")) == (("a", "b", "c"),)
    assert [pair[:2] for pair in conflicts(ANGLES, list("abc"))] == [("a", "b"), ("b", "c")]


@given(st.integers(1, 7), st.integers(0, 10_000))
def test_groups_hold_every_outcome_once(count: int, seed: int) -> None:
    rows = np.random.default_rng(seed).normal(size=(count, 3))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    names = [f"o{place}" for place in range(count)]
    groups = proposed(unit @ unit.T, names)
    assert sorted(name for group in groups for name in group) == names


def test_groups_share_nothing_with_each_other() -> None:
    torch.manual_seed(0)
    made = network("groups", Shape(5, SIZES, 8, groups=(("a", "c"), ("b",))))
    assert [part.names for part in made.independent()] == [("a", "c"), ("b",)]
    assert list(made(torch.zeros(2, 5))) == list(SIZES)
    with pytest.raises(InputError, match="outcome c is named 0 times"):
        network("groups", Shape(5, SIZES, 8, groups=(("a", "b"),)))
    with pytest.raises(InputError, match="there is no outcome d, expected each of a"):
        network("groups", Shape(5, SIZES, 8, groups=(("a", "b", "c", "d"),)))


def test_some_outcomes_are_answered_by_networks_of_their_own_after_loading_too(
    tmp_path: Path,
) -> None:
    torch.manual_seed(0)
    found = codecs()
    sizes = {name: codec.size for name, codec in found.items()}
    shape = Shape(encoder().width, sizes, 8, "tabm", 2, encoder().numbers, groups=(tuple(sizes),))
    main, single = network("groups", shape).eval(), network("none", shape).eval()
    patched = Patched(shape, main, ("stay", "grade"))
    patched.take(single)
    whole = PatientsScorer(encoder(), found, main, "groups", shape)
    alone = dict.fromkeys(("stay", "grade"), SINGLE)
    mixed = replace(whole, network=patched.eval(), alone=alone)
    apart = replace(whole, network=single, sharing="none")
    rows = patients_of_every_kind(40, seed=3)
    answers = packed.load(mixed.save(tmp_path / "package")).predict(rows)
    pd.testing.assert_frame_equal(answers, mixed.predict(rows))
    for outcome in EVERY_KIND:
        own, other = (apart, whole) if outcome.name in mixed.alone else (whole, apart)
        columns = list(found[outcome.name].columns)
        pd.testing.assert_frame_equal(answers[columns], own.predict(rows)[columns])
        assert not np.allclose(answers[columns], other.predict(rows)[columns])
