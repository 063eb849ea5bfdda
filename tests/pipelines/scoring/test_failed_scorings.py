"""A scoring that fails is told with its file, the reason and the command that mends it."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from domains.errors import InputError
from pipelines.governance.activity import acts
from pipelines.score import score
from pipelines.scoring import record, rounds
from pipelines.scoring.batch import score_file
from pipelines.settings import ScoreConfig
from pipelines.status import needs, scored, text
from pipelines.status import rounds as rounds_seen
from pipelines.status.page import write
from pipelines.status.snapshot import take
from pipelines.status.values import as_json
from tests.pipelines.governance.sample_versions import LOANS, loan_scorer, loans, register

SECRET = "Zemblanity-7340"
Told = list[tuple[str, dict[str, str]]]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """What people were told."""
    heard: Told = []
    for module in (record, rounds):
        monkeypatch.setattr(module, "notify", lambda _, text, **facts: heard.append((text, facts)))
    return heard


@pytest.fixture
def inbox(home: Path, monkeypatch: pytest.MonkeyPatch, prefect_server: str) -> Path:
    register(loan_scorer(), LOANS)
    folder = home / "inbox" / LOANS
    folder.mkdir(parents=True)
    return folder


def _round() -> Any:
    return score(
        ScoreConfig(model=LOANS, input=Path(f"inbox/{LOANS}"), output=Path(f"scores/{LOANS}"))
    )


def _bad(inbox: Path, name: str = "a b.csv") -> Path:
    (inbox / name).write_text(f"amount,purpose\n{SECRET},car\n")
    return inbox / name


def test_a_failed_input_needs_a_person_until_that_input_is_scored(inbox: Path, told: Told) -> None:
    bad = _bad(inbox)
    for name in ("a.csv", "z.csv"):
        loans(5).to_csv(inbox / name, index=False)
    with pytest.raises(InputError, match="1 of 3 not scored"):
        _round()
    loans(5).to_csv(inbox / "later.csv", index=False)
    with pytest.raises(InputError, match="1 of 2 not scored"):
        _round()
    (need,) = [need for need in needs.people(take()) if "scored" in need.what]
    assert need.what.startswith(f"{LOANS}: {bad} was not scored: column 'income' is missing")
    assert shlex.split(need.command)[:4] == ["careledger", "score", LOANS, "--input"]
    loans(5).to_csv(bad, index=False)
    words = shlex.split(need.command)
    options = dict(zip(words[3::2], words[4::2], strict=True))
    score_file(ScoreConfig(model=words[2], input=options["--input"], output=options["--output"]))
    assert scored.read()["failures"] == []
    assert _round()["files"] == []
    assert not [need for need in needs.people(take()) if "scored" in need.what]


def test_a_failed_input_that_was_taken_away_needs_nobody(inbox: Path) -> None:
    bad = _bad(inbox)
    with pytest.raises(InputError):
        _round()
    bad.unlink()
    assert scored.read()["failures"] == []


def test_the_failure_stands_in_every_place_with_file_reason_and_command(
    inbox: Path, told: Told, tmp_path: Path
) -> None:
    bad = _bad(inbox)
    with pytest.raises(InputError):
        _round()
    (act,) = acts("score")
    command = shlex.join(["careledger", "score", LOANS, "--input", str(bad)])
    assert (act["input"], act["ended"], act["how"]) == (str(bad), "failed", "schedule")
    assert act["why"].startswith("column 'income' is missing")
    assert act["command"].startswith(command)
    ((message, facts),) = told
    assert str(bad) in message
    assert (facts["command"], facts["reason"]) == (act["command"], act["why"])
    seen = take()
    page = write(seen, tmp_path / "page.html").read_text()
    for place in (text.tell(seen), json.dumps(as_json(seen), ensure_ascii=False), page):
        assert "column &#39;income&#39;" in place or "column 'income' is missing" in place
        assert str(bad) in place
        assert SECRET not in place
        assert "version None" not in place
        assert "/None" not in place


def test_what_went_well_is_kept_without_its_name(inbox: Path) -> None:
    loans(5).to_csv(inbox / f"{SECRET}.csv", index=False)
    _round()
    (act,) = acts("score")
    assert act["ended"] == "done"
    assert SECRET not in json.dumps(act)


def test_what_is_mistyped_at_a_terminal_alarms_nobody(home: Path, told: Told) -> None:
    register(loan_scorer(), LOANS)
    source, output = home.parent / "in.csv", home.parent / "out.csv"
    source.write_text("amount,income,purpose\n1,2,car\n")
    for model, given in (
        ("credit-typo", source),
        (LOANS, home / "none.csv"),
        (f"{LOANS}/9", source),
    ):
        with pytest.raises(InputError):
            score_file(ScoreConfig(model=model, input=given, output=output))
    assert told == []
    assert list(acts("score")) == []
    assert not list(needs._scorings(take()))


def test_what_has_begun_at_a_terminal_is_told_with_its_version(home: Path, told: Told) -> None:
    register(loan_scorer(), LOANS)
    source = home.parent / "in.csv"
    source.write_bytes(b"amount,income,purpose\n1,2,\xff\n")
    with pytest.raises(InputError):
        score_file(ScoreConfig(model=LOANS, input=source, output=home.parent / "out.csv"))
    ((message, facts),) = told
    assert facts["version"] == "1"
    assert f"{source} was not scored: holds text that is not UTF-8" in message


def test_a_model_that_does_not_exist_is_told_without_a_version(inbox: Path, told: Told) -> None:
    loans(5).to_csv(inbox / "a.csv", index=False)
    config = ScoreConfig(model="credit-typo", input=inbox, output=Path("scores/new"))
    with pytest.raises(InputError):
        score(config)
    ((_, facts),) = told
    assert "version" not in facts
    assert "None" not in text.tell(take())
    score(config.model_copy(update={"model": LOANS}))  # the name is mended
    assert scored.read()["failures"] == []


def test_scheduled_scorings_are_among_the_runs(inbox: Path, told: Told) -> None:
    _round()
    loans(5).to_csv(inbox / "a.csv", index=False)
    _round()
    _bad(inbox)
    with pytest.raises(InputError):
        _round()
    failed, good = rounds_seen.read()
    assert (failed["end"], failed["scored"]["failed"]) == ("failed", 1)
    assert (good["end"], good["scored"]["rows"]) == ("finished", 5)
    runs = take().listed("runs")
    assert [run["run_id"] for run in runs if run["pipeline"] == "score"] == [
        failed["run_id"], good["run_id"]
    ]  # fmt: skip
    assert f"{LOANS} scoring" in text.tell(take())


def test_a_scoring_that_fails_before_its_first_input_is_told_until_the_next(
    inbox: Path, tmp_path: Path, told: Told
) -> None:
    missing = ScoreConfig(model=LOANS, input=tmp_path / "none", output=tmp_path / "out")
    with pytest.raises(InputError):
        score(missing)
    assert ["cannot be listed" in message for message, _ in told] == [True]
    (need,) = needs._runs(take())
    assert need.what.startswith(f"{LOANS}: the last scheduled scoring failed: ")
    _round()
    assert not list(needs._runs(take()))


def test_a_run_whose_process_is_gone_is_no_running_one(home: Path) -> None:
    code = (
        "import os; from pipelines.scoring import rounds\n"
        "with rounds.noted('one', 'credit-a'): os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code], check=False)
    (run,) = rounds_seen.read()
    assert run["end"] == "crashed"
    assert "the last scheduled scoring crashed" in needs.people(take())[0].what
