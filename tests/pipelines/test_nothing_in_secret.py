"""Change one training record, and everything a run publishes stays as it was but for its noise.

The noise is replaced by constants: what is noised comes out as the constant, whatever went in, and
so every other way from a training record into what is published would show. Both runs share their
keys, so that the record stays on its side of the split. What may differ: times, ids of runs, keyed
digests of data (which nobody without the key can read or test).
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from prefect.artifacts import Artifact

from domains.banking.credit import Loans
from models.federated import rounds
from models.trees import boosting
from pipelines import finish
from pipelines.credit import credit
from pipelines.run import describe
from pipelines.settings import CreditConfig, load_config, open_ledger
from pipelines.steps.credit import prepare as preparing
from pipelines.tracking import client
from privacy import noise
from tests.pipelines.sample_changes import (
    KEY,
    another_borrower,
    another_content,
    another_day,
    loans,
    other_values,
    trained_record,
    words_for_numbers,
)

pytestmark = pytest.mark.slow
_SECONDS = ("total", "training", "orchestration")
Published = dict[str, Any]

JOB: dict[str, Any] = {
    "data": {
        "path": "loans.csv",
        "name": "loans",
        "id": "borrower",
        "date": "approved",
        "out_of_time": "2007-01-01",
        "types": {"purpose": "category", "insured": "category"},  # what income is, is voted
    },
    "target": {"column": "defaulted", "positive": 1},
    "clients": {"column": "bank"},
    "protected": ["sex"],
    "exclude": ["loan"],
    "bounds": {"amount": [0, 1e6], "age": [18, 90]},  # income has DP bins
    "categories": {"region": ["east", "west"]},  # purpose and insured have DP lists
    "privacy": {"epsilon": 6, "delta": 1e-4, "grant": {"epsilon": 6, "delta": 1e-4}},
    "rounds": 3,
}
RUNS: dict[str, dict[str, Any]] = {
    "scorecard": {"model": "scorecard", "release": "metrics"},
    "mlp": {"model": "mlp", "release": None},
    "trees without an id": {
        "model": "trees",
        "release": "metrics",
        "data": {key: value for key, value in JOB["data"].items() if key != "id"},
        "exclude": ["loan", "borrower"],
    },
}


class Constant:
    """Noise that says nothing of what it was added to, and remembers how much of it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, float]] = []

    def gaussian(self, shape: int | tuple[int, ...], sigma: float) -> np.ndarray:
        """So large that a count added to it is rounded away."""
        size = int(np.prod(shape))
        self.asked.append((size, sigma))
        return 1e22 * (1.0 + (np.arange(size) % 89) / 89).reshape(shape)

    def add_gaussian(self, values: np.ndarray, sigma: float) -> None:
        self.asked.append((len(values), sigma))
        values[:] = sigma * np.cos(np.arange(len(values)) + len(self.asked))

    def bernoulli(self, count: int, probability: float) -> np.ndarray:
        coins: np.ndarray = np.random.default_rng(count).random(count) < probability
        return coins


def published(folder: Path, model: str, frame: pd.DataFrame, drop: int | None = None) -> Published:
    """Everything a run leaves for others to see; a scorecard's run tells test metrics too."""
    (folder / "home").mkdir(parents=True)
    (folder / "home" / "key").write_bytes(KEY)
    frame.to_csv(folder / "loans.csv", index=False)
    (folder / "job.yaml").write_text(json.dumps({**JOB, **RUNS[model]}))
    constant, said = Constant(), io.StringIO()
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("CARELEDGER_HOME", str(folder / "home"))
        for name in ("gaussian", "add_gaussian", "bernoulli"):
            patch.setattr(noise, name, getattr(constant, name))
        # How long it took is told, and is not of this test.
        for place in (rounds, boosting):
            patch.setattr(place, "time", SimpleNamespace(perf_counter=float))
        patch.setattr(finish, "seconds", lambda job: dict.fromkeys(_SECONDS, 0.0))
        if drop is not None:
            patch.setattr(preparing, "_read", without(preparing._read, drop))
        stack.enter_context(redirect_stdout(said))
        stack.enter_context(redirect_stderr(said))
        config = load_config("credit", folder / "job.yaml")
        assert isinstance(config, CreditConfig)
        result: dict[str, Any] = credit(config)
        found = dict(_published(folder, result))
    return {**found, "said": said.getvalue(), "noise asked for": constant.asked}


