"""An outcome that sharing does not serve is answered by the right model of its own, and told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file, save_file

from domains.healthcare.outcomes.scores import Comparison
from models.multitask.patched import BOOSTING, SINGLE
from models.multitask.scorer import load_scorer, predictions
from pipelines.governance.gate import Rules, check, load_rules
from pipelines.governance.noninferiority import Noninferiority
from pipelines.life.jobs import stages_folder
from pipelines.settings import PatientsConfig
from pipelines.steps.patients import choosing, served
from pipelines.steps.patients.choosing import SHARED, Choice, choose
from pipelines.steps.patients.evidence import evaluate
from pipelines.steps.patients.prepare import Prepared, fetch_data, prepare
from pipelines.steps.patients.training import Trained, calibrators, train_controls, train_model
from pipelines.tracking import Job, open_job
from tests.pipelines.governance.test_gate import EVIDENCE, RULES, _answers

KEYS = {"death": "death.auroc", "stay": "stay.r2"}
LOOSE = Noninferiority(1.0)


def _comparison(shared: float, single: float, boosted: float, spread: float = 0.0) -> Comparison:
    """Of `stay` alone; the difference from each rival has twice that spread to either side."""
    values = {SHARED: shared, SINGLE: single, BOOSTING: boosted}
    sway = np.linspace(-spread, spread, 201)
    draws = {
        name: {"stay.r2": value + (sway if name == SHARED else 0.0 * sway)}
        for name, value in values.items()
    }
    return Comparison({name: {"stay.r2": value} for name, value in values.items()}, draws)


def _chosen(found: Comparison, allowed: float = 0.01, margins: Any = LOOSE) -> Choice:
    untold, choice = choose(
        found, KEYS, [SINGLE, BOOSTING], allowed, margins, {"death": 0, "stay": 90}
    )
    assert (untold.by, untold.why) == (SHARED, "no label")
    return choice


@pytest.mark.parametrize(
    ("shared", "single", "boosted", "by"),
    [
        (0.50, 0.60, 0.55, SINGLE),
        (0.50, 0.55, 0.60, BOOSTING),
        (0.50, 0.40, 0.60, BOOSTING),
        (0.50, 0.505, 0.49, SHARED),
        (0.60, 0.50, 0.55, SHARED),
    ],
)
def test_the_better_rival_answers_what_sharing_makes_worse(
    shared: float, single: float, boosted: float, by: str
) -> None:
    choice = _chosen(_comparison(shared, single, boosted))
    assert choice.by == by
    assert choice.why == ("kept" if by == SHARED else "behind")


def test_sharing_that_is_not_shown_to_be_harmless_gives_way() -> None:
    """A difference of −0.02 that may be −0.115: within a margin of 0.15, beyond one of 0.05."""
    found = _comparison(0.48, 0.50, 0.45, spread=0.1)
    own = Noninferiority(0.05, {"stay": 0.15})
    assert _chosen(found, margins=Noninferiority(0.15)).why == "kept"
    assert _chosen(found, margins=own).why == "kept"
    assert _chosen(found, margins=None).why == "kept"
    doubtful = _chosen(found, margins=Noninferiority(0.05))
    assert (doubtful.by, doubtful.why) == (SINGLE, "not shown")
    assert doubtful.gaps[SINGLE].low == pytest.approx(-0.115, abs=1e-3)


def test_sharing_that_is_ahead_stays_however_few_the_labels() -> None:
    found = _comparison(0.52, 0.50, 0.45, spread=0.3)
    assert _chosen(found, margins=Noninferiority(0.05)).why == "kept"


@pytest.mark.parametrize(("spread", "why"), [(0.1, "behind"), (0.3, "kept")])
def test_a_lead_within_one_standard_error_does_not_count(spread: float, why: str) -> None:
    """A lead of 0.1 with standard errors of 0.048 and 0.145."""
    assert _chosen(_comparison(0.40, 0.50, 0.45, spread)).why == why


def test_sentences_say_what_serves_an_outcome_and_why() -> None:
    cases = [(0.50, 0.55, 0.60, 0.0), (0.48, 0.50, 0.45, 0.1), (0.60, 0.50, 0.55, 0.0)]
    made = [_chosen(_comparison(*case), margins=Noninferiority(0.05)) for case in cases]
    behind, doubtful, kept = choosing.sentences(SHARED, made, 1_600)
    assert behind.startswith("stay is served by its boosted trees inside the same version")
    assert "on 90 records with a label that no rival trained on the shared" in behind
    assert "90 records" in doubtful
    assert "behind it by 0.100" in behind
    assert doubtful.startswith("stay is served by its single-task network")
    assert "more than 0.05 (-0.020, 95 % interval -0.115 to +0.075)" in doubtful
    assert kept.startswith("Served by the shared network, against which 1,600 records that no riv")
    assert kept.endswith("do not speak: stay.")
    (table,) = choosing.tables(made, 1_600)
    assert [row[1] for row in table.rows] == [BOOSTING, SINGLE, SHARED]
    assert table.columns[2:] == ["labels", "less single-task", "less boosting"]
    assert [row[2] for row in table.rows] == [90] * 3
    assert str(table.rows[2][3]).startswith("+0.100 (")
    assert choosing.tables((), 0) == []
    assert choosing.sentences(SINGLE, (), 0) == []
    assert "none was trained" in choosing.sentences(SHARED, (), 0)[0]


# ------------------------------------------------------------------------------------- the gate


def _evidence(**served: tuple[str, list[float] | None]) -> dict[str, Any]:
    told = {name: {"by": by, "less_own": gap} for name, (by, gap) in served.items()}
    return {**EVIDENCE, "served": told}


def _gate(evidence: dict[str, Any], rules: Rules) -> Any:
    found = [c for c in check(rules, evidence, _answers(0.1), None).checks if "alone" in c.rule]
    return found[0] if found else None


def test_no_version_passes_with_an_outcome_wholly_beyond_its_margin() -> None:
    rules = replace(RULES, noninferiority=Noninferiority(0.05, {"stay": 0.2}))
    gaps: dict[str, tuple[str, list[float] | None]] = {
        "death": (SHARED, [-0.1, -0.14, -0.04]),
        "stay": (SHARED, [-0.1, -0.14, -0.06]),
        "cost": (BOOSTING, [-0.4, -0.5, -0.3]),
    }
    passed = _gate(_evidence(**gaps), rules)
    assert passed.passed
    assert "2 outcomes of the shared network" in passed.detail
    failed = _gate(_evidence(**gaps, dnr=(SHARED, [-0.1, -0.14, -0.06])), rules)
    assert not failed.passed
    assert failed.detail == "dnr -0.1000, 95 % interval -0.1400 to -0.0600, below -0.05"


def test_the_gate_says_nothing_of_what_nobody_compared() -> None:
    rules = replace(RULES, noninferiority=Noninferiority(0.05))
    lost = _evidence(death=(SHARED, [-0.3, -0.4, -0.2]))
    assert _gate(EVIDENCE, rules) is None
    assert _gate(_evidence(death=(SHARED, None)), rules) is None
    assert _gate(lost, RULES) is None
    assert not _gate(lost, rules).passed


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("", "no margin"),
        ("margin = 0.05\nmargins = 1", "unknown key 'margins'"),
        ("margin = -0.1", "margin -0.1; a number from 0"),
        ("margin = true", "margin True; a number"),
        ('margin = 0.05\noutcomes = {death = "x"}', "death 'x'; a number"),
        ("margin = 0.05\noutcomes = 3", "outcomes 3; a table"),
    ],
)
def test_margins_that_are_wrong_are_named(table: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "promotion.toml"
    rules = "[default]\nfloor=0.6\nmargin=0.02\nmax_ece=0.1\nmin_records=50\nevidence=[]\n"
    path.write_text(f"{rules}[patients.noninferiority]\n{table}\n")
    with pytest.raises(Exception, match=said) as raised:
        load_rules("patients", "any", path)
    assert "noninferiority for patients" in str(raised.value)


def test_patients_have_margins_and_an_outcome_may_have_its_own(tmp_path: Path) -> None:
    assert load_rules("credit", "any").noninferiority is None
    found = load_rules("patients", "any").noninferiority
    assert found is not None
    assert found.of("death") == found.margin > 0
    assert Noninferiority(0.05, {"death": 0.02}).of("death") == 0.02


# -------------------------------------------------------------------------------------- the stage


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Any, ...]]:
    """Two outcomes of one table: a line that nets find, and a fold that trees do."""
    folder = tmp_path_factory.mktemp("served")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1500, 4))
    noise = rng.normal(0, 0.5, size=(1500, 2))
    frame = pd.DataFrame(x, columns=["a", "b", "c", "d"]).assign(
        line=(x[:, 0] + noise[:, 0] > 0).astype(int),
        fold=np.sign(x[:, 1] * x[:, 2]) * 3 + noise[:, 1],
    )
    frame.to_csv(folder / "t.csv", index=False)
    config = PatientsConfig.model_validate(
        {
            "data": {"path": str(folder / "t.csv"), "public": True},
            "outcomes": [
                {"name": "line", "kind": "binary", "column": "line"},
                {"name": "fold", "kind": "regression", "column": "fold"},
            ],
            "scale": "tiny",
            "trunk": "mlp",
            "hidden": 32,
        }
    )
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CARELEDGER_HOME", str(folder / "home"))
        with open_job("patients", config) as job:
            prepared = prepare.fn(job, fetch_data.fn(job))
            model = train_model.fn(job, prepared)
            yield job, prepared, model, train_controls.fn(job, prepared, model)


Run = tuple[Job, Prepared, Trained, list[Trained]]


def _forget(job: Job) -> None:
    """A stage that a job has finished is not done again."""
    for done in stages_folder(job.folder).glob("*.json"):
        done.unlink()


def _with(monkeypatch: pytest.MonkeyPatch, run: Run, worse: float, margin: float) -> Any:
    job, prepared, model, controls = run
    rules = replace(RULES, noninferiority=Noninferiority(margin))
    monkeypatch.setattr(served, "load_rules", lambda *_: rules)
    config = job.config.model_copy(update={"worse": worse})
    _forget(job)
    return served.calibrate.fn(replace(job, config=config), prepared, model, controls)


def test_trees_answer_the_outcome_that_only_trees_find(
    trained: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, prepared, model, controls = trained
    found = _with(monkeypatch, trained, worse=0.05, margin=1.0)
    scorer = load_scorer(found.package)
    assert dict(scorer.alone) == {"fold": BOOSTING}
    assert {choice.outcome: choice.why for choice in found.choices}["fold"] == "behind"
    cohort = prepared.read("test")
    boosting = next(control for control in controls if control.name == BOOSTING)
    _, codecs = prepared.read_rules()
    own = calibrators(job, prepared, boosting)
    control = predictions(codecs, boosting.read("test", codecs), own)
    answers = scorer.predict(cohort.features)
    columns = [name for name in control if str(name).startswith("fold")]
    pd.testing.assert_frame_equal(answers[columns], control[columns])
    evidence = evaluate.fn(job, prepared, found, [model, *controls])
    assert evidence.served["fold"]["by"] == BOOSTING
    assert evidence.served["line"]["by"] == SHARED
    low, high = evidence.served["line"]["less_own"][1:]
    assert low <= evidence.served["line"]["less_own"][0] <= high
    assert any(line.startswith("fold is served by its boosted trees") for line in evidence.findings)
    assert "1 of them answered by a model of its own" in evidence.headline
    assert evidence.metrics["fold.r2"] > evidence.metrics["shared.fold.r2"] + 0.05


def test_nothing_falls_back_where_everything_is_allowed(
    trained: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = _with(monkeypatch, trained, worse=100.0, margin=inf)
    assert load_scorer(found.package).alone == {}
    assert {choice.why for choice in found.choices} == {"kept"}


def test_boosting_is_judged_by_what_it_did_not_train_on(
    trained: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answers of the trees that are served, which trained on validation records, change nothing."""
    job, prepared, model, controls = trained
    _, codecs = prepared.read_rules()
    first = _with(monkeypatch, trained, worse=0.05, margin=1.0).choices
    boosting = next(control for control in controls if control.name == BOOSTING)
    spoilt = {key: np.zeros_like(v) for key, v in load_file(boosting.logits).items()}
    save_file(spoilt, job.folder / "spoilt.logits")
    others = [control for control in controls if control is not boosting]
    other = replace(boosting, logits=job.folder / "spoilt.logits")
    again = _with(monkeypatch, (job, prepared, model, [*others, other]), worse=0.05, margin=1.0)
    assert again.choices == first
    served_trees = boosting.read("validation", codecs)["fold"]
    assert not np.allclose(served_trees, boosting.read_unseen("validation", codecs)["fold"])


def test_without_controls_nothing_is_compared_and_that_is_said(trained: Run) -> None:
    job, prepared, model, _ = trained
    _forget(job)
    found = served.calibrate.fn(job, prepared, model, [])
    assert found.choices == ()
    assert load_scorer(found.package).alone == {}
    evidence = evaluate.fn(job, prepared, found, [model])
    assert evidence.served == {}
    assert any(line.startswith("Not compared") for line in evidence.findings)
