"""What a credit run says first, and who took part in its rounds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipelines.evidence import Evidence
from pipelines.steps.credit.taking_part import table, with_conduct
from pipelines.steps.credit.told import in_order
from pipelines.steps.credit.training import FEDERATED, Trained

SAID = [
    "Which model: keep model: scorecard.",
    "Federation: inside clients, better.",
    "Privacy, its few steps among it: worse.",
    "Joining, federated: 3 of 4.",
    "Joining, personalised: 4 of 4.",
    "The smallest third of the clients gain.",
    "Calibration: fine.",
    "Fairness, Sex: equal.",
    "Equal approval of Sex groups would cost.",
    "Reasons: are reasons.",
]


def evidence(*findings: str) -> Evidence:
    return Evidence("credit", "h", {}, {}, {"auroc": 0.7}, [], findings=list(findings))


def trained(rounds: int, **conduct: dict[str, int]) -> Trained:
    history = [{"round": i + 1.0, "clients": 3.0 - i % 2} for i in range(rounds)]
    if not conduct:
        history = [{**point, "clients": 3.0} for point in history]
    return Trained(FEDERATED, "arm", "", 1.0, Path("none"), history, (), conduct)


def test_no_sentence_is_lost_or_said_twice_and_few_come_first() -> None:
    made = in_order(evidence(*SAID))
    assert sorted(made.every_sentence()) == sorted(SAID)
    assert [line.partition(":")[0].split(",")[0] for line in made.findings] == [
        "Federation", "Joining", "Privacy", "Fairness",
    ]  # fmt: skip
    assert made.findings[1].startswith("Joining, personalised")
    assert made.remarks["joining"] == [SAID[3], SAID[5]]
    assert made.remarks["worth"] == [SAID[0]]
    assert (made.remarks["calibration"], made.remarks["decisions"]) == ([SAID[6]], [SAID[9]])


def test_without_personalised_models_the_shared_one_is_told_first() -> None:
    assert in_order(evidence(SAID[3])).findings == [SAID[3]]


def test_of_protected_columns_the_least_alike_is_told_first() -> None:
    ratios = {"fairness.Sex.approval_ratio": 0.97, "fairness.Age {x}.approval_ratio": 0.9}
    made = replace(evidence("Fairness, Sex: a.", "Fairness, Age {x}: b."), metrics=ratios)
    assert in_order(made).findings == ["Fairness, Age {x}: b."]
    assert in_order(made).remarks["fairness"] == ["Fairness, Sex: a."]


def test_where_every_update_counted_one_sentence_says_so(tmp_path: Path) -> None:
    made = with_conduct(evidence(), tmp_path, ["a", "b", "c"], trained(4))
    assert made.remarks["rounds"] == [
        "All 3 clients took part in all 4 rounds; every update counted."
    ]
    assert (made.tables, made.figures) == ([], [])


def test_each_update_that_did_not_count_as_sent_is_in_the_table(tmp_path: Path) -> None:
    conduct = {"a": {"lost": 2}, "c": {"lost": 1, "no finite length": 3}}
    made = with_conduct(evidence(), tmp_path, ["a", "b", "c"], trained(6, **conduct))
    (told,) = made.tables
    assert told.columns == ["client", "lost", "no finite length", "rounds in all"]
    assert told.rows == [["c", 1, 3, 4], ["a", 2, 0, 2]]
    assert "the other 1 all counted" in told.caption
    assert "did not count as sent: 3 lost, 3 no finite length" in made.remarks["rounds"][0]
    assert made.figures[0].path.exists()
    (away,) = made.findings
    assert "nothing was learned from 1 clients (c)" in away


def test_an_update_that_is_shortened_still_counts(tmp_path: Path) -> None:
    conduct = {"a": {"too long, clipped": 4}}
    assert with_conduct(evidence(), tmp_path, ["a", "b"], trained(4, **conduct)).findings == []


@pytest.mark.parametrize("clients", [["a"], ["a", "b"]])
def test_nobody_is_told_of_who_does_not_exist(clients: list[str]) -> None:
    said = table({"a": {"lost": 1}}, clients, 3).caption
    assert ("the other" in said) == (len(clients) > 1)
