"""A private job that is taken up again has paid for all that was noised, and for nothing twice."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from prefect.exceptions import TerminationSignal

from domains.banking.credit import read_loans
from domains.errors import InputError, Refused, Waiting
from models.credit_encoding import Encoder
from pipelines.life import jobs, lives, reopening
from pipelines.services import recovery
from pipelines.settings import CreditConfig, ledger_path, load_config
from pipelines.status import needs, snapshot, text
from pipelines.steps.credit import charge as charging
from pipelines.steps.credit import prepare as preparing
from pipelines.steps.credit.charge import charge, find_loans
from pipelines.steps.credit.prepare import Prepared, prepare
from pipelines.tracking import Job, open_job
from privacy.ledger import Ledger
from privacy.plan import PrivacyPlan
from tests.domains.sample_loans import sample_loans
from tests.pipelines.life.sample_jobs import killed, only_crashed, taken_up

pytestmark = pytest.mark.usefixtures("home")
SETUP = [{"kind": "gaussian", "sigma": 9.0, "count": 1}]
OWNERS = {"loans/North", "loans/South", "loans/West"}


@pytest.fixture(autouse=True)
def quick_plan(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plan that need not be searched for."""
    plan = PrivacyPlan(2, 1, 0.2, 20.0, 1e-4, 2.0, 1.0, 9.0, 2, 1e-6)
    monkeypatch.setattr(charging, "calibrate", lambda *_, **__: plan)


def _config(folder: Path, epsilon: float = 60.0, frame: Any = None) -> CreditConfig:
    (sample_loans(300) if frame is None else frame).to_csv(folder / "loans.csv", index=False)
    job = {
        "data": {"path": "loans.csv", "name": "loans"},
        "target": {"column": "defaulted", "positive": 1},
        "clients": {"column": "bank"},
        "exclude": ["approved", "sex"],
        "bounds": {"amount": [0, 1e6]},
        "privacy": {"epsilon": 20, "delta": 1e-4, "grant": {"epsilon": epsilon, "delta": 1e-4}},
        "release": "metrics",
    }
    (folder / "job.json").write_text(json.dumps(job))
    config = load_config("credit", folder / "job.json")
    assert isinstance(config, CreditConfig)
    return config


def _work(config: CreditConfig) -> Prepared:
    with open_job("credit", config) as job:
        return prepare.fn(job, charge.fn(job, find_loans.fn(job)))


def _die(
    patch: pytest.MonkeyPatch, config: CreditConfig, place: Any, name: str, *, after: bool = True
) -> str:
    """A job that a function ends, once, before or after its work; its run id."""
    whole, calls = getattr(place, name), []

    def cut(*words: Any, **named: Any) -> Any:
        calls.append(name)
        done = whole(*words, **named) if after or len(calls) > 1 else None
        if len(calls) == 1:
            raise killed()
        return done

    patch.setattr(place, name, cut)
    with pytest.raises(TerminationSignal):
        _work(config)
    return only_crashed().run_id


def _take_up(run_id: str, config: CreditConfig) -> Prepared:
    with taken_up(run_id):
        return _work(config)


def _spy(encode: Any, seen: list[str]) -> Any:
    """Remember which encoder encodes."""

    def spied(self: Encoder, frame: Any) -> Any:
        seen.append(json.dumps(self.to_json()))
        return encode(self, frame)

    return spied


def _setups(run_id: str) -> dict[str, int]:
    charged = Ledger(ledger_path()).charged(run_id)
    return {owner: events.count(SETUP[0]) for owner, events in charged.items()}


@pytest.mark.parametrize(
    ("place", "name", "charges"),
    [(Ledger, "reserve", 1), (preparing, "read_loans", 1), (preparing, "noised_summary", 2)],
)
def test_a_killed_job_is_charged_again_only_where_it_may_have_noised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: Any, name: str, charges: int
) -> None:
    config = _config(tmp_path)
    run_id = _die(monkeypatch, config, place, name)
    assert Ledger(ledger_path()).standing(run_id) == "reserved"
    _take_up(run_id, config)
    assert _setups(run_id) == dict.fromkeys(OWNERS, charges)
    assert (Ledger(ledger_path()).standing(f"{run_id}.2") == "unknown") == (charges == 1)


def test_counts_that_were_kept_are_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = _config(tmp_path)
    run_id = _die(monkeypatch, config, preparing, "log_data", after=False)
    folder = jobs.folder_of(run_id) / "loans"
    before = (folder / "encoder.json").read_text()
    seen: list[str] = []
    monkeypatch.setattr(Encoder, "encode", _spy(Encoder.encode, seen))
    _take_up(run_id, config)
    assert seen == [before]
    assert _setups(run_id) == dict.fromkeys(OWNERS, 1)


