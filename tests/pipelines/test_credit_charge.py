"""No record is read before its owner's budget allows it, and a mistake gives the charge back."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from domains.banking import census
from domains.banking.census import LoanTable
from domains.errors import InputError, Refused
from pipelines import tracking
from pipelines.life import endings
from pipelines.settings import ledger_path
from pipelines.steps.credit import brought
from pipelines.steps.credit.charge import charge, find_loans
from pipelines.steps.credit.known import records_of
from pipelines.steps.credit.statement import checks
from pipelines.tracking import open_job
from privacy.ledger import Ledger
from tests.domains.sample_loans import sample_loans
from tests.pipelines.sample_credit import PRIVATE, config_of, prepare_in, prepared, spent


def test_nothing_but_the_clients_column_is_read_before_the_charge(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def spy(path: Path, columns: Any = None) -> pd.DataFrame:
        asked.append(columns)
        return pd.read_csv(path, usecols=columns)

    monkeypatch.setattr(census, "read_table", spy)  # what is fingerprinted decides about no plan
    with open_job("credit", config_of(tmp_path)) as job:
        charge.fn(job, find_loans.fn(job))
    assert asked == [["bank"]]


def test_without_a_grant_the_run_is_refused_with_the_command(tmp_path: Path, home: Path) -> None:
    config = config_of(tmp_path, privacy={"epsilon": 6, "delta": 1e-4})
    with pytest.raises(Refused, match="careledger budget grant"):
        prepared(config)


def test_all_owners_are_charged_or_none(tmp_path: Path, home: Path) -> None:
    for owner, epsilon in (("loans/North", 10.0), ("loans/South", 1.0), ("loans/West", 10.0)):
        Ledger(ledger_path()).grant(owner, epsilon, 1e-4)
    with pytest.raises(Refused, match="loans/South"):
        prepared(config_of(tmp_path))
    assert set(spent().values()) == {0.0}


def test_a_mistake_in_the_file_gives_the_charge_back(tmp_path: Path, home: Path) -> None:
    frame = sample_loans()
    frame.loc[3, "defaulted"] = None
    with pytest.raises(InputError, match="'defaulted' is empty in 1 of 1200"):
        prepared(config_of(tmp_path, frame))
    assert set(spent().values()) == {0.0}
    prepared(config_of(tmp_path))  # and the same grant pays for the mended file


def test_bounds_on_a_text_column_give_the_charge_back(tmp_path: Path, home: Path) -> None:
    with pytest.raises(InputError, match="column 'purpose': text in each of 1200 records"):
        prepared(config_of(tmp_path, bounds={"purpose": [0, 1]}))
    assert set(spent().values()) == {0.0}


def test_a_direction_of_a_category_gives_the_charge_back(tmp_path: Path, home: Path) -> None:
    with pytest.raises(InputError, match=r"column 'purpose': text in each .* monotone"):
        prepared(config_of(tmp_path, monotone={"purpose": "up"}))
    assert set(spent().values()) == {0.0}


def test_cutting_the_clients_otherwise_brings_no_new_budget(tmp_path: Path, home: Path) -> None:
    prepared(config_of(tmp_path))
    for clients in ({"count": 2}, {"column": "purpose"}):
        with pytest.raises(Refused, match=r"set clients\.column: bank"):
            prepared(config_of(tmp_path, clients=clients, exclude=["approved", "sex"]))
    assert set(spent()) == {"loans/North", "loans/South", "loans/West"}


def test_another_number_of_parts_is_the_same_cut(tmp_path: Path, home: Path) -> None:
    privacy = PRIVATE["privacy"] | {"grant": {"epsilon": 20, "delta": 1e-4}}
    for count in (2, 4):
        clients, exclude = {"count": count}, ["approved", "bank"]
        prepared(config_of(tmp_path, clients=clients, exclude=exclude, privacy=privacy))
    with pytest.raises(Refused, match=r"set clients\.count"):
        prepared(config_of(tmp_path, privacy=privacy))
    assert set(spent()) == {"loans"}


@pytest.mark.parametrize(
    ("whose", "clients"), [("North", {"count": 2}), ("South", {"column": "purpose"})]
)
def test_a_part_of_the_records_under_another_name_is_refused(
    tmp_path: Path, home: Path, whose: str, clients: dict[str, Any]
) -> None:
    """One bank's own file, cut otherwise, against the file of all banks."""
    prepared(config_of(tmp_path))
    frame = sample_loans()
    part = frame[frame["bank"] == whose].sample(frac=0.6, random_state=0)
    data, exclude = {"path": "loans.csv", "name": "fresh"}, ["approved", "bank", "sex"]
    with pytest.raises(Refused, match="are known under the name loans"):
        prepared(config_of(tmp_path, part, data=data, clients=clients, exclude=exclude))
    assert set(spent()) == {"loans/North", "loans/South", "loans/West"}


def test_the_same_records_under_another_name_are_refused_and_cost_nothing(
    tmp_path: Path, home: Path
) -> None:
    prepared(config_of(tmp_path))
    renamed = config_of(tmp_path, data={"path": "loans.csv", "name": "fresh"})
    with pytest.raises(Refused, match="known under the name loans"):
        prepared(renamed)
    assert set(spent()) == {"loans/North", "loans/South", "loans/West"}


