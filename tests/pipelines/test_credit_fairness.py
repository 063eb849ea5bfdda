"""Protected groups in a credit run: fairlearn's numbers, nothing of the few, nothing in secret."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from fairlearn.metrics import MetricFrame, selection_rate, true_positive_rate

from domains.banking.groups import Groups
from domains.errors import InputError
from domains.metrics import Interval
from pipelines.evidence import Evidence, from_json, to_json
from pipelines.reporting import report
from pipelines.steps.credit import decisions
from pipelines.steps.credit.charge import charge, find_loans
from pipelines.steps.credit.controls import LATER
from pipelines.steps.credit.evidence import evaluate, held_out
from pipelines.steps.credit.fairness import with_decisions
from pipelines.steps.credit.protected import Protected
from pipelines.steps.credit.scores import Tested
from pipelines.steps.credit.training import train_federated
from pipelines.tracking import open_job
from tests.domains.sample_loans import sample_loans
from tests.pipelines.sample_credit import config_of, prepare_in, spent
from tests.pipelines.sample_evidence import result

COLUMNS = ["group", "records", "default rate", "approved"]


def _tested(size: int = 3000) -> tuple[Tested, np.ndarray]:
    rng = np.random.default_rng(1)
    group = rng.choice(3, size=size, p=[0.5, 0.3, 0.2])
    z = rng.normal(-1, 1, size) + 0.4 * group
    y = (rng.random(size) < 1 / (1 + np.exp(-z))).astype(float)
    p = 1 / (1 + np.exp(-z + rng.normal(0, 0.3, size)))
    own = np.arange(size)
    return Tested(y, np.zeros(size, dtype=int), own, ("a",), {"federated": p}), group


def _protected(tested: Tested, group: np.ndarray) -> Protected:
    names = tuple(f"g{k}" for k in range(int(group.max()) + 1))
    return Protected(Groups("x", names, group, 0), group, tested, 0.3)


def test_shares_and_gaps_are_fairlearns() -> None:
    tested, group = _tested()
    column = _protected(tested, group)
    repaid, approved = 1 - tested.y, (tested.scores["federated"] <= 0.3).astype(int)
    frame = MetricFrame(
        metrics={"approved": selection_rate, "of repaid": true_positive_rate},
        y_true=repaid,
        y_pred=approved,
        sensitive_features=group,
    )
    assert column.rates.approved[0] == pytest.approx(frame.by_group["approved"].to_numpy())
    assert column.rates.of_repaid[0] == pytest.approx(frame.by_group["of repaid"].to_numpy())
    gaps, apart = column.gaps, frame.difference()
    assert gaps["approval_ratio"].value == pytest.approx(frame.ratio()["approved"])
    assert gaps["approval_difference"].value == pytest.approx(apart["approved"])
    assert gaps["opportunity_difference"].value == pytest.approx(apart["of repaid"])
    for gap in gaps.values():
        assert gap.low < gap.value < gap.high


def test_what_a_resample_says_of_the_sample_is_what_fairlearn_says() -> None:
    tested, group = _tested()
    column = _protected(tested, group)
    drawn = np.fmax(
        np.ptp(column.rates.of_repaid, axis=1), np.ptp(column.rates.of_defaulted, axis=1)
    )
    assert column.gaps["odds_difference"].value == pytest.approx(drawn[0], abs=1e-5)


def test_a_table_tells_shares_as_sentences_do_and_no_negative_nought() -> None:
    tested, group = _tested()
    column = _protected(tested, group)
    share = column.rates.approved[0, 0]
    assert str(column.table(50).rows[0][3]).startswith(f"{share:.1%} (")
    nought = Interval(-1e-5, -2e-4, -1e-5)
    assert decisions.shown(nought, signed=True) == "+0.000 (+0.000 to +0.000)"
    assert decisions.share_shown(nought) == "0.0% (0.0% to 0.0%)"
    assert decisions.points_shown(Interval(0.012, -0.004, 0.02)) == "+1.20 (-0.40 to +2.00)"
    assert not decisions.share_shown(Interval(np.nan, 0, 1))


def test_renaming_groups_changes_no_gap() -> None:
    tested, group = _tested()
    one, other = _protected(tested, group).gaps, _protected(tested, 2 - group).gaps
    for name, gap in one.items():
        assert gap.value == pytest.approx(other[name].value, abs=1e-6)


def _evidence(folder: Path, frame: pd.DataFrame, **keys: Any) -> Evidence:
    with open_job("credit", config_of(folder, frame, **keys)) as job:
        prepared = prepare_in(job)
        trained = train_federated.fn(job, prepared)
        made: Evidence = evaluate.fn(job, prepared, [trained])
        return replace(made, figures=[replace(f, path=Path(f.path.name)) for f in made.figures])


def _loans() -> pd.DataFrame:
    """Few are of a rare group, all of one other, and a third column is empty."""
    frame = sample_loans()
    sex = frame["sex"].astype(str).to_numpy().copy()
    sex[::90] = "rare"
    return frame.assign(sex=sex, bank_of="same", unknown=np.nan)


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    """Of one private run that releases its metrics."""
    folder = tmp_path_factory.mktemp("fairness")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CARELEDGER_HOME", str(folder / "home"))
        return _evidence(folder, _loans(), protected=["sex", "bank_of", "unknown"])


def test_a_released_run_tells_of_groups_decisions_and_reasons(evidence: Evidence) -> None:
    for name in ("calibration_slope", "approval.rate", "fairness.sex.approval_ratio"):
        low, value, high = (evidence.metrics[name + end] for end in ("_low", "", "_high"))
        assert low <= value <= high, name
    assert evidence.metrics["approval.rate"] == pytest.approx(0.7, abs=0.15)
    assert evidence.fairness[0].columns[:4] == COLUMNS
    assert any(line.startswith("Reasons: ") for line in evidence.every_sentence())
    assert any(figure.name == "fairness" for figure in evidence.figures)
    assert from_json(to_json(evidence)) == evidence


def test_an_owner_sees_the_panel_and_the_pack(evidence: Evidence, tmp_path: Path) -> None:
    bare = replace(evidence, figures=[])
    told = {**result(bare, tmp_path / "r.html"), "config_yaml": "model: scorecard\n"}
    page = report.render(bare, told, tmp_path / "r.html").read_text()
    assert '<section id="fairness">' in page
    pack = report.risk_pack(bare, told)
    for heading in ("Assumptions", "Data", "Tests", "Limits", "Monitoring plan"):
        assert f"## {heading}\n" in pack
    assert "sex: its groups" in pack
    for row in evidence.monitoring.rows if evidence.monitoring else []:
        assert f"| {row[0]} | {row[1]} |" in pack
    lines = [line for line in pack.splitlines() if line.startswith("|")]
    assert all(line.endswith("|") for line in lines)


def test_a_small_group_leaves_no_trace(evidence: Evidence) -> None:
    assert "rare" not in json.dumps(to_json(evidence), default=str)


def test_one_group_alone_is_said_and_not_divided_by(evidence: Evidence) -> None:
    assert not any("bank_of" in name or "unknown" in name for name in evidence.metrics)
    assert any("bank_of: one group alone (same)" in line for line in evidence.every_sentence())
    assert any("unknown: one group alone (empty)" in line for line in evidence.every_sentence())


def test_without_leave_no_group_and_no_threshold_is_told(tmp_path: Path, home: Path) -> None:
    made = _evidence(tmp_path, sample_loans(), release=None)
    assert (made.metrics, made.fairness, made.tables) == ({}, [], [])
    pack = report.risk_pack(made, result(made, tmp_path / "r.html"))
    assert made.monitoring is not None
    assert all(row[1] is None for row in made.monitoring.rows)
    assert "its groups" not in pack
    assert "stay with the owners" in pack


@pytest.mark.parametrize(
    ("protected", "said"), [("gender", "no column 'gender'"), ("defaulted", "is the target")]
)
def test_a_column_that_cannot_be_protected_costs_nobody(
    protected: str, said: str, tmp_path: Path, home: Path
) -> None:
    with (
        open_job("credit", config_of(tmp_path, protected=[protected])) as job,
        pytest.raises(InputError, match=said),
    ):
        charge.fn(job, find_loans.fn(job))
    assert spent() == {}


def test_a_protected_column_is_a_feature_only_when_asked(tmp_path: Path, home: Path) -> None:
    config = config_of(tmp_path, fairness={"as_features": True})
    with open_job("credit", config) as job:
        assert "sex" in prepare_in(job).encoder.columns


def test_no_training_record_says_who_is_in_which_group(tmp_path: Path, home: Path) -> None:
    def groups(frame: pd.DataFrame) -> np.ndarray:
        with open_job("credit", config_of(tmp_path, frame, privacy=None, **public)) as job:
            prepared = prepare_in(job)
            held = held_out(prepared, 0)
            made = with_decisions(job, prepared, train_federated.fn(job, prepared), held)
            training.append(prepared.facts["part"].to_numpy() == "train")
            records.append(prepared.facts["record"].to_numpy())
            return made.protected["age"]

    training: list[np.ndarray] = []
    records: list[np.ndarray] = []
    data = {"path": "loans.csv", "name": "loans", "public": True, "id": "key"}
    public: dict[str, Any] = {"release": None, "protected": ["age"], "data": data, "rounds": 1}
    frame = sample_loans().assign(age=np.random.default_rng(0).integers(18, 80, 1200))
    frame["key"] = np.arange(len(frame))
    first = groups(frame)
    trained = (
        frame["key"]
        .astype(str)
        .isin([str(each).partition("-")[0] for each in records[0][training[0]]])
    )
    second = groups(frame.assign(age=np.where(trained, 99, frame["age"])))
    assert (first == second).all()


def test_after_a_shift_the_rate_alone_gives_calibration_back() -> None:
    rng = np.random.default_rng(8)
    z = rng.normal(-1.2, 1, 60_000)
    y = (rng.random(len(z)) < 1 / (1 + np.exp(-z))).astype(float)
    kept = rng.random(len(z)) < np.where(y > 0, 1.0, 0.3)
    p = 1 / (1 + np.exp(-z))
    later = Tested(y[kept], np.zeros(kept.sum(), int), np.arange(kept.sum()), ("a",),
                   {LATER: p[kept]})  # fmt: skip

    class Earlier:
        facts = pd.DataFrame({"part": "calibration", "later": False, "y": y})

    found = decisions.after_shift(Earlier(), later)  # type: ignore[arg-type]
    assert found is not None
    as_is, by_rate, _ = found.errors.values()
    assert by_rate < as_is / 5
    few = replace(later, y=later.y[:300], group=later.group[:300], client=later.client[:300],
                  scores={LATER: p[kept][:300]})  # fmt: skip
    assert decisions.after_shift(Earlier(), few) is None  # type: ignore[arg-type]
