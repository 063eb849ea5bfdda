"""No restore ever forgets what an owner has spent; what is lost is charged whole."""

import itertools
import random
from pathlib import Path

import pytest

from domains.errors import InputError, Refused
from privacy.anchors import Anchor
from tests.privacy.sample_ledgers import CHARGE, DELTA, ONE, Place, restore, spent


def test_what_is_lost_whole_comes_back_whole(kept: Place, file: Path) -> None:
    rows, key, mark = kept.rows(), kept.key.read_bytes(), kept.mark.read_text()
    kept.lose()
    done = restore(kept, file)
    assert (done.entries, done.charged, done.confirmed) == (4, (), False)
    assert (kept.rows(), kept.key.read_bytes(), kept.mark.read_text()) == (rows, key, mark)
    kept.ledger().reserve("2", {"b": CHARGE})


@pytest.mark.parametrize("damage", ["edited", "key", "empty"])
def test_a_damaged_ledger_is_mended(kept: Place, file: Path, damage: str) -> None:
    rows = kept.rows()
    if damage == "edited":
        kept.put([(*rows[0][:5], "{}", *rows[0][6:]), *rows[1:]])
    elif damage == "key":
        kept.key.write_bytes(b"short")
    else:
        kept.put([])
    restore(kept, file)
    assert kept.rows() == rows
    assert kept.ledger().verify() == []
    with pytest.raises(Exception, match="append-only"):  # and its triggers are there again
        changed(kept, "DELETE FROM {} WHERE number = 1")


def changed(place: Place, statement: str) -> None:
    if isinstance(place.where, str):
        import psycopg

        with psycopg.connect(place.where) as connection:
            connection.execute(statement.format("careledger.entries"))
    else:
        import sqlite3

        with sqlite3.connect(place.where) as file:
            file.execute(statement.format("entries"))


def test_a_restore_goes_forward(kept: Place, file: Path) -> None:
    """The present ledger is an older copy, and the backup has all that anything knows of."""
    newest, rows = kept.anchor(), kept.rows()
    kept.put(rows[:2])
    assert restore(kept, file, newest).confirmed
    assert kept.rows() == rows
    assert kept.ledger(newest).verify() == []


def test_a_sound_and_newer_ledger_stays(kept: Place, file: Path) -> None:
    kept.ledger().reserve("2", {"a": CHARGE})
    rows = kept.rows()
    for charge_lost in (False, True):
        with pytest.raises(Refused, match=r"sound and has 5 entries.*nothing to restore"):
            restore(kept, file, charge_lost=charge_lost)
    assert kept.rows() == rows


@pytest.mark.parametrize("witness", ["mark", "anchor", "damaged"])
def test_a_restore_never_goes_back(kept: Place, file: Path, witness: str) -> None:
    kept.ledger().reserve("2", {"a": CHARGE})
    rows, anchor, mark = kept.rows(), kept.anchor("run 2"), kept.mark.read_text()
    anchors = [anchor] if witness == "anchor" else []
    if witness == "damaged":
        kept.put([(*rows[0][:5], "{}", *rows[0][6:]), *rows[1:]])
        kept.mark.unlink()
    else:
        kept.lose()
    if witness == "mark":
        kept.mark.write_text(mark)
    said = {"mark": "the mark", "anchor": "run 2", "damaged": "the ledger in place"}[witness]
    with pytest.raises(Refused, match=rf"with 4 entries, and {said}.*knows of 5.*--charge-lost"):
        restore(kept, file, *anchors)


def test_what_is_lost_is_charged_whole_and_settled(kept: Place, file: Path) -> None:
    kept.ledger().reserve("2", {"b": CHARGE})
    anchor = kept.anchor("run 2")
    kept.lose()
    done = restore(kept, file, anchor, charge_lost=True)
    assert (done.lost, done.charged) == (("run 2",), ("a", "b"))
    ledger = kept.ledger(anchor)
    assert ledger.verify() == []
    for budget in ledger.budgets():
        assert budget.epsilon_spent == pytest.approx(5, rel=1e-3)
        assert budget.epsilon_left == pytest.approx(0, abs=1e-2)
    with pytest.raises(Refused, match="budget grant a"):
        ledger.reserve("3", {"a": CHARGE})
    with pytest.raises(Refused, match=r"entries were lost.*budget grant new"):
        ledger.reserve("3", {"new": CHARGE}, grant=(3, DELTA))
    with pytest.raises(Refused) as refusal:
        ledger.reserve("3", {"a": CHARGE})
    words = str(refusal.value).split("budget grant ")[1].split()
    ledger.grant("a", float(words[2]), float(words[4]))
    ledger.reserve("3", {"a": CHARGE})
    assert ledger.verify() == []


def test_a_lost_grant_beyond_all_numbers_is_spent_all_the_same(place: Place, file: Path) -> None:
    place.ledger().grant("a", 5000, DELTA)
    place.ledger().backup(file)
    anchor = Anchor(place.name(), 2, "0", "run 2")
    restore(place, file, anchor, charge_lost=True)
    assert place.ledger(anchor).budgets("a")[0].epsilon_left == 0


