"""Stages: retried only where that helps, timed, and silent about records."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from prefect import flow
from prefect.states import State

from domains.errors import InputError, StageFailed
from domains.sources import Unreachable
from pipelines.clock import clock, seconds
from pipelines.settings import load_config
from pipelines.stages import stage
from pipelines.tracking import Job


@pytest.fixture
def job(tmp_path: Path) -> Job:
    config = load_config("credit")
    return Job("credit", "credit-sba", "run", tmp_path, config, started=0.0, stages=2)


@pytest.mark.parametrize(("error", "times"), [(Unreachable, 3), (InputError, 1), (OSError, 1)])
def test_only_an_unreachable_network_is_tried_again(
    job: Job, prefect_server: str, error: type[Exception], times: int
) -> None:
    tried = []

    @stage(retries=2)
    def fetch(job: Job) -> None:
        tried.append(job.name)
        raise error("no")

    @flow
    def fetching() -> None:
        fetch(job)

    with pytest.raises((error, StageFailed)):
        fetching()
    assert len(tried) == times


def test_text_of_an_unforeseen_error_stays_out_of_the_stage(job: Job) -> None:
    @stage()
    def parse(_: Job) -> None:
        raise ValueError("could not convert 'Anna Smith' to a number")

    with pytest.raises(StageFailed, match=r"failed with ValueError at test_stages\.py") as caught:
        parse.fn(job)
    assert "Anna" not in str(caught.value)
    assert caught.value.__suppress_context__


_RECORD = "loans.csv: row 7, column 'name': found 'Anna Smith'"


@pytest.mark.parametrize("public", [True, False])
def test_what_is_wrong_with_private_records_is_kept_from_prefect(
    job: Job, prefect_server: str, public: bool
) -> None:
    config = SimpleNamespace(data=SimpleNamespace(path=Path("loans.csv"), public=public))
    job = replace(job, config=config)
    ends: list[str] = []

    def remember(_: object, __: object, state: State) -> None:
        ends.append(str(state.message))

    @stage()
    def read(_: Job) -> None:
        raise InputError(_RECORD)

    @flow(on_failure=[remember])
    def reading() -> None:
        read.with_options(on_failure=[remember])(job)

    with pytest.raises(InputError) as caught:
        reading()
    assert len(ends) == 2
    assert all(("Anna" in end) == public for end in ends)
    assert (caught.value.told or str(caught.value)) == _RECORD  # for the terminal
    assert ("Anna" in str(caught.value)) == public


def test_orchestration_is_all_that_is_not_work(job: Job) -> None:
    with clock(job, "training"):
        pass
    with clock(job, "orchestration"):
        pass
    spent = seconds(job)
    assert spent["orchestration"] <= spent["total"]
    assert spent["training"] < 1
