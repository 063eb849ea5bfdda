"""Stages: retried only where that helps, timed, and silent about records."""

from pathlib import Path

import pytest
from prefect import flow

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


def test_orchestration_is_all_that_is_not_work(job: Job) -> None:
    with clock(job, "training"):
        pass
    with clock(job, "orchestration"):
        pass
    spent = seconds(job)
    assert spent["orchestration"] <= spent["total"]
    assert spent["training"] < 1
