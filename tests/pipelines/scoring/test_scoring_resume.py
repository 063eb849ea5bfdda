"""A scoring that was cut short: what is finished stays, nothing is mixed, nothing half-written."""

from __future__ import annotations

import os
import resource
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from domains.errors import InputError
from pipelines.governance.activity import acts
from pipelines.scoring.batch import Result, score_file
from pipelines.scoring.output import Published, Stamp, publish
from pipelines.scoring.record import Pace
from pipelines.scoring.workspace import Workspace, workspace
from pipelines.settings import ScoreConfig
from pipelines.tracking import client
from tests.pipelines.governance.sample_versions import LOANS, loan_scorer, loans, register

ROWS, CHUNK = 30_000, 100


@pytest.fixture
def source(home: Path, tmp_path: Path) -> Path:
    """Loans with a bad cell here and there, and a champion to score them."""
    register(loan_scorer(), LOANS)
    frame = loans(ROWS)
    frame["amount"] = frame["amount"].astype(object).where(frame.index % 997 != 5, "unknown")
    frame.to_csv(tmp_path / "loans.csv", index=False)
    return tmp_path / "loans.csv"


def _config(source: Path, output: Path, chunk: int = CHUNK) -> ScoreConfig:
    return ScoreConfig(model=LOANS, input=source, output=output, id="loan", chunk=chunk)


def _parts(output: Path) -> list[Path]:
    return sorted(output.with_name(f".{output.name}.scoring").glob("[0-9]*.arrow"))


def _command(source: Path, output: Path) -> list[str]:
    options = [
        "--input",
        str(source),
        "--output",
        str(output),
        "--id",
        "loan",
        "--chunk",
        str(CHUNK),
    ]
    return [sys.executable, "-m", "pipelines.cli", "score", LOANS, *options, "--json"]


def _killed(source: Path, output: Path, after: int) -> int:
    """Kill a scoring outright once so many parts are there; returns how many it left."""
    process = subprocess.Popen(_command(source, output), stderr=subprocess.PIPE)
    while len(_parts(output)) < after and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not output.exists()
    return len(_parts(output))


@pytest.mark.slow
def test_killed_twice_and_run_again_it_is_the_same_file(source: Path, tmp_path: Path) -> None:
    (tmp_path / "whole").mkdir()
    whole, output = tmp_path / "whole" / "out.csv", tmp_path / "out.csv"
    score_file(_config(source, whole))
    first = _killed(source, output, after=20)
    second = _killed(source, output, after=first + 20)
    assert 20 <= first < second < ROWS // CHUNK
    done = subprocess.run(_command(source, output), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"going on after {second} finished pieces" in done.stderr
    assert output.read_bytes() == whole.read_bytes()
    rejects = [path.with_name("out.csv.rejects.csv").read_bytes() for path in (output, whole)]
    assert rejects[0] == rejects[1]
    assert rejects[0].count(b"\n") == 1 + len(range(5, ROWS, 997))
    assert not list(tmp_path.glob(".*"))


@pytest.fixture
def stopped(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An output whose scoring was stopped by Ctrl-C after a few pieces."""
    output = tmp_path / "out.parquet"
    with monkeypatch.context() as keyboard:
        keyboard.setattr(Pace, "add", _press_after_five())
        with pytest.raises(KeyboardInterrupt):
            score_file(_config(source, output, 1000))
    assert len(_parts(output)) == 5
    return output


def _press_after_five() -> object:
    presses = iter(range(5))

    def add(_: Pace, __: int) -> None:
        if next(presses) == 4:
            raise KeyboardInterrupt

    return add


def _scored_rows(monkeypatch: pytest.MonkeyPatch, config: ScoreConfig) -> tuple[Result, int]:
    """Score, and count the rows that went through this process."""
    seen: list[int] = []
    monkeypatch.setattr(Pace, "add", lambda _, rows: seen.append(rows))
    return score_file(config), sum(seen)


def test_finished_parts_are_for_their_owner_alone(stopped: Path) -> None:
    assert stat.S_IMODE(_parts(stopped)[0].parent.stat().st_mode) == 0o700


def test_the_same_scoring_goes_on_in_the_same_run(
    stopped: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result, rows = _scored_rows(monkeypatch, _config(source, stopped, 1000))
    assert (result["rows"], rows) == (ROWS, ROWS - 5000)
    whole = stopped.with_name("whole.parquet")
    failed, done = acts("score")
    assert (failed["ended"], done["ended"]) == ("stopped", "done")
    assert failed["run_id"] == done["run_id"]
    assert client().get_run(done["run_id"]).info.status == "FINISHED"
    score_file(_config(source, whole, 1000))
    assert stopped.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("act", ["discard", "begin"])
def test_killed_while_it_removes_its_parts_it_starts_over(
    act: str, stopped: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut(folder: Path, **_: object) -> None:
        _parts(stopped)[2].unlink()
        raise KeyboardInterrupt

    with workspace(stopped) as work, monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", cut)
        patch.setattr(Path, "iterdir", cut)
        with pytest.raises(KeyboardInterrupt):
            work.discard() if act == "discard" else work.begin({})
    result, rows = _scored_rows(monkeypatch, _config(source, stopped, 1000))
    assert (result["rows"], rows) == (ROWS, ROWS)


def test_a_champion_that_moved_is_asked_from_the_first_row(
    stopped: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = next(acts("score"))["run_id"]
    other = loan_scorer(seed=1)
    version = register(other, LOANS)
    result, rows = _scored_rows(monkeypatch, _config(source, stopped, 1000))
    assert (result["model"]["version"], rows) == (version, ROWS)
    out = pd.read_parquet(stopped)
    assert set(out["version"]) == {version}
    assert out["probability"][1] == other.predict(loans(ROWS)[1:2])["probability"][1]
    assert client().get_run(left).info.status == "KILLED"


@pytest.mark.parametrize("change", ["data", "chunk", "id"])
def test_parts_of_another_scoring_are_not_used(
    stopped: Path, source: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    config = _config(source, stopped, 1000)
    if change == "data":
        source.write_text(source.read_text() + "L0,1,1,car,none\n")
    else:
        config = config.model_copy(update={"chunk": 999} if change == "chunk" else {"id": None})
    result, rows = _scored_rows(monkeypatch, config)
    assert rows == result["rows"] == ROWS + (change == "data")


def test_a_second_scoring_to_one_output_is_told_of_the_first(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    with workspace(output), pytest.raises(InputError, match="another scoring is writing it"):
        score_file(_config(source, output))
    assert score_file(_config(source, output, ROWS))["rows"] == ROWS


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_costs_no_finished_piece(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    largest = 3_000_000  # bytes: more than a part or the store, less than the output
    done = subprocess.run(
        _command(source, output),
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest)),
    )
    assert done.returncode == 1
    assert "out.csv: cannot be written (File too large)" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not output.exists()
    assert len(_parts(output)) == ROWS // CHUNK
    assert score_file(_config(source, output))["rows"] == ROWS
    assert os.path.getsize(output) > largest


def test_an_answer_that_cannot_be_told_to_the_store_is_not_lost(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out.csv"

    def gone(work: Workspace, stamp: Stamp) -> Published:
        counts = publish(work, stamp)
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
        return counts

    monkeypatch.setattr("pipelines.scoring.batch.publish", gone)
    assert score_file(_config(source, output, 10_000))["rows"] == ROWS
    assert output.exists()
