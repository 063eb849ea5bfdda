"""Trainings of a job that is killed and taken up again: the same arms, and every charge."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from domains.errors import Refused
from models.checkpoint import Checkpoint
from models.federated import FedAvg
from models.multitask.grouping import proposed
from pipelines.life.arms import checkpoint, once
from pipelines.settings import CreditConfig, ledger_path, load_config
from pipelines.settings import Job as Config
from pipelines.steps.credit import controls
from pipelines.steps.credit.charge import charge, find_loans
from pipelines.steps.credit.prepare import Prepared
from pipelines.steps.credit.prepare import prepare as prepare_loans
from pipelines.steps.credit.statement import statement
from pipelines.steps.credit.training import FEDERATED, train_federated
from pipelines.steps.imaging import training as imaging
from pipelines.steps.imaging.bases import find_bases
from pipelines.steps.imaging.prepare import prepare_images
from pipelines.steps.patients import training as patients
from pipelines.steps.patients.prepare import fetch_data
from pipelines.steps.patients.prepare import prepare as prepare_patients
from pipelines.tracking import Job, open_job
from privacy.accounting import epsilon_of
from privacy.ledger import Ledger
from tests.domains.sample_images import write_folder, write_manifest
from tests.domains.sample_loans import sample_loans
from tests.domains.sample_patients import sample_patients
from tests.models.interrupted import Killed, in_spite_of_kills, killed_after
from tests.pipelines.sample_credit import PRIVATE


@dataclass(frozen=True)
class Made:
    """What a training leaves, as far as `once` is concerned."""

    file: Path
    seconds: float


def _config(pipeline: str, folder: Path, **keys: Any) -> Config:
    (folder / "job.yaml").write_text(json.dumps({"scale": "tiny", **keys}))  # JSON is YAML
    return load_config(pipeline, folder / "job.yaml")


def _loans(folder: Path, **keys: Any) -> Config:
    sample_loans().to_csv(folder / "loans.csv", index=False)
    return _config("credit", folder, **{**PRIVATE, **keys, "scale": "full"})


def _prepared(job: Job) -> Prepared:
    return prepare_loans.fn(job, charge.fn(job, find_loans.fn(job)))


def test_what_is_finished_is_made_once(tmp_path: Path, home: Path) -> None:
    with open_job("credit", _loans(tmp_path)) as job:
        made = Made(job.folder / "net.npy", 1.5)

        def make() -> Made:
            made.file.touch()
            return made

        def again() -> Made:
            raise AssertionError("it is made again")

        assert once(job, Made, "out of time, trees", make) == made
        assert once(job, Made, "out of time, trees", again) == made


def test_what_other_code_has_written_is_made_again(tmp_path: Path, home: Path) -> None:
    with open_job("credit", _loans(tmp_path)) as job:
        made = Made(tmp_path / "loans.csv", 1.0)
        once(job, Made, "arm", lambda: made)
        (job.folder / "arms" / "arm.json").write_text('{"class": "Made", "seconds": "long"}')
        assert once(job, Made, "arm", lambda: replace(made, seconds=2.0)).seconds == 2.0


def test_what_failed_is_made_again(tmp_path: Path, home: Path) -> None:
    with open_job("credit", _loans(tmp_path)) as job:
        made = Made(tmp_path, 1.0)

        def killed() -> Made:
            raise Killed

        with pytest.raises(Killed):
            once(job, Made, "arm", killed)
        assert once(job, Made, "arm", lambda: made) == made


def test_an_arm_has_its_checkpoint_in_the_jobs_folder(tmp_path: Path, home: Path) -> None:
    with open_job("credit", _loans(tmp_path)) as job:
        path = checkpoint(job, "no noise").path
        assert path == job.folder / "checkpoints" / "no-noise.safetensors"


def _whole_and_killed(
    pipeline: str, config: Config, train: Callable[[Job], list[Any]], every: int
) -> tuple[list[Any], list[Any], int]:
    """Logits or probabilities by arm, and histories, without and with kills."""
    with open_job(pipeline, config) as job:
        whole = [_read(each) for each in train(job)]
    with open_job(pipeline, config) as job:
        trained, kills = in_spite_of_kills(lambda: train(job), every)
        return whole, [_read(each) for each in trained], kills


def _read(trained: Any) -> tuple[str, bytes, list[dict[str, float]]]:
    path = trained.scores if hasattr(trained, "scores") else trained.logits
    return trained.name, path.read_bytes(), trained.history


def test_credit_without_privacy_is_the_same_after_any_number_of_kills(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = {**PRIVATE["data"], "public": True, "date": "approved", "out_of_time": "2007-01-01"}
    config = _loans(tmp_path, data=data, privacy=None, release=None, exclude=[])
    short = {model: (replace(long, rounds=8), how) for model, (long, how) in controls._LONG.items()}
    monkeypatch.setattr(controls, "_LONG", short)

    def train(job: Job) -> list[Any]:
        loans = _prepared(job)
        return [train_federated.fn(job, loans), *controls.train_controls.fn(job, loans)]

    whole, killed, kills = _whole_and_killed("credit", config, train, every=3)
    assert killed == whole
    assert isinstance(config, CreditConfig)
    others = [each.model for each in config.others()]
    made = [controls.PLAIN, controls.ALONE, controls.POOLED, controls.BOOSTING]
    later = [controls.LATER, controls.LATER_BOOSTING]
    assert [name for name, _, _ in killed] == [FEDERATED, *others, *made, *later]
    assert kills > 10


def test_patients_are_the_same_after_any_number_of_kills(tmp_path: Path, home: Path) -> None:
    sample_patients(visits=2).to_csv(tmp_path / "visits.csv", index=False)
    data = {"path": "visits.csv", "patient": "id", "public": True}
    outcomes = [
        {"name": "death", "kind": "binary", "column": "died"},
        {
            "name": "stay",
            "kind": "regression",
            "column": "days",
            "transform": "log1p",
            "missing": [-1],
        },
    ]
    config = _config("patients", tmp_path, data=data, outcomes=outcomes, epochs=4)

    names: list[str] = []

    def train(job: Job) -> list[Any]:
        cohort = prepare_patients.fn(job, fetch_data.fn(job))
        model = patients.train_model.fn(job, cohort)
        opposed = len(proposed(model.angles().mean(axis=0), list(cohort.read_rules()[1]))) > 1
        names[:] = ["shared", *["grouped"] * opposed, "single-task", "boosting"]
        return [model, *patients.train_controls.fn(job, cohort, model)]

    whole, killed, kills = _whole_and_killed("patients", config, train, every=2)
    assert killed == whole
    assert [name for name, _, _ in killed] == names
    assert kills >= 4


@pytest.mark.usefixtures("known_key")
def test_images_are_the_same_after_any_number_of_kills(tmp_path: Path, home: Path) -> None:
    write_manifest(tmp_path, patients=40, each=2)
    write_folder(tmp_path / "source", each=40, classes=3)
    data = {"kind": "manifest", "path": "manifest.csv", "patient": "patient_id", "public": True}
    source = {"kind": "folder", "path": "source", "name": "source"}
    config = _config("imaging", tmp_path, epochs=2, data=data, source=source)

    def train(job: Job) -> list[Any]:
        found = prepare_images.fn(job)
        bases = find_bases.fn(job, found)
        probes = imaging.train_transfer.fn(job, found, bases)
        tuned = imaging.train_finetune.fn(job, found, bases, probes)
        return [*probes, *tuned, *imaging.train_controls.fn(job, found)]

    whole, killed, kills = _whole_and_killed("imaging", config, train, every=1)
    assert killed == whole
    assert len(killed) == 4
    assert kills == 3  # of the source task's one epoch and the fine-tuning's two


def test_a_private_run_taken_up_again_pays_for_the_round_it_was_in(
    tmp_path: Path, home: Path
) -> None:
    ledger = Ledger(ledger_path())
    with open_job("credit", _loans(tmp_path)) as job:
        loans = _prepared(job)
        plan, owners = loans.charged.plan, loans.charged.owners
        assert plan is not None
        with killed_after(3), pytest.raises(Killed):
            train_federated.fn(job, loans)
        assert ledger.charged(job.run_id) == dict.fromkeys(owners, plan.events())
        _allow(ledger, loans)
        second = replace(job, attempt=2)
        with killed_after(2), pytest.raises(Killed):
            train_federated.fn(second, loans)
        trained = train_federated.fn(replace(job, attempt=3), loans)
        told = statement(job, loans.charged, loans.encoder.width)
        charged = ledger.charged(job.run_id)
    events = [*plan.events(), *plan.round_events(), *plan.round_events()]
    assert [point["round"] for point in trained.history] == [1, 2, 3, 4, 5, 6]
    assert charged == dict.fromkeys(owners, events)
    ends = [ledger.standing(f"{job.run_id}{name}") for name in ("", ".2", ".3")]
    assert ends == ["committed"] * 3
    assert told is not None
    assert told["epsilon"] == epsilon_of(events, plan.delta) > plan.spent()
    assert told["checked_by"]["opacus_prv"] == pytest.approx(told["epsilon"], rel=0.03)
    assert told["charged_again"] == 2
    assert {each.jobs for each in ledger.budgets()} == {1}


def test_a_private_run_is_refused_what_its_owners_have_not_granted_twice(
    tmp_path: Path, home: Path
) -> None:
    ledger = Ledger(ledger_path())
    with open_job("credit", _loans(tmp_path)) as job:
        loans = _prepared(job)
        with killed_after(3), pytest.raises(Killed):
            train_federated.fn(job, loans)
        reached = checkpoint(job, FEDERATED).path.read_bytes()
        with pytest.raises(Refused, match="budget grant"):
            train_federated.fn(replace(job, attempt=2), loans)
        assert checkpoint(job, FEDERATED).path.read_bytes() == reached
        assert ledger.standing(job.run_id) == "reserved"
        assert ledger.standing(f"{job.run_id}.2") == "unknown"


def test_a_private_run_whose_rounds_are_all_on_disk_pays_for_none_again(
    tmp_path: Path, home: Path
) -> None:
    with open_job("credit", _loans(tmp_path)) as job:
        loans = _prepared(job)
        first = train_federated.fn(job, loans)
        before = np.load(first.scores)
        spent = Ledger(ledger_path()).budgets()
        (job.folder / "stages" / "04-train_federated.json").unlink()  # killed just before this
        again = train_federated.fn(replace(job, attempt=2), loans)
        assert np.array_equal(np.load(again.scores), before)
        assert again.history == first.history
        assert Ledger(ledger_path()).budgets() == spent


def test_a_private_run_whose_checkpoint_is_lost_pays_for_every_round_again(
    tmp_path: Path, home: Path
) -> None:
    ledger = Ledger(ledger_path())
    with open_job("credit", _loans(tmp_path)) as job:
        loans = _prepared(job)
        plan = loans.charged.plan
        assert plan is not None
        with killed_after(4), pytest.raises(Killed):
            train_federated.fn(job, loans)
        checkpoint(job, FEDERATED).path.write_bytes(b"damaged")
        _allow(ledger, loans)
        train_federated.fn(replace(job, attempt=2), loans)
        owner = loans.charged.owners[0]
        assert ledger.charged(job.run_id)[owner] == [*plan.events(), *plan.round_events(6)]


def test_no_round_of_a_private_run_is_noised_before_the_last_is_on_disk(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    save = Checkpoint.save

    def saved(self: Checkpoint, *said: Any) -> None:
        save(self, *said)
        order.append("saved")

    real = FedAvg.correct

    def corrected(self: Any, *said: Any) -> Any:
        order.append("noised")
        return real(self, *said)

    monkeypatch.setattr(Checkpoint, "save", saved)
    monkeypatch.setattr(FedAvg, "correct", corrected)
    with open_job("credit", _loans(tmp_path)) as job:
        loans = _prepared(job)
        train_federated.fn(job, loans)
    steps = ["noised"] * loans.charged.schedule.local_steps
    assert order == ["saved", *([*steps, "saved"] * 6)]


def _allow(ledger: Ledger, loans: Prepared) -> None:
    for owner in loans.charged.owners:
        ledger.grant(owner, 100.0, 1e-4)
