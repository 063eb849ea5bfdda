"""A job that is taken up again finds its charge, and pays for what it does a second time."""

from typing import Any

import pytest

from domains.errors import InputError, Refused
from privacy.accounts import Cut
from privacy.ledger import Ledger
from privacy.plan import calibrate
from tests.privacy.sample_ledgers import CHARGE, DELTA, ONE, TWO, spent


def test_a_job_that_ended_may_say_so_again(ledger: Ledger) -> None:
    ledger.grant("a", 3, DELTA)
    ledger.reserve("1", {"a": CHARGE})
    ledger.commit("1")
    head = ledger.head()
    ledger.commit("1")
    assert ledger.head() == head


def test_a_job_is_reserved_once_however_often_it_asks_for_the_same(ledger: Ledger) -> None:
    ledger.reserve("1", {"d/a": CHARGE, "d/b": CHARGE}, cut=Cut("d", "bank"), grant=(9, DELTA))
    head = ledger.head()
    again = ledger.reserve("1", {"d/b": CHARGE, "d/a": list(CHARGE)}, cut=Cut("d", "bank"))
    assert again.head == ledger.head() == head
    assert spent(ledger, "d/a") == ONE


@pytest.mark.parametrize(
    ("owners", "cut"),
    [
        ({"d/a": CHARGE * 2}, Cut("d", "bank")),
        ({"d/a": CHARGE, "d/b": CHARGE}, Cut("d", "bank")),
        ({"d/b": CHARGE}, Cut("d", "bank")),
        ({"d/a": CHARGE}, None),
        ({"d/a": CHARGE}, Cut("d")),
    ],
)
def test_a_reserved_name_stands_for_one_charge_only(
    ledger: Ledger, owners: dict[str, list[dict[str, Any]]], cut: Cut | None
) -> None:
    ledger.grant("d/b", 9, DELTA)
    ledger.reserve("1", {"d/a": CHARGE}, cut=Cut("d", "bank"), grant=(9, DELTA))
    with pytest.raises(InputError, match="for another charge"):
        ledger.reserve("1", owners, cut=cut)
    assert spent(ledger, "d/a") == ONE


def test_a_job_that_ended_cannot_be_reserved_again(ledger: Ledger) -> None:
    ledger.grant("a", 9, DELTA)
    for job, close in (("1", ledger.commit), ("2", ledger.cancel)):
        ledger.reserve(job, {"a": CHARGE})
        close(job)
        with pytest.raises(InputError, match="in the ledger already"):
            ledger.reserve(job, {"a": CHARGE})


def test_where_a_job_stands(ledger: Ledger) -> None:
    ledger.grant("a", 9, DELTA)
    assert ledger.standing("1") == "unknown"
    ledger.reserve("1", {"a": CHARGE})
    ledger.reserve("2", {"a": CHARGE})
    assert ledger.standing("1") == "reserved"
    ledger.commit("1")
    ledger.cancel("2")
    assert (ledger.standing("1"), ledger.standing("2")) == ("committed", "cancelled")


def test_what_a_job_does_again_is_charged_beside_it_and_belongs_to_it(ledger: Ledger) -> None:
    again = [{**CHARGE[0], "sigma": 9.0}]
    ledger.grant("a", 9, DELTA)
    ledger.reserve("1", {"a": CHARGE})
    ledger.reserve("1.2", {"a": again})
    ledger.reserve("10", {"a": again})
    assert ledger.charged("1") == {"a": [*CHARGE, *again]}
    assert ledger.budgets("a")[0].jobs == 2
    with pytest.raises(InputError, match="charge stays"):
        ledger.cancel("1")
    ledger.commit("1")
    standing = [ledger.standing(job) for job in ("1", "1.2", "10")]
    assert standing == ["committed", "committed", "reserved"]
    assert ledger.charged("1") == {"a": [*CHARGE, *again]}


