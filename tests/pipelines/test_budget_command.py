"""`careledger budget` as a privacy officer uses it: lines to read, exit statuses, no way back."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from domains.errors import Refused
from pipelines import cli
from pipelines.doctor import examine
from pipelines.settings import open_ledger
from pipelines.status import budgets

DELTA = 1e-5
CHARGE = [{"kind": "gaussian", "sigma": 2.0, "count": 1}]
Said = Callable[..., tuple[int, str, str]]


@pytest.fixture
def budget(home: Path, capsys: pytest.CaptureFixture[str]) -> Said:
    """Run a command: exit status, standard output, standard error."""

    def run(*words: str) -> tuple[int, str, str]:
        code = cli.guarded(lambda: cli.app(["budget", *words], standalone_mode=False))
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


@pytest.fixture
def story(home: Path) -> None:
    """A grant, two jobs it pays for, one it does not, one given back."""
    ledger = open_ledger()
    ledger.grant("loans/a", 3.5, DELTA)
    ledger.reserve("one", {"loans/a": CHARGE})
    ledger.commit("one")
    ledger.reserve("two", {"loans/a": CHARGE})
    with pytest.raises(Refused):
        ledger.reserve("three", {"loans/a": CHARGE * 3})
    ledger.cancel("two", "nothing was noised")


@pytest.mark.usefixtures("story")
def test_history_reads_as_a_story(budget: Said) -> None:
    code, out, _ = budget("history", "loans/a")
    lines = out.splitlines()
    assert code == 0
    kinds = [line.split()[2] for line in lines]
    assert kinds == ["grant", "reserve", "commit", "reserve", "refuse", "cancel"]
    assert "ε 3.5 at δ 1e-05 in all, by command" in lines[0]
    assert "one  ε 1.993, and 1.993 spent with it, at δ 1e-05" in lines[1]
    assert "two  ε 1.993, and 2.94" in lines[3]
    assert "three  owner loans/a granted ε 3.5" in lines[4]
    assert lines[5].endswith("two  nothing was noised")
    assert "{" not in out


@pytest.mark.usefixtures("story")
def test_history_and_show_are_one_json_value_each(budget: Said) -> None:
    rows = json.loads(budget("history", "loans/a", "--json")[1])
    assert [row["number"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[1]["detail"]["events"] == CHARGE
    (shown,) = json.loads(budget("show", "--json")[1])
    assert (shown["owner"], shown["jobs"]) == ("loans/a", 1)


@pytest.mark.usefixtures("story")
def test_verify_says_sound_or_what_is_wrong(budget: Said, home: Path) -> None:
    code, out, _ = budget("verify")
    assert (code, out) == (0, "sound: 6 entries, held against 0 runs and versions\n")
    said = json.loads((home / "ledger.db.head").read_text())
    (home / "ledger.db.head").write_text(json.dumps({**said, "length": 9}))
    code, out, _ = budget("verify")
    assert code == 1
    assert out.startswith("truncated, entry 7: entries 7 to 9 are missing at the end; known by")
    code, out, _ = budget("verify", "--json")
    told = json.loads(out)
    assert (code, told["sound"], told["findings"][0]["kind"]) == (1, False, "truncated")
    code, _, err = budget("grant", "b", "--epsilon", "3", "--delta", "1e-5")
    assert code == 3
    assert len(err.strip().splitlines()) == 1
    (looked,) = [check for check in examine() if check.name == "ledger"]
    assert not looked.ok
    assert "truncated" in looked.detail


def test_show_tells_delta_beside_epsilon(budget: Said, home: Path) -> None:
    setup = [{"kind": "epsilon-delta", "epsilon": 0.0, "delta": 2e-6, "count": 1}]
    open_ledger().reserve("1", {"loans/a": CHARGE + setup}, grant=(9, DELTA))
    assert "δ used up 2e-06, left 8e-06" in budget("show")[1]
    (shown,) = json.loads(budget("show", "--json")[1])
    assert (shown["delta_spent"], shown["delta_left"]) == pytest.approx((2e-6, 8e-6))


@pytest.mark.usefixtures("story")
def test_backup_and_restore_go_forward_only(budget: Said, home: Path, tmp_path: Path) -> None:
    file = str(tmp_path / "backup")
    assert budget("backup", file)[0] == 0
    open_ledger().reserve("four", {"loans/a": CHARGE})
    (home / "ledger.db").unlink()
    code, _, err = budget("show")
    assert (code, "budget restore FILE" in err) == (2, True)
    code, _, err = budget("restore", file)
    assert code == 3
    assert "with 6 entries, and the mark beside" in err
    code, out, _ = budget("restore", file, "--charge-lost")
    assert code == 0
    assert "the whole grant was charged to loans/a" in out
    (shown,) = json.loads(budget("show", "--json")[1])
    assert shown["epsilon_left"] == pytest.approx(0, abs=1e-2)
    assert "entries were lost: ε 3.5 at δ 1e-05" in budget("history", "loans/a")[1]
    assert budget("verify")[0] == 0


@pytest.mark.usefixtures("story")
def test_a_restore_that_nothing_confirms_says_so(
    budget: Said, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget("backup", str(tmp_path / "backup"))
    monkeypatch.setenv("CARELEDGER_HOME", str(tmp_path / "new"))
    code, out, err = budget("restore", str(tmp_path / "backup"))
    assert (code, "6 entries" in out) == (0, True)
    assert "nothing here remembers this ledger" in err


def test_bad_places_are_one_line(budget: Said, monkeypatch: pytest.MonkeyPatch) -> None:
    for address in ("mysql://u:hidden@h/db", "postgresql://u:hidden@127.0.0.1:1/db"):
        monkeypatch.setenv("CARELEDGER_LEDGER_URL", address)
        code, _, err = budget("show")
        assert code == 2
        assert len(err.strip().splitlines()) == 1
        assert "hidden" not in err
        (looked,) = [check for check in examine() if check.name == "ledger"]
        assert not looked.ok
        assert "hidden" not in looked.detail
        with pytest.raises(Exception, match="CARELEDGER_LEDGER_URL") as caught:
            budgets.read()
        assert "hidden" not in str(caught.value)


def test_the_key_may_lie_elsewhere(
    budget: Said, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CARELEDGER_LEDGER_KEY", str(tmp_path / "safe" / "key"))
    assert budget("grant", "a", "--epsilon", "3", "--delta", "1e-5")[0] == 0
    assert sorted(os.listdir(tmp_path / "safe")) == ["key", "key.head"]
    assert not (home / "ledger.db.key").exists()