def test_the_same_records_of_owners_by_other_names_are_refused_and_leave_no_grant(
    tmp_path: Path, home: Path
) -> None:
    prepared(config_of(tmp_path))
    length, _ = Ledger(ledger_path()).head()
    frame = sample_loans()
    renamed = config_of(tmp_path, frame.assign(bank=frame["bank"] + " 1"))
    said = r"more records of loans/\w+ 1 than chance has it are known under the name loans/"
    with pytest.raises(Refused, match=said):
        prepared(renamed)
    assert [one.kind for one in Ledger(ledger_path()).entries()[length:]] == ["refuse"]
    assert set(spent()) == {"loans/North", "loans/South", "loans/West"}


def test_how_many_records_are_known_is_told_to_no_run_and_nobody(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared(config_of(tmp_path))
    told: list[str] = []
    monkeypatch.setattr(endings, "notify", lambda _, text, **more: told.append(text))
    for rows in (300, 1200):
        fresh = {"path": "loans.csv", "name": "fresh"}
        with pytest.raises(Refused):
            prepared(config_of(tmp_path, sample_loans()[:rows], data=fresh))
    tracker = tracking.client()
    runs = tracker.search_runs([one.experiment_id for one in tracker.search_experiments()])
    ends = [run.data.tags.get(endings.ENDED, "").replace(run.info.run_id, "") for run in runs]
    assert len([end for end in ends if "known under the name" in end]) == 2 == len(told)
    told += [end for end in ends if end]
    for text in told:
        assert not any(letter.isdigit() for letter in text.partition(" refused: ")[2])


def test_a_file_that_lost_an_owner_since_the_census_is_not_charged(
    tmp_path: Path, home: Path
) -> None:
    table = LoanTable("loans", tmp_path / "loans.csv", False, "defaulted", 1, lender="bank")
    sample_loans().to_csv(table.path, index=False)
    with pytest.raises(InputError, match="changed while it was read"):
        records_of(table, ("loans/North", "loans/East"))


def test_a_file_that_is_exchanged_while_it_is_looked_at_is_not_charged(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config, other = config_of(tmp_path), sample_loans(900)

    def exchanged(table: LoanTable, owners: tuple[str, ...]) -> Any:
        other.to_csv(table.path, index=False)
        return records_of(table, owners)

    monkeypatch.setattr(brought, "records_of", exchanged)
    with pytest.raises(InputError, match=r"loans\.csv: changed while it was read"):
        prepared(config)
    assert spent() == {}


def test_a_grant_of_one_over_n_is_refused_before_anybody_is_charged(
    tmp_path: Path, home: Path
) -> None:
    privacy = PRIVATE["privacy"] | {"grant": {"epsilon": 20, "delta": 0.01}}
    with pytest.raises(InputError, match=r"privacy\.grant\.delta: found 0\.01 with \d+ records"):
        prepared(config_of(tmp_path, privacy=privacy))
    Ledger(ledger_path()).grant("loans/North", 20, 0.5)
    with pytest.raises(Refused, match=r"loans/North has \d+ records and granted δ 0\.5"):
        prepared(config_of(tmp_path))
    assert set(spent()) == {"loans/North"}


def test_n_of_clients_that_the_job_cuts_counts_the_records_that_equal_parts_leave_over(
    tmp_path: Path, home: Path
) -> None:
    clients, exclude = {"count": 7}, ["approved", "bank"]
    privacy = PRIVATE["privacy"] | {"delta": 1 / 1199}  # 1200 records, of which 7 · 171 = 1197
    with pytest.raises(InputError, match="with 1200 records at the largest owner"):
        prepared(config_of(tmp_path, clients=clients, exclude=exclude, privacy=privacy))
    made = prepared(config_of(tmp_path, clients=clients, exclude=exclude))
    assert made.dataset.rows == 1200
    assert sum(part["records"] for part in made.split.values()) == 1200


def test_fewer_records_than_clients_are_refused_before_anybody_is_charged(
    tmp_path: Path, home: Path
) -> None:
    clients, frame = {"count": 6}, sample_loans(5)
    with pytest.raises(InputError, match="5 records cannot be cut into 6 clients"):
        prepared(config_of(tmp_path, frame, clients=clients, exclude=["approved", "bank"]))
    assert spent() == {}


def test_a_bank_with_a_word_for_a_name_does_not_rename_the_numbered_ones(
    tmp_path: Path, home: Path
) -> None:
    """Another name would be another budget."""
    privacy = PRIVATE["privacy"] | {"grant": {"epsilon": 20, "delta": 1e-4}}
    frame, numbered = sample_loans(), {"North": "007", "South": "012", "West": "120"}
    for west in ("120", "B7"):
        bank = frame["bank"].map({**numbered, "West": west})
        with open_job("credit", config_of(tmp_path, frame.assign(bank=bank), privacy=privacy)) as j:
            made = prepare_in(j)
            assert set(made.charged.owners) == {"loans/7", "loans/12", f"loans/{west}"}
            assert set(made.facts["client"]) == {"7", "12", west}
        frame["amount"] += 1  # the next month's file, which no fingerprint knows


def test_clients_that_the_job_cuts_share_one_owner(tmp_path: Path, home: Path) -> None:
    config = config_of(tmp_path, clients={"count": 4}, exclude=["approved", "bank"])
    charged = prepared(config).charged
    assert charged.owners == ("loans",)
    assert charged.plan is not None
    assert spent()["loans"] == pytest.approx(charged.plan.spent())


def test_what_opacus_finds_includes_the_bins(tmp_path: Path, home: Path) -> None:
    plan = prepared(config_of(tmp_path)).charged.plan
    assert plan is not None
    assert plan.setup_columns == 2  # income and purpose; amount has public bounds
    assert checks(plan.events(), plan.delta)["opacus_prv"] == pytest.approx(plan.spent(), rel=0.03)
