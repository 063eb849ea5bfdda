"""What decides which records are held out stays the same for all jobs on data of one name."""

import pytest

from domains.errors import InputError, Refused
from privacy.accounts import Cut
from privacy.ledger import Ledger
from privacy.units import Unit
from tests.privacy.sample_ledgers import CHARGE, DELTA

ID, ALL = ("borrower",), ("amount", "bank", "borrower")


def _reserve(ledger: Ledger, job: str, unit: Unit, name: str = "d") -> None:
    ledger.reserve(job, {name: CHARGE}, cut=Cut(name, unit=unit), grant=(90, DELTA))


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (ID, ALL, r"by data\.id: borrower before .* by all 3 columns .*; set data\.id: borrower$"),
        (ID, ("loan",), r"by data\.id: loan now, .*; set data\.id: borrower$"),
        (ALL, ID, r"by data\.id: borrower now, .*; leave data\.id out, and the columns"),
        (ALL, (*ALL, "score"), r"by all 4 columns .*; take score out of the file$"),
        (ALL, ("age", *ALL[:2]), "; take age out of the file and put borrower back into it$"),
    ],
)
def test_another_unit_is_refused_and_leaves_no_trace(
    ledger: Ledger, before: Unit, now: Unit, said: str
) -> None:
    _reserve(ledger, "1", before)
    length = ledger.head()[0]
    with pytest.raises(Refused, match=f"^data d: .*{said}") as refused:
        _reserve(ledger, "2", now)
    assert "so that records that trained would be tested" in str(refused.value)
    assert ledger.head()[0] == length
    _reserve(ledger, "2", before)
    _reserve(ledger, "3", now, "e")  # other data


def test_a_job_taken_up_is_of_the_same_unit(ledger: Ledger) -> None:
    _reserve(ledger, "1", ALL)
    _reserve(ledger, "1", ALL)
    with pytest.raises(InputError, match="reserved in the ledger already, for another charge"):
        _reserve(ledger, "1", ID)


def test_a_job_that_was_given_back_binds_no_unit(ledger: Ledger) -> None:
    _reserve(ledger, "1", ALL)
    ledger.cancel("1")
    _reserve(ledger, "2", ID)


def test_another_key_of_the_home_is_refused_whatever_the_data_and_leaves_no_trace(
    ledger: Ledger,
) -> None:
    def reserve(job: str, secret: str, name: str) -> None:
        ledger.reserve(job, {name: CHARGE}, cut=Cut(name, None, ID, secret), grant=(90, DELTA))

    reserve("given back", "0" * 16, "d")
    ledger.cancel("given back")
    reserve("1", "a" * 16, "d")
    length = ledger.head()[0]
    for name in ("d", "e"):
        with pytest.raises(Refused, match=r"^the file key in CARELEDGER_HOME is not the one by"):
            reserve("2", "b" * 16, name)
    assert ledger.head()[0] == length
    reserve("2", "a" * 16, "e")


def test_after_jobs_that_told_no_unit_the_first_that_does_binds(ledger: Ledger) -> None:
    _reserve(ledger, "1", ())
    _reserve(ledger, "2", ID)
    with pytest.raises(Refused, match="borrower"):
        _reserve(ledger, "3", ALL)
