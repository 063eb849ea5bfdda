"""Nothing is spent that was not recorded, and nothing recorded is ever unspent."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from domains.errors import InputError, Refused
from privacy.accounts import Cut, read_accounts
from privacy.ledger import Ledger
from tests.privacy.sample_ledgers import CHARGE, DELTA, ONE, TWO, Place, spent


def test_jobs_compose_to_more_than_one_and_less_than_their_sum(ledger: Ledger) -> None:
    ledger.grant("a", 10, DELTA)
    ledger.reserve("1", {"a": CHARGE})
    assert spent(ledger) == ONE
    ledger.commit("1")
    assert spent(ledger) == ONE
    ledger.reserve("2", {"a": CHARGE})
    assert ONE < spent(ledger) == TWO < 2 * ONE
    budget = ledger.budgets()[0]
    assert (budget.jobs, budget.epsilon_left) == (2, 10 - TWO)


def test_a_plan_that_spends_the_grant_exactly_fits_once(ledger: Ledger) -> None:
    ledger.grant("a", ONE, DELTA)
    ledger.reserve("1", {"a": CHARGE})
    with pytest.raises(Refused):
        ledger.reserve("2", {"a": CHARGE})
    assert spent(ledger) == ONE


def test_composition_is_at_the_granted_delta(ledger: Ledger) -> None:
    ledger.grant("a", ONE, DELTA / 100)
    with pytest.raises(Refused, match="budget grant a"):
        ledger.reserve("1", {"a": CHARGE})


def test_the_refusal_names_numbers_and_a_command_that_then_works(ledger: Ledger) -> None:
    ledger.grant("sba/FIRST BANK", 2.5, DELTA)
    ledger.reserve("1", {"sba/FIRST BANK": CHARGE})
    with pytest.raises(Refused) as refusal:
        ledger.reserve("2", {"sba/FIRST BANK": CHARGE})
    message = str(refusal.value)
    assert "granted ε 2.5 at δ 1e-05, spent 1.993" in message
    assert "\n" not in message
    command = message.split("careledger budget grant ")[1]
    assert command.startswith("'sba/FIRST BANK' --epsilon ")
    epsilon, delta = command.split()[3], command.split()[5]
    ledger.grant("sba/FIRST BANK", float(epsilon), float(delta))
    ledger.reserve("2", {"sba/FIRST BANK": CHARGE})


def test_a_job_that_needs_more_delta_is_told_so(ledger: Ledger) -> None:
    ledger.grant("a", 10, 1e-7)
    tail = [{"kind": "epsilon-delta", "epsilon": 0.0, "delta": 1e-6, "count": 1}]
    with pytest.raises(Refused, match=r"δ is short.*--epsilon 10 --delta 2e-06"):
        ledger.reserve("1", {"a": CHARGE + tail})


def test_all_owners_are_charged_or_none(ledger: Ledger) -> None:
    ledger.grant("a", 10, DELTA)
    ledger.grant("b", 1, DELTA)
    with pytest.raises(Refused, match="owner b"):
        ledger.reserve("1", {"a": CHARGE, "b": CHARGE})
    assert spent(ledger, "a") == spent(ledger, "b") == 0


def test_owners_are_charged_apart(ledger: Ledger) -> None:
    ledger.grant("a", 10, DELTA)
    ledger.grant("b", 10, DELTA)
    ledger.reserve("1", {"a": CHARGE, "b": CHARGE * 2})
    assert (spent(ledger, "a"), spent(ledger, "b")) == (ONE, TWO)


def test_no_grant_is_refused_with_the_command_that_would_give_one(ledger: Ledger) -> None:
    with pytest.raises(Refused, match="careledger budget grant a --epsilon E --delta D"):
        ledger.reserve("1", {"a": CHARGE})
    ledger.reserve("2", {"a": CHARGE}, grant=(3, DELTA))  # a refusal does not count as being seen
    assert ledger.budgets("a")[0].epsilon_granted == 3


def test_a_job_without_owners_is_refused_and_an_empty_charge_an_error(ledger: Ledger) -> None:
    with pytest.raises(Refused, match="no owner"):
        ledger.reserve("1", {})
    ledger.grant("a", 3, DELTA)
    with pytest.raises(InputError, match="empty"):
        ledger.reserve("1", {"a": []})
    assert ledger.head()[0] == 1


def test_a_cancelled_job_costs_nothing_and_a_committed_one_cannot_be_cancelled(
    ledger: Ledger,
) -> None:
    ledger.grant("a", 3, DELTA)
    ledger.reserve("1", {"a": CHARGE})
    ledger.cancel("1")
    assert spent(ledger) == 0
    ledger.reserve("2", {"a": CHARGE})
    ledger.commit("2")
    for close, job in ((c, j) for c in (ledger.cancel, ledger.commit) for j in "13"):
        with pytest.raises(InputError, match="cancelled" if job == "1" else "unknown"):
            close(job)
    with pytest.raises(InputError, match="committed"):
        ledger.cancel("2")
    assert spent(ledger) == ONE


def test_a_configuration_grants_the_first_time_only(ledger: Ledger) -> None:
    ledger.reserve("1", {"a": CHARGE}, grant=(3, DELTA))
    ledger.reserve("2", {"a": CHARGE}, grant=(300, DELTA))
    assert ledger.budgets("a")[0].epsilon_granted == 3


def test_a_grant_replaces_the_last_and_never_lies_below_what_is_spent(ledger: Ledger) -> None:
    ledger.grant("a", 3, DELTA)
    ledger.grant("a", 9, DELTA)
    assert ledger.budgets("a")[0].epsilon_granted == 9
    ledger.reserve("1", {"a": CHARGE})
    ledger.grant("a", 2, DELTA)
    with pytest.raises(Refused, match="spent"):
        ledger.grant("a", 1, DELTA)
    with pytest.raises(Refused, match="spent"):
        ledger.grant("a", 2, DELTA / 1000)
    assert ledger.budgets("a")[0].epsilon_granted == 2


@pytest.mark.parametrize(
    ("owner", "epsilon", "delta", "named"),
    [("", 1, 1e-5, "owner"), ("a", 0, 1e-5, "epsilon"), ("a", 1, 1, "delta")],
)
def test_an_impossible_grant_names_the_value(
    ledger: Ledger, owner: str, epsilon: float, delta: float, named: str
) -> None:
    with pytest.raises(InputError, match=named):
        ledger.grant(owner, epsilon, delta)


def test_history_tells_the_whole_story_of_one_owner(ledger: Ledger) -> None:
    ledger.grant("a", 2.5, DELTA)
    ledger.grant("b", 2.5, DELTA)
    ledger.reserve("1", {"a": CHARGE})
    ledger.commit("1")
    with pytest.raises(Refused):
        ledger.reserve("2", {"a": CHARGE})
    ledger.reserve("3", {"b": CHARGE})
    story = ledger.history("a")
    assert [entry.kind for entry in story] == ["grant", "reserve", "commit", "refuse"]
    assert story[1].detail["epsilon_after"] == ONE
    assert "granted ε 2.5" in story[3].detail["reason"]
    with pytest.raises(InputError, match="budget grant c"):
        ledger.history("c")


def test_an_unknown_owner_has_no_budget(ledger: Ledger) -> None:
    assert ledger.budgets() == []
    with pytest.raises(InputError, match="not in the ledger"):
        ledger.budgets("a")


def test_the_head_moves_with_every_entry(ledger: Ledger) -> None:
    heads = [ledger.head()]
    ledger.grant("a", 3, DELTA)
    heads += [ledger.head()]
    heads += [ledger.reserve("1", {"a": CHARGE}).head]
    assert [length for length, _ in heads] == [0, 1, 2]
    assert len({value for _, value in heads}) == 3
    assert heads[2] == ledger.head()


def test_of_two_jobs_for_the_last_of_a_budget_exactly_one_wins(place: Place) -> None:
    place.ledger().grant("a", ONE, DELTA)

    def attempt(job: int) -> bool:
        try:
            place.ledger().reserve(str(job), {"a": CHARGE})
        except Refused:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(attempt, range(8))) == 1


def test_a_name_keeps_the_cut_it_was_first_charged_by(ledger: Ledger) -> None:
    ledger.reserve("1", {"d/a": CHARGE}, cut=Cut("d", "bank"), grant=(9, DELTA))
    for other in (Cut("d"), Cut("d", "state")):
        length = ledger.head()[0]
        with pytest.raises(Refused, match=r"by its column bank before.*set clients\.column: bank"):
            ledger.reserve("2", {"d": CHARGE}, cut=other, grant=(9, DELTA))
        assert ledger.head()[0] == length  # and no grant is left behind
    ledger.reserve("2", {"d/a": CHARGE, "d/b": CHARGE}, cut=Cut("d", "bank"), grant=(9, DELTA))
    ledger.reserve("3", {"e": CHARGE}, cut=Cut("e"), grant=(9, DELTA))
    ledger.reserve("4", {"e": CHARGE}, cut=Cut("e"))
    with pytest.raises(Refused, match=r"as one owner before.*clients\.count"):
        ledger.reserve("5", {"e/a": CHARGE}, cut=Cut("e", "bank"), grant=(9, DELTA))


def test_a_cancelled_job_binds_no_name_to_its_cut(ledger: Ledger) -> None:
    ledger.reserve("1", {"d/a": CHARGE}, cut=Cut("d", "bank"), grant=(9, DELTA))
    ledger.reserve("2", {"d/a": CHARGE}, cut=Cut("d", "bank"))
    ledger.cancel("1")
    with pytest.raises(Refused, match="bank"):
        ledger.reserve("3", {"d": CHARGE}, cut=Cut("d"), grant=(9, DELTA))
    ledger.cancel("2")
    ledger.reserve("3", {"d": CHARGE}, cut=Cut("d"), grant=(9, DELTA))


def test_a_refused_charge_binds_no_name_to_its_cut(ledger: Ledger) -> None:
    with pytest.raises(Refused, match="granted nothing"):
        ledger.reserve("1", {"d/a": CHARGE}, cut=Cut("d", "bank"))
    ledger.reserve("2", {"d": CHARGE}, cut=Cut("d"), grant=(9, DELTA))


def test_what_is_shown_as_spent_is_what_composes(ledger: Ledger) -> None:
    """Whatever was granted, charged, given back or moved to another δ in between."""
    ledger.grant("a", 30, DELTA)
    steps = [
        lambda: ledger.reserve("1", {"a": CHARGE}),
        lambda: ledger.reserve("2", {"a": CHARGE * 3}),
        lambda: ledger.cancel("1"),
        lambda: ledger.grant("a", 60, DELTA / 10),
        lambda: ledger.reserve("3", {"a": CHARGE}),
        lambda: ledger.commit("3"),
    ]
    for step in steps:
        step()
        account = read_accounts(ledger.entries()).of("a")
        assert spent(ledger) == account.spent(account.delta)
