"""Which strategies run, in what order, and what happens to those that the time does not allow."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from domains.errors import InputError
from models.imaging.strategies.learned import Learned
from models.imaging.tuning import Tuning
from models.training import FitHistory
from pipelines.settings import ImagingConfig, load_config
from pipelines.steps.imaging import budget
from pipelines.steps.imaging.bases import find_bases
from pipelines.steps.imaging.effort import EFFORTS, strategies
from pipelines.steps.imaging.evidence import evaluate
from pipelines.steps.imaging.prepare import prepare_images
from pipelines.steps.imaging.training import train_finetune, train_transfer
from pipelines.tracking import open_job
from tests.domains.sample_images import write_folder, write_manifest
from tests.models.imaging.sample_nets import examples, net
from tests.pipelines.sample_imaging import config as _config
from tests.pipelines.sample_imaging import folder as _folder


@pytest.fixture
def home(home: Path) -> Path:
    """A home whose key is known: the split of private images is the same in every run."""
    (home / "key").write_bytes(bytes(range(32)))
    return home


@pytest.mark.usefixtures("known_key")
def test_a_strategy_that_does_not_fit_in_the_budget_is_left_out_and_said(
    home: Path, tmp_path: Path
) -> None:
    write_folder(tmp_path / "in", each=40)
    config = _config(tmp_path, data=_folder("in"), time_budget=0.001, controls="none")
    with open_job("imaging", config) as job:
        prepared = prepare_images.fn(job)
        bases = find_bases.fn(job, prepared)
        probes = train_transfer.fn(job, prepared, bases)
        assert train_finetune.fn(job, prepared, bases, probes) == []
        evidence = evaluate.fn(job, prepared, bases, probes)
    assert any("partial-imagenet did not fit in the time budget" in s for s in evidence.limits)


def test_a_budget_in_which_nothing_can_be_trained_is_said_at_once(
    home: Path, tmp_path: Path
) -> None:
    write_folder(tmp_path / "in", each=40)
    keys = {"time_budget": 0.001, "backbone": "resnet18"}  # of which no weights are within reach
    with (
        pytest.raises(InputError, match=r"time_budget: finetune-random did not fit .*; raise it"),
        open_job("imaging", _config(tmp_path, data=_folder("in"), **keys)) as job,
    ):
        train_finetune.fn(job, prepare_images.fn(job), [], [])


def test_epochs_are_cut_to_the_budget_once_and_for_all(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(budget, "seconds_an_epoch", lambda *_: 2.0)
    with open_job("imaging", _config(tmp_path, data=_folder("in"))) as job:
        nothing: Any = None

        def epochs(name: str, seconds: float) -> int:
            tuning = Tuning(epochs=9)
            return budget.allowed(job, name, nothing, nothing, nothing, tuning, seconds)

        assert epochs("a", 9.0) == 4
        assert epochs("a", 1.0) == 4  # as it was written down
        assert epochs("b", 99.0) == 9
        assert epochs("c", 3.0) == 0
        assert ["c did not fit" in said for said in budget.left_out(job)] == [True]


def test_a_source_task_takes_half_of_the_budget_of_auto_and_says_so(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_manifest(tmp_path, patients=50, each=2)
    write_folder(tmp_path / "source", each=20, classes=3)
    monkeypatch.setattr(budget, "seconds_an_epoch", lambda *_: 10.0)
    effort = replace(EFFORTS["tiny"], source_epochs=5)
    monkeypatch.setitem(EFFORTS, "tiny", effort)
    data = {"kind": "manifest", "path": "manifest.csv", "patient": "patient_id"}
    keys = {"data": data, "source": _folder("source"), "controls": "none"}

    def epochs(**more: Any) -> tuple[int, list[str]]:
        with open_job("imaging", _config(tmp_path, **keys, **more)) as job:
            bases = find_bases.fn(job, prepare_images.fn(job))
            return len(bases[-1].history), budget.left_out(job)

    assert epochs(time_budget=60) == (
        3,
        [
            "The source task from ImageNet weights was trained for 3 epochs of 5: an epoch takes "
            "about 10 s, and 30 s of the time budget were for it."
        ],
    )
    assert epochs(time_budget=0.001)[0] == budget.FEWEST  # something has to start somewhere
    assert epochs(time_budget=0.001, strategy="transfer") == (5, [])  # named, not left to auto


def test_a_pace_is_that_of_a_whole_epoch() -> None:
    found, asked = net(), examples()

    def learn(trial: Any, few: Any, tuning: Tuning) -> Learned:
        assert trial is not found
        assert (len(few.train), tuning.epochs) == (16, 1)
        return Learned("", FitHistory(1, 1, 0.5, seconds=3.0))

    assert budget.seconds_an_epoch(learn, found, asked, Tuning(9, batch_size=8)) == 6.0


def test_strategies_run_from_the_simplest_and_the_budget_is_ten_minutes() -> None:
    config = ImagingConfig(strategy=["finetune", "l2-sp", "transfer", "partial"])
    assert strategies(config) == ("transfer", "partial", "l2-sp", "finetune")
    assert strategies(ImagingConfig())[0] == "transfer"
    assert ImagingConfig().time_budget == 600
    assert load_config("imaging", overrides=["time_budget=2m"]).time_budget == 120  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("strategy=magic", "strategy: found 'magic', expected auto, or one or several of transfer"),
        ("strategy=[]", "strategy: found an empty list"),
        ("time_budget=soon", "expected seconds, or a number with s, m or h, found 'soon'"),
        ("strategy_settings.partial.k=2", "partial.k: no setting of partial, which has: blocks"),
        ("base=imaging-base-x", "base: "),
    ],
)
def test_settings_of_strategies_are_checked_in_one_line(override: str, said: str) -> None:
    with pytest.raises(InputError) as refused:
        load_config("imaging", overrides=[override])
    assert said in str(refused.value)
    assert "\n" not in str(refused.value)