def test_what_the_grant_does_not_cover_a_second_time_waits_for_a_larger_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = _config(tmp_path, epsilon=4.1)
    run_id = _die(monkeypatch, config, preparing, "noised_summary")
    spent = [b.epsilon_spent for b in Ledger(ledger_path()).budgets()]
    for owner in OWNERS:
        Ledger(ledger_path()).grant(owner, max(spent) + 1e-3, 1e-4)
    for _ in range(reopening.MOST_ATTEMPTS):  # waiting is no attempt
        with pytest.raises(Waiting, match=f"budget grant .*careledger resume {run_id}"):
            _take_up(run_id, config)
    assert [b.epsilon_spent for b in Ledger(ledger_path()).budgets()] == spent
    _nobody_but_a_person_takes_it_up(run_id)
    for owner in OWNERS:
        Ledger(ledger_path()).grant(owner, 60, 1e-4)
    _take_up(run_id, config)
    assert _setups(run_id) == dict.fromkeys(OWNERS, 2)
    assert lives.crashed() == []


def _nobody_but_a_person_takes_it_up(run_id: str) -> None:
    assert "budget grant" in only_crashed().waits
    assert lives.recover(run_id) == "waiting"
    assert recovery.gone() == []
    (need,) = [need for need in needs.people(snapshot.take()) if "a run waits" in need.what]
    assert "granted ε" in need.what
    assert need.command.startswith("careledger budget grant loans/")
    assert "waits for a grant in prepare" in text.tell(snapshot.take())


def test_a_mistake_found_after_noising_may_have_begun_gives_nothing_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = _config(tmp_path)
    run_id = _die(monkeypatch, config, preparing, "noised_summary")
    monkeypatch.setattr(preparing, "check_monotone", _mistaken)
    with pytest.raises(InputError, match="a mistake"):
        _take_up(run_id, config)
    assert Ledger(ledger_path()).standing(run_id) == "reserved"


def _mistaken(*_: Any) -> None:
    raise InputError("a mistake")


def test_a_job_whose_charge_was_given_back_noises_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = _config(tmp_path, frame=sample_loans(300).assign(defaulted=None))
    run_id = _die(monkeypatch, config, Ledger, "cancel")
    assert Ledger(ledger_path()).standing(run_id) == "cancelled"
    _config(tmp_path)  # mended
    with pytest.raises(Refused, match="was given back; train again"):
        _take_up(run_id, config)


@pytest.mark.parametrize(
    ("place", "name"), [(Ledger, "reserve"), (preparing, "read_loans"), (preparing, "log_data")]
)
def test_another_file_in_place_of_the_one_charged_for_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: Any, name: str
) -> None:
    """As many records of the same owners; the charge waits for the right file."""
    config = _config(tmp_path)
    run_id = _die(monkeypatch, config, place, name, after=name == "reserve")
    for change in (lambda: _config(tmp_path, frame=_others()), (tmp_path / "loans.csv").unlink):
        change()
        with pytest.raises(Refused, match=rf"loans\.csv: expected the file .* {run_id}.*put that"):
            _take_up(run_id, config)
    assert Ledger(ledger_path()).standing(run_id) == "reserved"
    (need,) = [need for need in needs.people(snapshot.take()) if "a run waits" in need.what]
    assert need.command == f"careledger resume {run_id}"
    assert "waits for the file it was charged for" in text.tell(snapshot.take())
    _take_up(run_id, _config(tmp_path))
    assert _setups(run_id) == dict.fromkeys(OWNERS, 1)


def test_a_file_that_is_exchanged_while_it_is_read_is_not_trained_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = _config(tmp_path)

    def exchanged(*words: Any) -> Any:
        _config(tmp_path, frame=_others())
        return read_loans(*words)

    monkeypatch.setattr(preparing, "read_loans", exchanged)
    with pytest.raises(Waiting, match=r"loans\.csv: expected the file that run"):
        _work(config)
    (folder,) = jobs.folders()
    assert not (folder / "noising").exists()
    assert Ledger(ledger_path()).standing(folder.name) == "reserved"


def _others() -> pd.DataFrame:
    frame = sample_loans(300)
    return frame.assign(amount=frame["amount"] + 1)


def test_attempts_number_what_is_charged_again() -> None:
    with open_job("credit", load_config("credit")) as job:
        assert isinstance(job, Job)
        assert job.charge_id == f"{job.run_id}.1"