def test_what_is_done_again_must_fit_and_a_refusal_leaves_the_job_charged(ledger: Ledger) -> None:
    ledger.grant("a", (ONE + TWO) / 2, DELTA)
    ledger.reserve("1", {"a": CHARGE})
    with pytest.raises(Refused, match="budget grant a"):
        ledger.reserve("1.2", {"a": CHARGE})
    assert spent(ledger) == ONE
    assert (ledger.standing("1"), ledger.standing("1.2")) == ("reserved", "unknown")


def test_an_unknown_job_was_charged_nothing(ledger: Ledger) -> None:
    assert ledger.charged("1") == {}


SETUP = [{"kind": "epsilon-delta", "epsilon": 0.0, "delta": DELTA / 4, "count": 1}]


def test_a_refusal_says_which_of_epsilon_and_delta_is_short(ledger: Ledger) -> None:
    ledger.reserve("1", {"a": CHARGE + SETUP * 3}, grant=(40, DELTA), sizes={"a": 90_000})
    with pytest.raises(Refused, match="ε is short") as refusal:
        ledger.reserve("2", {"a": [{**CHARGE[0], "sigma": 0.1}]})
    assert "δ is short" not in str(refusal.value)
    with pytest.raises(Refused, match=r"δ 7.5e-06 is used up.*asks δ 5e-06 more: δ is short"):
        ledger.reserve("3", {"a": CHARGE + SETUP * 2})


def test_the_remedy_lowers_no_epsilon_and_stays_below_one_over_n(ledger: Ledger) -> None:
    ledger.reserve("1", {"a": CHARGE + SETUP * 3}, grant=(40, DELTA), sizes={"a": 45_000})
    with pytest.raises(Refused) as refusal:
        ledger.reserve("2", {"a": CHARGE + SETUP * 2})
    words = str(refusal.value).split("budget grant ")[1].split()
    assert (float(words[2]), float(words[4])) == (40, 2 * DELTA)
    ledger.grant("a", float(words[2]), float(words[4]))
    ledger.reserve("2", {"a": CHARGE + SETUP * 2})
    with pytest.raises(Refused, match="δ is used up: none below 1/45000") as last:
        ledger.reserve("3", {"a": CHARGE + SETUP * 4})
    assert "budget grant" not in str(last.value)


def test_no_grant_is_one_over_n_or_more_once_n_is_known(ledger: Ledger) -> None:
    ledger.reserve("1", {"a": CHARGE}, grant=(40, DELTA), sizes={"a": 1000})
    with pytest.raises(InputError, match="1000 records, expected below 1/1000"):
        ledger.grant("a", 40, 1e-3)
    ledger.grant("b", 40, 0.5)
    with pytest.raises(Refused, match=r"owner b has 1000 records and granted δ 0\.5"):
        ledger.reserve("2", {"b": CHARGE}, sizes={"b": 1000})
    with pytest.raises(InputError, match=r"privacy\.grant\.delta: found 0\.01 with 1000 records"):
        ledger.reserve("2", {"c": CHARGE}, grant=(40, 0.01), sizes={"c": 1000})
    assert {budget.owner for budget in ledger.budgets()} == {"a", "b"}


def test_jobs_that_draw_value_lists_run_until_epsilon_is_spent(ledger: Ledger) -> None:
    plan = calibrate(
        0.5,
        DELTA,
        rounds=10,
        local_steps=1,
        sampling_rate=1.0,
        clip_norm=2.5,
        setup_share=0.3,
        setup_columns=3,
        setup_categories=3,
        records=90_000,
    )
    ledger.grant("a", 40, DELTA)
    for job in range(12):
        ledger.reserve(str(job), {"a": plan.events()}, sizes={"a": 90_000})
    shown = ledger.budgets("a")[0]
    assert shown.delta_spent == pytest.approx(12 * plan.setup_delta, rel=1e-3)
    assert shown.delta_spent < DELTA / 50
    assert shown.epsilon_spent < 3
