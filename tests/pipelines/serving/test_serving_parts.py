"""Parts of the server one by one: keys, pace, limits, counts, and a model that fails."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from domains.errors import InputError
from models.intake import Field, accept, accept_records
from pipelines.governance import activity
from pipelines.governance.versions import Loaded
from pipelines.serving.keys import NOBODY, Pace, read_keys
from pipelines.serving.limits import Limits, read_limits
from pipelines.serving.line import Line
from pipelines.serving.meters import Meters
from pipelines.serving.questions import Question
from pipelines.serving.ready import ready_version
from pipelines.serving.refusal import Refusal
from pipelines.serving.sweep import Sweep
from pipelines.serving.usage import Usage
from pipelines.serving.version import Version
from tests.pipelines.serving.sample_service import credit_scorer, register_loans


def _secret() -> bytes:
    return b"secret"


def _holder(text: str, key: str) -> str | None:
    return read_keys(text, _secret).holder([(b"x-api-key", key.encode())])


def test_a_key_is_named_by_its_name_or_by_a_hash_of_it() -> None:
    assert _holder("nightly:abc, def", "abc") == "nightly"
    unnamed = _holder("nightly:abc, def", "def")
    assert unnamed is not None
    assert unnamed.startswith("key-")
    assert "def" not in unnamed
    assert _holder("nightly:a:b", "a:b") == "nightly"
    assert _holder("nightly:abc", "nightly") is None
    assert _holder("", "anything") == NOBODY


@pytest.mark.parametrize("text", ["a,", ",", "a,a", "n:", ":a", "n:a,m:a"])
def test_an_empty_or_repeated_key_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(InputError, match=r"entry [12] .*expected NAME:KEY or KEY"):
        read_keys(text, _secret)


def test_a_key_may_ask_at_its_rate_and_ahead_for_ten_seconds() -> None:
    clock = SimpleNamespace(now=0.0)
    pace = Pace(2.0, lambda: clock.now)
    assert [pace.wait("a") for _ in range(20)] == [0.0] * 20
    assert pace.wait("a") == pytest.approx(0.5)
    assert pace.wait("b") == 0.0
    clock.now = 0.5
    assert pace.wait("a") == 0.0
    assert pace.wait("a") == pytest.approx(0.5)
    clock.now = 1e6
    assert [pace.wait("a") for _ in range(21)][:20] == [0.0] * 20


@pytest.mark.parametrize("value", ["many", "-1", "0", "1.5", "inf", "nan"])
def test_a_limit_that_is_no_number_is_named(value: str) -> None:
    with pytest.raises(InputError, match=f"CARELEDGER_SERVE_ROWS={value}: expected a whole number"):
        read_limits({"CARELEDGER_SERVE_ROWS": value})


def test_limits_come_from_the_environment() -> None:
    given = {"CARELEDGER_SERVE_SECONDS": "2.5", "CARELEDGER_SERVE_RATE": "0"}
    assert read_limits(given) == Limits(seconds=2.5)


def test_usage_is_a_line_a_version_and_key_and_waits_for_a_full_disk(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = Usage("loans")
    for rows in (3, 4):
        usage.add("1", "nightly", rows)
    usage.add("2", "nightly", 1)
    with monkeypatch.context() as patch:
        patch.setattr(activity, "note", _full)
        usage.flush()
    assert list(activity.acts()) == []
    usage.add("1", "nightly", 5)
    usage.flush()
    usage.flush()
    told = [(act["version"], act["requests"], act["rows"]) for act in activity.acts("serve")]
    assert sorted(told) == [("1", 3, 12), ("2", 1, 1)]


def _full(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


def test_connections_on_which_nothing_happens_are_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    moment = SimpleNamespace(now=0.0)
    monkeypatch.setattr("pipelines.serving.sweep.time.monotonic", lambda: moment.now)
    sweep = Sweep(10.0)
    idle, busy = _Connection(), _Connection()
    for moment.now in (0.0, 6.0, 12.0):
        busy.cycle = SimpleNamespace(response_complete=False)
        sweep([idle, busy])
    assert idle.cut
    assert not busy.cut


class _Connection:
    def __init__(self) -> None:
        self.cycle: Any = None
        self.cut = False
        self.transport = SimpleNamespace(abort=self._abort)

    def _abort(self) -> None:
        self.cut = True


class _Model:
    """Predicts its column; fails at a negative number, and says what it should not."""

    fields = (Field("x", "number"),)
    outputs = ("y",)

    def predict(self, inputs: pd.DataFrame) -> pd.DataFrame:
        if (inputs["x"] < 0).any():
            raise ValueError(f"John Smith earns {inputs['x'].min()}")
        return pd.DataFrame({"y": inputs["x"] * 2})


def _question(version: Version, *values: float) -> Question:
    rows = [{"x": value} for value in values]
    return Question(version, rows, list(range(len(rows))), {}, len(rows))


def test_a_question_at_which_the_model_fails_fails_alone_and_says_no_value() -> None:
    version = Version(Loaded("m", "1", "credit", "run", _Model()))

    async def ask() -> list[Any]:
        line = Line(asyncio.get_running_loop(), Meters(), 1)
        asked = [_question(version, v) for v in (1.0, -5.0, 3.0)]
        found = await asyncio.gather(*(line.ask(q) for q in asked), return_exceptions=True)
        line.close()
        return list(found)

    first, second, third = asyncio.run(ask())
    assert b'"y":2.0' in first.body
    assert b'"y":6.0' in third.body
    assert isinstance(second, Refusal)
    assert (second.status, second.detail) == (500, "the model failed with ValueError")


def test_questions_of_two_versions_are_each_answered_by_their_own() -> None:
    versions = [Version(Loaded("m", str(i), "credit", "run", _Model())) for i in range(3)]

    async def ask() -> list[Any]:
        line = Line(asyncio.get_running_loop(), Meters(), 1)
        asked = [_question(versions[i % 3], float(i)) for i in range(60)]
        found = await asyncio.gather(*(line.ask(q) for q in asked))
        line.close()
        return list(found)

    for i, answer in enumerate(asyncio.run(ask())):
        assert f'"version":"{i % 3}"'.encode() in answer.body
        assert f'"y":{2.0 * i}'.encode() in answer.body


def test_a_version_with_damaged_weights_is_not_made_ready(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = register_loans()
    assert ready_version("loans", version).fields == credit_scorer().fields
    scorer = credit_scorer()
    for weights in scorer.model.parameters():
        weights.data.fill_(float("nan"))
    monkeypatch.setattr("pipelines.governance.versions.load", lambda _: scorer)
    with pytest.raises(InputError, match="does not answer its own example: its weights may be"):
        ready_version("loans", version)


CELLS: list[Any] = [
    1, 2.5, -0.0, True, "3", " 4.5 ", "1e3", "", "NA", "true", "old", "inf", "1_000", None,
    float("nan"), float("inf"), 10**400, [1], {}, (), "é", 10**15, 7.0, "7", "7.0", False,
]  # fmt: skip


@pytest.mark.parametrize("kind", ["number", "text"])
def test_records_are_accepted_as_a_table_of_the_same_cells_is(kind: Any) -> None:
    fields = (Field("x", kind), Field("other", "number"))
    frame = pd.DataFrame({"x": pd.Series(CELLS, dtype=object), "other": 1.0})
    table = accept(frame, fields)
    rows = accept_records([{"x": cell, "other": 1.0, "more": 0} for cell in CELLS], fields)
    assert rows.reasons == table.reasons
    assert rows.kept.tolist() == table.kept.tolist()
    pd.testing.assert_frame_equal(rows.frame, table.frame)
