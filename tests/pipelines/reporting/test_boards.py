"""Trainings set against each other: every measure once, in tables that fit a page."""

from pipelines.evidence import Arm
from pipelines.reporting.boards import boards


def arm(name: str, **metrics: float) -> Arm:
    return Arm(name, "arm", {key.replace("__", "."): value for key, value in metrics.items()}, 1.0)


MANY = [arm(f"arm {i}", auroc=(70 + i) / 100, gini=0.4, ks=0.3, ece=0.02) for i in range(9)]


def test_nine_trainings_are_nine_lines_and_a_measure_that_repeats_another_is_left_out() -> None:
    (board,) = boards(MANY)
    assert board.upright
    assert board.names == ["auroc", "ks", "ece"]
    assert len(board.arms) == 9
    assert board.best("auroc") == 0.78
    assert board.best("ece") is None, "all are alike"


def test_a_measure_that_another_says_stays_where_the_other_is_missing() -> None:
    (board,) = boards([arm("a", gini=0.4, ks=0.3), arm("b", gini=0.5, ks=0.1)])
    assert "gini" in board.names


def test_a_further_test_is_a_table_of_those_that_took_it() -> None:
    later = arm("a", auroc=0.7, out_of_time__auroc=0.6, out_of_time__ks=0.2)
    first, second = boards([later, arm("b", auroc=0.8)])
    assert (first.title, len(first.arms)) == ("", 2)
    assert (second.title, [each.name for each in second.arms]) == ("Later approvals", ["a"])
    assert second.heading("out_of_time.auroc") == "AUROC"
    assert second.best("out_of_time.auroc") is None, "nothing to be better than"


def test_outcomes_stay_together_a_measure_a_line() -> None:
    metrics = {f"{outcome}__auroc": 0.7 for outcome in ("a", "b", "c", "d", "e", "f")}
    (board,) = boards([arm("hard", **metrics), arm("none", **metrics)])
    assert not board.upright
    assert len(board.names) == 6


def test_what_was_measured_elsewhere_is_not_set_beside_test_records() -> None:
    (board,) = boards([arm("a", auroc=0.7, validation__auroc_difference=0.1, external__auroc=0.5)])
    assert board.names == ["auroc"]
    assert boards([arm("a", validation__auroc_difference=0.1)]) == []