def without(read: Callable[..., Loans], loan: int) -> Callable[..., Loans]:
    """Reading that misses one record, while its owner's public number of records is what it is."""

    def fewer(*args: Any) -> Loans:
        found = read(*args)
        stays = (found.frame["loan"] != str(loan)).to_numpy()
        assert stays.sum() == len(stays) - 1
        arrays = {
            name: getattr(found, name)[stays]
            for name in ("y", "client", "group", "record", "part", "later")
        }
        return Loans(found.frame[stays].reset_index(drop=True), notes=found.notes, **arrays)

    return fewer


def _published(folder: Path, result: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    home, tracker = folder / "home", client()
    yield "result", result
    yield "told", describe(result)
    for place in ("artifacts", "reports"):
        for path in sorted((home / place).rglob("*")):
            if path.is_file():
                yield f"{place}/{path.relative_to(home / place)}", path.read_bytes()
    experiments = [each.experiment_id for each in tracker.search_experiments()]
    for run in tracker.search_runs(experiments, order_by=["start_time"]):
        name = run.info.run_name
        yield f"run {name}: parameters", run.data.params
        yield f"run {name}: metrics", run.data.metrics
        yield f"run {name}: tags", run.data.tags
        inputs = [each.dataset.to_dictionary() for each in run.inputs.dataset_inputs]
        yield f"run {name}: inputs", inputs
    for version in tracker.search_model_versions(""):
        yield f"version {version.version}: tags", version.tags
        yield f"version {version.version}: description", version.description
    for entry in open_ledger().entries():
        yield f"ledger {entry.number}", (entry.kind, entry.owner, entry.detail)
    drawn = ("credit-loans-figure",) if result["metrics"] else ()
    for key in ("credit-loans-card", *drawn):
        found = Artifact.get(key)
        yield f"prefect {key}", found and (found.data, found.description)
    if (home / "activity.jsonl").exists():
        yield "activity", (home / "activity.jsonl").read_text()


def differences(first: Published, second: Published) -> list[str]:
    """Names of what differs, apart from what may."""
    one, two = ({str(_plain(k)): _plain(v) for k, v in e.items()} for e in (first, second))
    return sorted(
        name for name in {*one, *two} if one.get(name, "absent") != two.get(name, "absent")
    )


_FREE = (
    (r"/\S*?/home/", "HOME/"),
    (r"[0-9a-f]{32,64}", "ID"),  # runs, keyed digests and hashes
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "ID"),
    (r"\b[0-9a-f]{16}\b", "ID"),  # of home and ledger
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?( ?UTC|Z)?", "TIME"),
    (r"(?m)^ *\d+\.\d s  ", "TIME "),
    (r'("?(utc_time_created|model_size_bytes|creation_timestamp)"?: ?)[^,\n]*', r"\1"),
)


def _plain(value: Any) -> str | bytes:
    """Text without times, ids and keyed digests; other files as they are."""
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            return bytes(value)
    text = value if isinstance(value, str) else json.dumps(value, default=str, sort_keys=True)
    for pattern, instead in _FREE:
        text = re.sub(pattern, instead, text)
    return text


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> Published:
    """What the run of a net publishes."""
    return published(tmp_path_factory.mktemp("net"), "mlp", loans())


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory, prefect_server: str) -> Published:
    """What the run of a scorecard publishes."""
    return published(tmp_path_factory.mktemp("card"), "scorecard", loans())


@pytest.mark.parametrize(
    ("model", "change"),
    [
        ("mlp", other_values),
        ("scorecard", other_values),
        ("scorecard", words_for_numbers),
        ("scorecard", another_borrower),
        ("scorecard", another_day),
    ],
)
def test_what_a_training_record_says_shows_in_nothing_but_its_noised_part(
    model: str,
    change: Callable[[pd.DataFrame, int], None],
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    first: Published = request.getfixturevalue("net" if model == "mlp" else "card")
    frame = loans()
    change(frame, trained_record(frame))
    second = published(tmp_path, model, frame)
    assert len(first) > 35
    assert first["noise asked for"], "nothing was noised"
    assert differences(first, second) == []


def test_a_training_record_that_is_not_there_is_not_missed(net: Published, tmp_path: Path) -> None:
    """Nor by the public number of records, which stays what it is here."""
    frame = loans()
    gone = frame["loan"].tolist()[trained_record(frame)]
    assert differences(net, published(tmp_path, "mlp", frame, drop=gone)) == []


def test_without_an_id_a_training_record_that_says_otherwise_and_still_trains_does_not_show(
    prefect_server: str, tmp_path: Path
) -> None:
    """The record's content is its id, so that only some other contents leave it on its side."""
    frame, model = loans(), "trees without an id"
    first = published(tmp_path / "one", model, frame)
    another_content(frame)
    second = published(tmp_path / "two", model, frame)
    assert len(first) > 35
    assert first["noise asked for"], "nothing was noised"
    assert differences(first, second) == []
