"""What tests of several rooms of `pipelines` share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.pipelines.services.sample_machine import Machine


@pytest.fixture
def machine(home: Path) -> Iterator[Machine]:
    """An installation of its own, whose services end with the test."""
    machine = Machine(home)
    try:
        yield machine
    finally:
        done = machine.make("down")
        assert done.returncode == 0, done.stderr
