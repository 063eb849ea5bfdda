"""The model-risk pack: each assumption beside what the run found, nothing empty, nothing untold."""

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from pipelines.evidence import Evidence
from pipelines.reporting import report, risk
from tests.pages import sample_consortium
from tests.pipelines import sample_evidence

BARE = Evidence("credit", "h", {"name": "mine"}, {}, {"auroc": 0.7}, [])


@pytest.fixture(scope="module")
def evidence(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    folder = tmp_path_factory.mktemp("risk")
    (folder / "figures").mkdir()
    return sample_consortium.evidence(folder / "figures")


def test_every_assumption_has_an_answer_even_of_the_sparsest_run(evidence: Evidence) -> None:
    for made in (evidence, BARE):
        told = risk.assumptions(made)
        assert len({held for held, _ in told}) == len(told) >= 8
        assert all(shown.strip() for _, shown in told)


def test_an_assumption_is_answered_by_the_runs_own_numbers(evidence: Evidence) -> None:
    told = dict(risk.assumptions(evidence))
    low = f"{evidence.metrics['out_of_time.auroc_low']:.3f}"
    assert low in told["Loans to come are like these."]
    assert told["One shared model serves every client."].startswith("Joining, federated: ")
    assert "no finite length" in told["Clients send what training made of their records."]
    assert risk.UNTESTED in dict(risk.assumptions(BARE))["Loans to come are like these."]


def test_what_is_not_released_is_in_no_assumption(evidence: Evidence) -> None:
    told = risk.assumptions(replace(evidence, metrics={}))
    assert {shown for _, shown in told[:7]} == {"tested, and not released"}


def test_what_was_not_tested_is_said(evidence: Evidence) -> None:
    assert len(risk.untested(BARE)) > len(risk.untested(evidence))
    assert any("control" in line for line in risk.untested(BARE))


def test_the_pack_holds_the_configuration_as_it_can_be_run_again(
    evidence: Evidence, tmp_path: Path
) -> None:
    given = {"model": "scorecard", "privacy": {"epsilon": 3.0}, "protected": ["sex", "a|b"]}
    result = sample_evidence.result(evidence, tmp_path / "r.html")
    pack = report.risk_pack(evidence, {**result, "config_yaml": yaml.safe_dump(given)})
    written = pack.partition("```yaml\n")[2].partition("```")[0]
    assert yaml.safe_load(written) == given


def test_no_heading_of_the_pack_stands_over_nothing(evidence: Evidence, tmp_path: Path) -> None:
    result = sample_evidence.result(evidence, tmp_path / "r.html")
    lines = [line for line in report.risk_pack(evidence, result).splitlines() if line.strip()]
    for line, after in zip(lines, [*lines[1:], "# "], strict=True):
        depth, below = len(line) - len(line.lstrip("#")), len(after) - len(after.lstrip("#"))
        assert not depth or not below or below > depth, f"{line} is empty"
    for part in ("Findings", "Assumptions", "Data", "Tests", "Limits", "Monitoring plan"):
        assert f"## {part}" in lines
    table = [line for line in lines if line.startswith("|")]
    assert all(line.endswith("|") for line in table)