def test_a_job_that_was_under_way_goes_on_after_a_loss(kept: Place, file: Path) -> None:
    anchor = Anchor(kept.name(), 9, "0", "run 9")
    restore(kept, file, anchor, charge_lost=True)
    ledger = kept.ledger(anchor)
    ledger.reserve("1", {"a": CHARGE})
    ledger.commit("1")
    assert ledger.standing("1") == "committed"


def test_a_rewritten_ledger_is_replaced_by_the_true_one(kept: Place, file: Path) -> None:
    anchor, rows = kept.anchor("run 1"), kept.rows()
    key = kept.key.read_bytes()
    kept.lose()
    kept.ledger()
    kept.key.write_bytes(key)
    kept.ledger().grant("c", 3, DELTA)
    with pytest.raises(Refused, match="the ledger in place"):  # its entry may have spent something
        restore(kept, file, anchor)
    restore(kept, file, anchor, charge_lost=True)
    assert kept.rows()[:4] == rows
    assert spent(kept.ledger(anchor), "c") == pytest.approx(3, rel=1e-3)
    assert kept.ledger(anchor).verify() == []


def test_another_ledger_is_not_overwritten(kept: Place, file: Path, tmp_path: Path) -> None:
    other = Place(tmp_path / "other.db", tmp_path / "other.db.key")
    other.ledger().grant("z", 3, DELTA)
    with pytest.raises(Refused, match="another ledger than the one in place"):
        restore(other, file, charge_lost=True)
    assert other.ledger().budgets("z")


@pytest.mark.parametrize("seed", range(6))
def test_no_restore_lowers_what_an_owner_has_spent(place: Place, tmp_path: Path, seed: int) -> None:
    """Random histories, damages, witnesses and backups, all from one fixed seed each."""
    chance = random.Random(seed)
    anchors: list[Anchor] = []
    files: list[Path] = []
    most: dict[str, float] = {}
    jobs = itertools.count()
    for step in range(12):
        ledger, owner = place.ledger(*anchors), chance.choice("abc")
        act = chance.choice(["grant", "reserve", "reserve", "backup", "lose"])
        try:
            if act == "grant":
                ledger.grant(owner, chance.choice([5, 9, 40]), chance.choice([DELTA, 1e-4]))
            elif act == "reserve":
                ledger.reserve(f"job{next(jobs)}", {owner: CHARGE}, grant=(4, DELTA))
                anchors.append(place.anchor(f"run {step}"))
            elif act == "backup":
                files.append(tmp_path / f"backup{step}")
                ledger.backup(files[-1])
            elif files:
                harm(place, chance)
                file = chance.choice(files)
                pays = not tried(place, file, anchors)
                if pays:
                    restore(place, file, *anchors, charge_lost=True)
        except Refused:
            pass
        now = {b.owner: b for b in place.ledger(*anchors).budgets()}
        for name, before in most.items():
            if name in now:
                account = now[name].epsilon_spent
                assert account >= before - 1e-9 or now[name].delta > DELTA
        most = {name: b.epsilon_spent for name, b in now.items() if b.delta == DELTA}
        found = [finding.kind for finding in place.ledger(*anchors).verify()]
        assert found == ([] if place.mark.exists() else ["unmarked"])


def tried(place: Place, file: Path, anchors: list[Anchor]) -> bool:
    try:
        restore(place, file, *anchors)
    except Refused:
        return False
    return True


def harm(place: Place, chance: random.Random) -> None:
    how = chance.choice(["all", "rows", "mark", "edit"])
    rows = place.rows()
    if how == "all":
        place.lose()
    elif how == "rows" and rows:
        place.put(rows[: chance.randrange(len(rows))])
    elif how == "mark":
        place.mark.unlink(missing_ok=True)
    elif rows:
        place.put([(*rows[0][:5], "{}", *rows[0][6:]), *rows[1:]])


def test_from_sqlite_to_postgresql_and_back(postgres: str, tmp_path: Path, file: Path) -> None:
    here = Place(tmp_path / "ledger.db", tmp_path / "ledger.db.key")
    there = Place(postgres, here.key)
    there.lose()
    here.ledger().grant("a", 3, DELTA)
    here.ledger().reserve("1", {"a": CHARGE})
    anchor = here.anchor()
    here.ledger().backup(file)
    with pytest.raises(InputError, match="empty or missing"):
        there.ledger()
    restore(there, file, anchor)
    assert there.rows() == here.rows()
    assert spent(there.ledger(anchor)) == ONE
    there.ledger(anchor).commit("1")
    with pytest.raises(Refused):  # the old file has fallen behind
        here.ledger().grant("a", 4, DELTA)
    there.ledger().backup(file)
    restore(here, file, there.anchor())
    assert there.rows() == here.rows()
