"""A home that a file of tests shares."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipelines.governance.sample_versions import LOANS, loan_scorer, register


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A home with one champion, shared by the tests of a file, and room for files beside it."""
    folder = tmp_path_factory.mktemp("scoring")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CARELEDGER_HOME", str(folder / "home"))
        register(loan_scorer(), LOANS)
        yield folder
