"""Each of the six ways to falsify a ledger is found and named; nothing is spent from the result."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from domains.errors import InputError, Refused
from privacy.anchors import Anchor
from privacy.chain import Unsound
from privacy.ledger import Ledger
from tests.privacy.sample_ledgers import CHARGE, DELTA, Place, charge_for, spent


@pytest.fixture
def written(place: Place) -> Place:
    """Six entries: a grant each, three charges and an end."""
    ledger = place.ledger()
    for owner in "ab":
        ledger.grant(owner, 30, DELTA)
    for job in "123":
        ledger.reserve(job, {"a": CHARGE})
    ledger.commit("1")
    return place


def found(place: Place, *anchors: Anchor) -> list[tuple[str, int]]:
    findings = place.ledger(*anchors).verify()
    assert findings
    for finding in findings:
        assert "\n" not in finding.said
    return [(finding.kind, finding.number) for finding in findings]


def refuses(place: Place, *anchors: Anchor) -> None:
    ledger = place.ledger(*anchors)
    before = place.rows()
    with pytest.raises(Unsound, match=r"budget verify.*budget restore"):
        ledger.reserve("next", {"a": CHARGE})
    with pytest.raises(Unsound):
        ledger.grant("a", 60, DELTA)
    assert place.rows() == before


def test_a_sound_ledger_has_nothing_to_say(written: Place) -> None:
    anchor = written.anchor()
    assert written.ledger(anchor).verify() == []
    written.ledger(anchor).reserve("4", {"a": CHARGE})
    assert written.ledger(anchor).verify() == []


@pytest.mark.parametrize("place_of", range(6))
def test_edited(written: Place, place_of: int) -> None:
    rows = written.rows()
    row = list(rows[place_of])
    row[5] = row[5].replace("{", '{"more": 1, ' if row[5] != "{}" else '{"more": 1')
    written.put([*rows[:place_of], tuple(row), *rows[place_of + 1 :]])
    assert found(written) == [("edited", place_of + 1)]
    refuses(written)


def test_a_detail_that_is_no_json_is_edited(written: Place) -> None:
    rows = written.rows()
    written.put([(*rows[0][:5], "no JSON", *rows[0][6:]), *rows[1:]])
    assert found(written) == [("edited", 1)]


def test_edited_fingerprints(written: Place) -> None:
    charge_for(written.ledger(), "records", "loans", {"": (0, 2)})
    rows = written.rows()
    written.put([*rows[:-1], (*rows[-1][:7], b"x" * 16)])
    last = len(rows)
    assert found(written) == [("edited", last)]
    with pytest.raises(Unsound, match=f"entry {last}"):
        charge_for(written.ledger(), "more", "others", {"": (0, 2)})


def test_removed(written: Place) -> None:
    rows = written.rows()
    written.put([*rows[:2], *rows[4:]])
    assert found(written) == [("removed", 3)]
    refuses(written)


def test_removed_and_renumbered(written: Place) -> None:
    rows = written.rows()
    written.put([*rows[:2], *((row[0] - 2, *row[1:]) for row in rows[4:])])
    kinds = found(written)
    assert kinds[0] == ("removed", 3)
    refuses(written)


def test_reordered(written: Place) -> None:
    rows = written.rows()
    third, fourth = rows[2], rows[3]
    written.put([*rows[:2], (3, *fourth[1:]), (4, *third[1:]), *rows[4:]])
    assert found(written) == [("reordered", 3), ("reordered", 4)]
    refuses(written)


@pytest.mark.parametrize("kept", [1, 3, 5])
def test_truncated(written: Place, kept: int) -> None:
    written.put(written.rows()[:kept])
    assert found(written) == [("truncated", kept + 1)]
    refuses(written)


def test_restored(written: Place, tmp_path: Path) -> None:
    """Database, key and mark of an earlier day: all that a home holds is in accord."""
    rows, beside = written.rows(), tmp_path / "then"
    written.copy_beside(beside)
    written.ledger().reserve("4", {"a": CHARGE})
    anchor = written.anchor("run 4")
    written.put(rows)
    for path in (written.key, written.mark):
        shutil.copy2(beside / path.name, path)
    assert written.ledger().verify() == []  # nothing here could know
    assert found(written, anchor) == [("restored", 7)]
    (finding,) = written.ledger(anchor).verify()
    assert finding.known_by == ("run 4",)
    refuses(written, anchor)


def rewrite(place: Place, keep_key: bool) -> None:
    """A chain made anew, with more entries and one charge less."""
    key = place.key.read_bytes()
    place.lose()
    if keep_key:
        place.ledger()
        place.key.write_bytes(key)
    ledger = place.ledger()
    for owner in "abcdefg":
        ledger.grant(owner, 30, DELTA)
    ledger.reserve("1", {"a": CHARGE})


@pytest.mark.parametrize("keep_key", [True, False])
def test_rewritten(written: Place, keep_key: bool) -> None:
    anchor = written.anchor("run 3")
    rewrite(written, keep_key)
    assert written.ledger().verify() == []
    assert found(written, anchor) == [("rewritten", 6)]
    (finding,) = written.ledger(anchor).verify()
    assert finding.known_by == ("run 3",)
    refuses(written, anchor)


def test_rewritten_from_somewhere_on(written: Place) -> None:
    """An older copy that was gone on with looks the same: from its end on it is another chain."""
    rows, mark = written.rows(), written.mark.read_text()
    first = written.anchor("run 3")
    written.ledger().reserve("4", {"a": CHARGE})
    second = written.anchor("run 4")
    written.put(rows)
    written.mark.write_text(mark)
    written.ledger().reserve("5", {"b": CHARGE})
    assert found(written, first, second) == [("rewritten", 7)]


def test_a_mark_put_back_alone_changes_nothing(written: Place, tmp_path: Path) -> None:
    """It may lag, as after a kill, and goes up again with the next entry."""
    written.copy_beside(tmp_path / "then")
    written.ledger().reserve("4", {"a": CHARGE})
    newest = written.mark.read_text()
    shutil.copy2(tmp_path / "then" / written.mark.name, written.mark)
    assert written.ledger().verify() == []
    written.ledger().commit("4")
    assert written.mark.read_text() > newest


def test_a_mark_that_cannot_be_read_is_named(written: Place) -> None:
    written.mark.write_text("{")
    with pytest.raises(InputError, match=r"ledger\.db\.head: cannot be read"):
        written.ledger().reserve("4", {"a": CHARGE})


def test_the_key_of_another_ledger_is_found(written: Place, tmp_path: Path) -> None:
    other = Ledger(tmp_path / "other.db")
    other.grant("a", 3, DELTA)
    shutil.copy2(tmp_path / "other.db.key", written.key)
    with pytest.raises(Refused, match="another ledger's"):
        written.ledger().reserve("4", {"a": CHARGE})
    assert found(written)[0] == ("rewritten", 1)


def test_every_single_change_of_a_row_is_found(written: Place) -> None:
    rows = written.rows()
    for at, row in enumerate(rows):
        for column in range(1, 7):
            edited = (*row[:column], "changed", *row[column + 1 :])
            written.put([*rows[:at], edited, *rows[at + 1 :]])
            assert found(written)
    written.put(rows)
    assert written.ledger().verify() == []


def test_what_an_unsound_ledger_shows_is_still_what_stands_there(written: Place) -> None:
    written.put(written.rows()[:3])
    assert spent(written.ledger()) > 0


def test_a_missing_mark_is_told_and_nothing_is_spent_until_a_run_confirms_the_ledger(
    written: Place,
) -> None:
    anchor = written.anchor("run 3")
    written.mark.unlink()
    head = written.ledger().head()
    assert found(written) == [("unmarked", 6)]
    for spend in (
        lambda: written.ledger().reserve("4", {"a": CHARGE}),
        lambda: written.ledger().grant("a", 90, DELTA),
    ):
        with pytest.raises(Unsound, match=r"head beside its key is missing.*budget restore"):
            spend()
    written.ledger().commit("3")  # what was reserved may end, and brings no mark back
    assert written.ledger().head()[0] == head[0] + 1
    assert found(written, anchor) == [("unmarked", 6)]
    written.ledger(anchor).reserve("4", {"a": CHARGE})
    (told,) = [entry for entry in written.ledger().entries() if entry.kind == "mark"]
    assert told.detail == {"anchors": 1, "longest": 6}
    assert written.ledger(anchor).verify() == []


def test_a_ledger_that_was_emptied_with_its_mark_is_no_new_one(written: Place) -> None:
    """The key is there, and was made after the mark."""
    written.put([])
    written.mark.unlink()
    with pytest.raises(Unsound, match=r"head beside its key is missing"):
        written.ledger().grant("a", 90, DELTA)
    assert found(written) == [("unmarked", 0)]


def test_a_missing_mark_hides_no_missing_entries_from_runs(written: Place) -> None:
    anchor = written.anchor("run 3")
    written.put(written.rows()[:-2])
    written.mark.unlink()
    with pytest.raises(Unsound, match="run 3 was paid"):
        written.ledger(anchor).grant("a", 90, DELTA)
    assert {kind for kind, _ in found(written, anchor)} == {"unmarked", "restored"}


def test_another_ledger_s_runs_count_as_a_lost_past_until_a_person_says_otherwise(
    written: Place,
) -> None:
    other = Anchor("0123456789abcdef", 9, "f" * 64, "run 7")
    assert found(written, other) == [("rewritten", 9)]
    with pytest.raises(Unsound, match="by ledger 0123456789abcdef"):
        written.ledger(other).grant("a", 90, DELTA)
    with pytest.raises(InputError, match="reason"):
        written.ledger(other).separate(other.ledger, " ")
    for wrong in (written.ledger().name, "unheard of"):
        with pytest.raises(InputError, match="budget verify"):
            written.ledger(other).separate(wrong, "the branch in the north has its own")
    written.ledger(other).separate(other.ledger, "the branch in the north has its own")
    assert written.ledger(other).verify() == []
    written.ledger(other).reserve("4", {"a": CHARGE})
    third = replace(other, ledger="f" * 16)
    assert found(written, other, third) == [("rewritten", 9)]


def test_nobody_may_say_so_of_this_home_s_own_runs(written: Place) -> None:
    other = Anchor("0123456789abcdef", 9, "f" * 64, "run 7", here=True)
    with pytest.raises(Refused, match="run 7 of this very home"):
        written.ledger(other).separate(other.ledger, "the branch in the north has its own")
