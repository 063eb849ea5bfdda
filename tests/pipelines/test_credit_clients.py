"""What federated training reads: slices of one mapped file, whoever's records they are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from models.federated.clients import Records
from pipelines.settings import load_config
from pipelines.steps.credit.charge import charge, find_loans
from pipelines.steps.credit.prepare import Prepared, prepare
from pipelines.steps.credit.training import training_rows
from pipelines.tracking import open_job
from tests.domains.sample_loans import sample_loans


@pytest.fixture
def prepared(tmp_path: Path, home: Path) -> Iterator[Prepared]:
    sample_loans(600).to_csv(tmp_path / "loans.csv", index=False)
    job = {
        "data": {
            "path": "loans.csv",
            "name": "loans",
            "public": True,
            "date": "approved",
            "out_of_time": "2007-01-01",
        },
        "target": {"column": "defaulted", "positive": 1},
        "clients": {"column": "bank"},
        "privacy": None,
    }
    (tmp_path / "job.json").write_text(json.dumps(job))
    with open_job("credit", load_config("credit", tmp_path / "job.json")) as opened:
        yield prepare.fn(opened, charge.fn(opened, find_loans.fn(opened)))


def _own(prepared: Prepared, name: str, rows: np.ndarray) -> np.ndarray:
    return np.flatnonzero(rows & (prepared.facts["client"] == name).to_numpy())


@pytest.mark.parametrize("early", [False, True])
def test_each_client_has_its_own_training_records_where_they_lie(
    prepared: Prepared, early: bool
) -> None:
    rows = training_rows(prepared)
    if early:
        rows = rows & ~prepared.facts["later"].to_numpy()
    clients, codes = prepared.clients(rows), prepared.codes
    held = 0
    for client in clients:
        mine = _own(prepared, client.name, rows)
        assert np.array_equal(client.features.numpy(), codes[mine])
        assert np.array_equal(client.target.numpy(), prepared.facts["y"].to_numpy()[mine])
        held += len(mine)
    assert held == rows.sum() > 0
    assert len(Records(clients).base) == len(codes)  # the mapped file itself: nothing is copied


def test_all_clients_training_records_lie_one_after_the_other(prepared: Prepared) -> None:
    records = Records(prepared.clients(training_rows(prepared)))
    order = np.argsort(records.rows)
    ends = records.rows[order] + records.sizes[order]
    assert np.array_equal(ends[:-1], records.rows[order][1:])


def test_records_with_gaps_between_them_are_taken_all_the_same(prepared: Prepared) -> None:
    rows = training_rows(prepared) & (np.arange(len(prepared.codes)) % 3 > 0)
    for client in prepared.clients(rows):
        mine = _own(prepared, client.name, rows)
        assert np.array_equal(client.features.numpy(), prepared.codes[mine])


def test_a_client_without_records_has_none(prepared: Prepared) -> None:
    (client,) = prepared.clients(training_rows(prepared), {"nobody": 10})
    assert client.features.shape == (0, prepared.encoder.width)
    assert len(client.target) == 0


def test_codes_in_pieces_are_the_codes_of_the_whole(prepared: Prepared) -> None:
    assert np.array_equal(prepared.codes, prepared.encoder.encode(prepared.frame))
