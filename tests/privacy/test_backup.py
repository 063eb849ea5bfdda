"""A backup is whole, of one moment, and for its owner alone; what is none is named."""

import hashlib
import json
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from domains.errors import InputError, Refused
from privacy import backup
from privacy.ledger import Ledger
from tests.privacy.sample_ledgers import CHARGE, DELTA, Place, restore


def test_a_backup_is_for_its_owner_alone(kept: Place, file: Path) -> None:
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_backup_while_jobs_write_is_of_one_moment(place: Place, file: Path) -> None:
    place.ledger().grant("a", 100, DELTA)
    done = threading.Event()

    def work() -> None:
        for job in range(5):
            place.ledger().reserve(str(job), {"a": CHARGE})
        done.set()

    thread = threading.Thread(target=work)
    thread.start()
    lengths = []
    while not done.is_set():
        lengths.append(place.ledger().backup(file))
    thread.join()
    assert lengths == sorted(lengths)
    kept = Place(file.parent / "copy.db", file.parent / "copy.db.key")
    assert restore(kept, file).entries == lengths[-1]


def test_a_backup_of_an_unsound_ledger_is_not_made(kept: Place, file: Path) -> None:
    before = file.read_bytes()
    kept.put(kept.rows()[:2])
    with pytest.raises(Refused, match="budget verify"):
        kept.ledger().backup(file)
    assert file.read_bytes() == before


def test_a_backup_does_not_overwrite_the_ledger(place: Place) -> None:
    place.ledger().grant("a", 3, DELTA)
    with pytest.raises(InputError, match="belongs to the ledger itself"):
        place.ledger().backup(place.key)


def test_a_place_that_cannot_be_written_is_named(kept: Place, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be written"):
        kept.ledger().backup(tmp_path / "no" / "such" / "folder")


@pytest.mark.parametrize(
    ("harmed", "said"),
    [
        (lambda text: text[: len(text) // 2], "damaged or cut short"),
        (lambda text: text.replace(b"grant", b"grunt", 1), "damaged or cut short"),
        (lambda text: b"", "not a backup"),
        (lambda text: b"PK\x03\x04 a zip", "not a backup"),
        (lambda text: text.replace(b'"version": 1', b'"version": 9', 1), "version 9"),
    ],
)
def test_a_backup_that_is_none_is_named(
    tmp_path: Path, file: Path, harmed: Callable[[bytes], bytes], said: str
) -> None:
    Ledger(tmp_path / "ledger.db").grant("a", 3, DELTA)
    Ledger(tmp_path / "ledger.db").backup(file)
    file.write_bytes(harmed(file.read_bytes()))
    place = Place(tmp_path / "ledger.db", tmp_path / "ledger.db.key")
    rows = place.rows()
    with pytest.raises(InputError, match=said):
        restore(place, file)
    assert place.rows() == rows


def test_a_backup_that_was_forged_without_the_checksum_fails_at_its_chain(
    tmp_path: Path, file: Path
) -> None:
    Ledger(tmp_path / "ledger.db").grant("a", 3, DELTA)
    Ledger(tmp_path / "ledger.db").backup(file)
    head, line, _ = file.read_text().splitlines()
    row = json.loads(line)
    row[5] = row[5].replace("3.0", "9.0")
    body = f"{head}\n{json.dumps(row)}\n"
    file.write_text(body + json.dumps({"sha256": hashlib.sha256(body.encode()).hexdigest()}))
    with pytest.raises(InputError, match="entry 1 of the backup"):
        backup.load(file)
