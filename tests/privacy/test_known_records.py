"""Other names for data or owners bring no new budget, and next month's file is no other name."""

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from domains.errors import Refused
from privacy.accounts import Cut
from privacy.chain import Chain
from privacy.fingerprints import Records, records
from privacy.history import tell
from privacy.known_records import FEW_SHARED
from privacy.ledger import Ledger
from tests.privacy.sample_ledgers import CHARGE, DELTA, Place, charge_for, prints

BANKS = {"A": (0, 400), "B": (400, 700), "C": (700, 1000)}


def charge_of(ledger: Ledger, job: str, data: str, brought: dict[str, Records]) -> None:
    """A job on these very fingerprints."""
    cut = Cut(data, None if data in brought else "bank")
    charge = dict.fromkeys(brought, CHARGE)
    ledger.reserve(job, charge, cut=cut, grant=(90, DELTA), records=lambda: brought)


def owners(ledger: Ledger) -> set[str]:
    return {budget.owner for budget in ledger.budgets()}


def test_the_same_records_of_owners_by_other_names_are_refused_and_nobody_is_granted_anything(
    ledger: Ledger,
) -> None:
    charge_for(ledger, "1", "loans", BANKS)
    renamed = {f"{name}1": span for name, span in BANKS.items()}
    said = "more records of loans/A1 than chance has it are known under the name loans/A, "
    with pytest.raises(Refused, match=said):
        charge_for(ledger, "2", "loans", renamed)
    assert owners(ledger) == {"loans/A", "loans/B", "loans/C"}


def test_a_refusal_stays_in_the_ledger_and_says_no_number(ledger: Ledger) -> None:
    charge_for(ledger, "one", "loans", {"": (0, 1000)})
    length, _ = ledger.head()
    said = set()
    for count in (11, 400, 1000):
        with pytest.raises(Refused) as refused:
            charge_for(ledger, "two", "fresh", {"": (0, count)})
        said.add(str(refused.value))
    (text,) = said
    assert not any(letter.isdigit() for letter in text)
    kept = ledger.entries()[length:]
    assert [(one.kind, one.job, one.owner) for one in kept] == [("refuse", "two", "fresh")] * 3
    assert [one.detail["reason"] in text for one in kept] == [True] * 3
    assert ledger.history("fresh") == kept
    assert ledger.standing("two") == "unknown"
    assert ledger.verify() == []


def test_an_owners_history_says_neither_how_many_records_were_new_nor_whose_they_are_too(
    ledger: Ledger,
) -> None:
    charge_for(ledger, "one", "loans", {"": (0, 1000)})
    charge_for(ledger, "two", "others", {"": (993, 2000)})
    (kept,) = [e for e in ledger.entries() if (e.kind, e.owner) == ("records", "others")]
    assert kept.detail["shared"] == {"loans": 7}
    (told,) = [entry for entry in ledger.history("others") if entry.kind == "records"]
    assert told.detail == {"data": "others"}
    (line,) = tell([told])
    assert not any(letter.isdigit() for letter in line.said)


def test_owners_that_change_their_names_among_each_other_are_refused(ledger: Ledger) -> None:
    charge_for(ledger, "1", "loans", BANKS)
    with pytest.raises(
        Refused, match="of loans/A than chance has it are known under the name loans/B"
    ):
        charge_for(ledger, "2", "loans", {"A": BANKS["B"], "B": BANKS["A"]})


def test_many_small_owners_hide_nothing(ledger: Ledger) -> None:
    charge_for(ledger, "1", "loans", BANKS)
    pieces = {f"p{place}": (place, place + FEW_SHARED) for place in range(0, 400, FEW_SHARED)}
    with pytest.raises(Refused, match="loans/A"):
        charge_for(ledger, "2", "loans", pieces)


def test_the_same_records_under_another_name_are_refused(ledger: Ledger) -> None:
    charge_for(ledger, "1", "loans", {"": (0, 1000)})
    with pytest.raises(
        Refused, match="records of loans2 than chance has it are known under the name loans"
    ):
        charge_for(ledger, "2", "loans2", {"": (0, 1000)})
    with pytest.raises(
        Refused, match="records of loans2/A than chance has it are known under the name loans"
    ):
        charge_for(ledger, "2", "loans2", BANKS)
    charge_for(ledger, "2", "others", {"": (1000 - FEW_SHARED, 2000)})
    with pytest.raises(Refused, match="of more than chance has it are known under the name loans,"):
        charge_for(ledger, "3", "more", {"": (0, FEW_SHARED + 1)})


