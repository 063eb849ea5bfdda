"""Records that stay on disk as codes train the same network as records in memory."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from domains.healthcare.patients import read_cohort
from models.multitask import masked
from models.multitask.coded import Coded
from models.multitask.learning import Learned, Recipe, train
from models.multitask.masked import Records
from tests.domains.sample_patients import EVERY_KIND, patients_of_every_kind
from tests.models import sample_outcomes

RECIPE = Recipe("hard", hidden=16, epochs=3, patience=3, seed=0, trunk="tabm", members=2)


def _on_disk(folder: Path) -> tuple[Records, Records]:
    encoder, found = sample_outcomes.encoder(), []
    for seed, records in enumerate(sample_outcomes.records()):
        frame = patients_of_every_kind(seed=seed)
        features = read_cohort(frame, EVERY_KIND, "f", patient="id").features
        np.save(folder / f"{seed}.npy", encoder.code(features))
        codes = np.load(folder / f"{seed}.npy", mmap_mode="r")
        found.append(replace(records, x=Coded(codes, encoder)))
    return found[0], found[1]


def _same(one: Learned, other: Learned) -> bool:
    pairs = zip(one.network.state_dict().values(), other.network.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_the_same_network_bit_by_bit(tmp_path: Path) -> None:
    codecs = sample_outcomes.codecs()
    in_memory = train(RECIPE, codecs, *sample_outcomes.records())
    on_disk = train(RECIPE, codecs, *_on_disk(tmp_path))
    assert _same(in_memory, on_disk)
    assert on_disk.histories[0].history == in_memory.histories[0].history
    assert np.array_equal(on_disk.cosines, in_memory.cosines)


def test_rows_come_in_the_order_asked_for(tmp_path: Path) -> None:
    x, coded = sample_outcomes.records()[0].x, _on_disk(tmp_path)[0].x
    assert isinstance(x, np.ndarray)
    assert isinstance(coded, Coded)
    assert coded.shape == x.shape
    for rows in (torch.tensor([7, 2, 2, 899]), slice(3, 9), slice(890, 1000)):
        assert np.array_equal(coded[rows].numpy(), x[rows])


def test_validation_by_pieces_scores_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    codecs, records = sample_outcomes.codecs(), sample_outcomes.records()
    at_once = train(RECIPE, codecs, *records)
    monkeypatch.setattr(masked, "_ROWS", 200)
    pieces = train(RECIPE, codecs, *records)
    scores = [
        [point["validation"] for point in each.histories[0].history] for each in (at_once, pieces)
    ]
    assert scores[0] == pytest.approx(scores[1], abs=1e-5)
    assert _same(at_once, pieces)
