"""One door: `champion` moves only through the gate, and every move is written down."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from domains.errors import InputError, Refused
from pipelines import settings
from pipelines.governance import chain, held_out, promotion, registry
from pipelines.governance.moves import moves
from pipelines.tracking import client, log_arm, open_job
from tests.pipelines.governance import sample_registry
from tests.pipelines.governance.sample_registry import NAME

Register = Callable[[float], str]


@pytest.fixture
def register(home: Path) -> Register:
    return sample_registry.register


def test_first_good_version_becomes_champion_and_yardstick(register: Register) -> None:
    version = register(0.1)
    promotion.promote(NAME, version)
    assert registry.champion(NAME) == registry.best_version(NAME) == version
    assert registry.list_versions() == [(NAME, "1", ["champion"])]


def test_worse_version_is_refused_and_recorded(register: Register) -> None:
    promotion.promote(NAME, register(0.1))
    with pytest.raises(Refused, match="no worse than the best champion: not met"):
        promotion.promote(NAME, register(2.0))
    assert registry.champion(NAME) == "1"
    assert registry.aliases(NAME, "2") == ["challenger"]
    last = moves(NAME)[-1]
    assert (last.action, last.before, last.after) == ("refuse", "1", "2")
    assert any("not met" in reason for reason in last.reasons)


def test_small_declines_cannot_add_up(register: Register) -> None:
    """Each step down is within the margin of the one before; the yardstick stays the best."""
    promotion.promote(NAME, register(0.05))
    refused = 0
    for noise in (0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0):
        try:
            promotion.promote(NAME, register(noise))
        except Refused:
            refused += 1
    assert registry.best_version(NAME) == "1"
    assert refused >= 4
    best = registry.stored_answers(registry.get_version(NAME, "1"))
    now = registry.stored_answers(registry.get_version(NAME, str(registry.champion(NAME))))
    assert held_out.difference(now, best)[0].low > -0.02


def test_rollback_goes_back_one_champion_at_a_time(register: Register) -> None:
    for noise in (0.5, 0.3, 0.1):
        promotion.promote(NAME, register(noise))
    assert promotion.rollback(NAME) == ("3", "2")
    assert registry.best_version(NAME) == "2"
    assert promotion.rollback(NAME) == ("2", "1")
    assert registry.champion(NAME) == "1"
    with pytest.raises(InputError, match="no earlier champion"):
        promotion.rollback(NAME)
    assert [m.action for m in moves(NAME)] == ["promote"] * 3 + ["rollback"] * 2


def test_rollback_puts_the_yardstick_back_to_the_best_before(register: Register) -> None:
    promotion.promote(NAME, register(0.1))
    promotion.promote(NAME, register(0.15))  # within the margin, not ahead
    promotion.promote(NAME, register(0.01))
    assert registry.best_version(NAME) == "3"
    assert promotion.rollback(NAME) == ("3", "2")
    assert registry.best_version(NAME) == "1"


def test_move_cut_short_is_finished_by_the_next_to_hold_the_door(
    register: Register, monkeypatch: pytest.MonkeyPatch
) -> None:
    promotion.promote(NAME, register(0.5))
    second = register(0.1)
    with monkeypatch.context() as patch:
        patch.setattr(chain, "carry_out", _die)
        with pytest.raises(KeyboardInterrupt):
            promotion.promote(NAME, second)
    assert registry.champion(NAME) == "1"
    assert promotion.rollback(NAME) == ("2", "1")
    assert [m.action for m in moves(NAME)] == ["promote", "promote", "rollback"]


def _die(*_: object) -> None:
    raise KeyboardInterrupt


def test_champion_that_was_deleted_does_not_stand_in_the_way(register: Register) -> None:
    promotion.promote(NAME, register(0.1))
    client().delete_model_version(NAME, "1")
    promotion.promote(NAME, register(0.3))
    assert registry.champion(NAME) == "2"


def test_version_cut_short_of_its_evidence_cannot_be_promoted(register: Register) -> None:
    register(0.1)
    with open_job("credit", settings.load_config("credit")) as job:
        bare = registry.create_version(NAME, "file:///nowhere", job.run_id, {})
    with pytest.raises(Refused, match="evidence is missing"):
        promotion.promote(NAME, bare)
    assert registry.champion(NAME) is None


def test_unknown_names_and_versions_say_what_there_is(register: Register) -> None:
    with pytest.raises(InputError, match="none is registered yet"):
        promotion.promote("nothing", "1")
    register(0.1)
    with pytest.raises(InputError, match=f"there are {NAME}"):
        promotion.promote("nothing", "1")
    with pytest.raises(InputError, match="it has 1"):
        promotion.promote(NAME, "9")


def test_job_run_tells_how_it_ended_without_any_record(register: Register) -> None:
    with pytest.raises(InputError), open_job("credit", settings.load_config("credit")) as job:
        raise InputError("column income: nothing in it")
    ended = client().get_run(job.run_id)
    assert ended.info.status == "FAILED"
    assert ended.data.tags["careledger.ended"] == "InputError: column income: nothing in it"
    with pytest.raises(ValueError), open_job("credit", settings.load_config("credit")) as job:  # noqa: PT011
        raise ValueError("John Smith earns 12")
    assert client().get_run(job.run_id).data.tags["careledger.ended"] == "ValueError"
    assert not job.folder.exists()


def test_artifacts_lie_in_the_home_folder(register: Register, tmp_path: Path) -> None:
    register(0.1)
    run = client().get_run(registry.get_version(NAME, "1").run_id)
    assert run.info.artifact_uri.startswith((tmp_path / "home" / "artifacts").as_uri())


def test_what_is_wrong_with_private_records_is_told_on_the_terminal_alone(
    register: Register, tmp_path: Path
) -> None:
    config = settings.load_config(
        "patients",
        overrides=[f"data.path={tmp_path}/p.csv", "outcomes=[{name: a, kind: binary, column: a}]"],
    )
    with pytest.raises(InputError), open_job("patients", config) as job:
        raise InputError("anna.png: row 3 is empty")
    run = client().get_run(job.run_id)
    assert run.data.tags["careledger.ended"] == "InputError"
    assert run.data.params["data.path"] == "p.csv"
    assert str(tmp_path) not in str(run.data.params)


def test_arm_is_a_child_run_with_its_curve(register: Register) -> None:
    from pipelines.evidence import Arm

    with open_job("credit", settings.load_config("credit")) as job:
        arm = Arm("pooled", "control", {"auroc": 0.7, "ks": float("nan")}, 1.0)
        run_id = log_arm(job, arm, [{"round": 1, "loss": 0.5}, {"round": 2, "loss": 0.4}])
    child = client().get_run(run_id)
    assert child.data.tags["mlflow.parentRunId"] == job.run_id
    assert child.data.metrics["auroc"] == 0.7
    assert "ks" not in child.data.metrics
    assert [m.value for m in client().get_metric_history(run_id, "curve.loss")] == [0.5, 0.4]