def test_large_files_may_share_one_record_in_a_hundred_and_no_more(ledger: Ledger) -> None:
    charge_for(ledger, "1", "loans", {"": (0, 10_000)})
    charge_for(ledger, "2", "others", {"": (9_900, 20_000)})
    with pytest.raises(Refused, match="records of more"):
        charge_for(ledger, "3", "more", {"": (19_898, 40_000)})
    with pytest.raises(Refused, match="records of few"):
        charge_for(ledger, "3", "few", {"": (0, 50)})


def test_next_months_file_goes_on_under_the_same_names(ledger: Ledger) -> None:
    charge_for(ledger, "1", "loans", {"A": (0, 1000), "B": (5000, 6000)})
    charge_for(ledger, "2", "loans", {"A": (500, 1500), "B": (5500, 6500), "new": (9000, 9500)})
    charge_for(ledger, "3", "loans", {"A": (0, 1500), "B": (5000, 6500)})
    kept = [(e.owner, e.detail["records"]) for e in ledger.entries() if e.kind == "records"]
    assert kept == [
        ("loans/A", 1000),
        ("loans/B", 1000),
        ("loans/A", 500),
        ("loans/B", 500),
        ("loans/new", 500),
    ]
    with pytest.raises(Refused, match="loans/A"):
        charge_for(ledger, "4", "copy", {"": (1400, 1450)})


def test_records_of_a_job_that_was_given_back_are_nobody_s(ledger: Ledger) -> None:
    charge_for(ledger, "1", "loans", BANKS)
    ledger.cancel("1")
    charge_for(ledger, "2", "loans", {f"{name}1": span for name, span in BANKS.items()})
    with pytest.raises(Refused, match="loans/A1"):
        charge_for(ledger, "3", "loans", BANKS)


def test_records_are_kept_again_once_the_job_that_brought_them_was_given_back(
    ledger: Ledger,
) -> None:
    charge_for(ledger, "1", "loans", BANKS)
    charge_for(ledger, "2", "loans", BANKS)
    ledger.cancel("1")
    charge_for(ledger, "3", "loans", BANKS)
    with pytest.raises(Refused, match="loans/A"):
        charge_for(ledger, "4", "fresh", BANKS)


def test_records_stay_known_while_any_charge_of_their_owner_stands(ledger: Ledger) -> None:
    charge_for(ledger, "1", "loans", BANKS)
    charge_for(ledger, "2", "loans", BANKS)
    ledger.cancel("1")
    ledger.commit("2")
    with pytest.raises(Refused, match="loans/A"):
        charge_for(ledger, "3", "fresh", BANKS)


@pytest.mark.parametrize("share", [0.6, 1.0])
def test_a_file_whose_owners_share_most_of_their_rows_is_refused(
    ledger: Ledger, share: float
) -> None:
    twin = {"A": (0, 1000), "B": (round(1000 * (1 - share)), 2000), "C": (5000, 90_000)}
    with pytest.raises(Refused, match="most records of loans/A stand in the same file under"):
        charge_for(ledger, "1", "loans", twin)
    assert owners(ledger) == set()


def test_owners_that_are_alike_open_no_door_to_new_names(ledger: Ledger) -> None:
    charge_for(ledger, "1", "loans", {"A": (0, 1000), "B": (500, 1500)})
    with pytest.raises(Refused, match="loans/A"):
        charge_for(ledger, "2", "loans", {"X": (0, 1000), "Y": (3000, 13_000)})
    with pytest.raises(Refused, match="loans/X"):
        charge_for(ledger, "2", "loans", {"X": (950, 1050), "Y": (3000, 13_000)})
    with pytest.raises(Refused, match="of loans/B than chance"):
        charge_for(ledger, "2", "loans", {"B": (399, 1400)})


def test_of_an_owner_s_records_a_hundred_come_under_other_names_in_all(ledger: Ledger) -> None:
    """A thousand among 99 000 others are one in a hundred, and so are ten jobs of a hundred."""
    charge_for(ledger, "1", "loans", {"": (0, 100_000)})
    with pytest.raises(Refused, match="loans"):
        charge_for(ledger, "2", "a", {"": (99_000, 199_000)})
    for job in ("2", "3"):  # what was let pass once is the new name's from then on
        charge_for(ledger, job, "a", {"": (99_940, 199_000)})
    for name, first in (("b", 0), ("c", 10), ("d", 20), ("e", 30)):
        charge_for(ledger, name, name, {"": (first, first + 10)})
    with pytest.raises(Refused, match="loans"):
        charge_for(ledger, "8", "f", {"": (40, 41)})


def test_pieces_in_one_job_count_together(ledger: Ledger) -> None:
    charge_for(ledger, "1", "loans", {"": (0, 100_000)})
    known = {f"b/{k}": prints((10 * k, 10 * k + 10)) for k in range(11)}
    others = {f"b/{k}": prints((200_000 + 9000 * k, 209_000 + 9000 * k)) for k in range(11)}
    brought = {owner: records(np.concatenate([*known[owner], *others[owner]])) for owner in known}
    with pytest.raises(Refused, match="loans"):
        charge_of(ledger, "2", "b", brought)


def test_rows_that_a_holder_has_more_than_once_tell_nothing(ledger: Ledger) -> None:
    """Two lenders' tables of few values: 500 rows each, of sixty kinds."""
    kinds = np.random.default_rng(0).integers(1, 61, (2, 500)).astype(np.uint64)
    once = np.arange(1000, 1020, dtype=np.uint64)
    for job, (name, rows) in enumerate(zip(("north", "south"), kinds, strict=True)):
        charge_of(ledger, name, name, {name: records(np.concatenate([rows, once + 100 * job]))})
    with pytest.raises(Refused, match="north"):  # what stands there once does
        charge_for(ledger, "3", "fresh", {"": (999, 1019)})
    with pytest.raises(Refused, match="north"):
        charge_of(ledger, "3", "x", {"x": records(np.repeat(once, 2))})


def test_rows_that_say_little_are_refused_no_month_by_chance(ledger: Ledger) -> None:
    """Two banks whose rows are alike for a third of their records, this month and the next."""
    charge_for(ledger, "1", "loans", {"A": (0, 900), "B": (600, 1500)})
    charge_for(ledger, "2", "loans", {"A": (0, 1000), "B": (500, 1500)})
    with pytest.raises(Refused, match="loans/A"):
        charge_for(ledger, "3", "loans", {"A1": (0, 900), "B1": (600, 1500)})


def test_any_way_of_fingerprinting_that_finds_them_serves(ledger: Ledger) -> None:
    charge_for(ledger, "1", "loans", {"": (0, 1000)})
    with pytest.raises(Refused, match="records of new"):
        charge_of(ledger, "2", "new", {"new": prints((5000, 6000), (0, 1000))})


def test_no_record_is_looked_at_where_the_budget_does_not_suffice(ledger: Ledger) -> None:
    ledger.grant("loans", 1, DELTA)

    def read() -> dict[str, tuple[np.ndarray, ...]]:
        raise AssertionError("the records were read")

    with pytest.raises(Refused, match="ε is short"):
        ledger.reserve("1", {"loans": CHARGE}, cut=Cut("loans"), records=read)
    ledger.grant("loans", 9, DELTA)
    with suppress(AssertionError):
        ledger.reserve("1", {"loans": CHARGE}, cut=Cut("loans"), records=read)
    assert ledger.standing("1") == "unknown"
    charge_for(ledger, "1", "loans", {"": (0, 5)})
    ledger.reserve("1", {"loans": CHARGE}, cut=Cut("loans"), records=read)


def test_a_ledger_that_kept_them_by_the_data_s_name_alone_knows_them_still(place: Place) -> None:
    old = place.ledger()
    charge = dict.fromkeys(("loans/A", "loans/B"), CHARGE)
    old.reserve("1", charge, cut=Cut("loans", "bank"), grant=(90, DELTA))
    payload = prints((0, 1000))[0].tobytes()
    with Chain(place.store(), place.key).write() as book:
        book.append("records", detail={"data": "loans", "records": 1000}, payload=payload)
    with pytest.raises(Refused, match="known under the name loans, whose budget"):
        charge_for(old, "2", "fresh", {"": (0, 1000)})
    with pytest.raises(
        Refused, match="of loans/A1 than chance has it are known under the name loans"
    ):
        charge_for(old, "2", "loans", {"A1": (0, 500), "B1": (500, 1000)})
    charge_for(old, "2", "loans", {"A": (0, 500), "B": (500, 1200)})
    with pytest.raises(
        Refused, match="of loans/B than chance has it are known under the name loans/A"
    ):
        charge_for(old, "3", "loans", {"B": (0, 500)})
    assert old.verify() == []


def test_many_records_of_many_owners_are_compared_whole(tmp_path: Path) -> None:
    """What grew with owners times owners would not end within this test's patience."""
    ledger = Ledger(tmp_path / "ledger.db")
    numbers = np.random.default_rng(0).integers(1, 2**63, (300, 1000)).astype(np.uint64)

    def job(name: str, prefix: str) -> None:
        held = {f"d/{prefix}{place}": records(row) for place, row in enumerate(numbers)}
        charge_of(ledger, name, "d", held)

    job("1", "bank")
    job("2", "bank")
    with pytest.raises(Refused, match="records of d/other0"):
        job("3", "other")
