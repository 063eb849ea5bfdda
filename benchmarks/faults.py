"""Two hundred kill -9, and what is left of the work afterwards.

Training runs, promotions, scorings and ledgers are killed at seeded moments: half of them after a
time drawn over the work's duration, half as the process is about to touch a file for the n-th
time. Then the work is taken up again the way a person or the supervisor would, and the home is
looked through: a champion that is not what the record says, a version or a row that is missing or
there twice, a charge below what was noised.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import _findings, _work
from benchmarks._fork import End, Forker, Moment
from benchmarks._rows import machine
from benchmarks._tally import Tally, row, table

POINTS = {"train": 60, "promote": 60, "score": 40, "ledger": 40}
_ACTS, _ROWS = 6, 20_000
Found = dict[str, Any]


class Bench:
    """A forking process, a Prefect server and a folder for all kill points."""

    def __init__(self, folder: Path) -> None:
        from pipelines import server

        folder.mkdir(parents=True, exist_ok=True)
        os.environ.setdefault("PREFECT_HOME", str(folder / "prefect"))
        started = server.start()
        address = (
            {
                "PREFECT_API_URL": f"http://127.0.0.1:{started.port}/api",
                "PREFECT_API_AUTH_STRING": started.password,
            }
            if started
            else {}
        )
        self.folder = folder
        self._forker = Forker({**address, "CARELEDGER_HOME": str(folder / "unused")}, folder)
        self._homes = 0

    def run(self, work: str, home: Path, moment: Moment | None = None, **words: Any) -> End:
        """See `_fork.Forker.run`; `work` is a function of `_work`."""
        return self._forker.run(f"_work.{work}", home, moment, **words)

    def look(self, home: Path) -> Found:
        """What `_findings.look` finds in a home."""
        end = self._forker.run("_findings.look", home)
        if end.how != "done":
            raise RuntimeError(f"{home} cannot be looked through; see {self.folder / 'log.txt'}")
        return dict(json.loads((home / _findings.FOUND).read_text()))

    def new_home(self, copy_of: Path | None = None) -> Path:
        """An empty home, or a copy of one; artifacts stay where they are, by their address."""
        self._homes += 1
        home = self.folder / f"home{self._homes}"
        if copy_of is None:
            home.mkdir()
        else:
            left_out = shutil.ignore_patterns("artifacts", "prefect", "runs")
            shutil.copytree(copy_of, home, ignore=left_out)
        return home

    def close(self) -> None:
        """End the forking process."""
        self._forker.close()


@contextmanager
def bench(folder: Path | None = None) -> Iterator[Bench]:
    """A `Bench`, in a temporary folder unless one is given."""
    with tempfile.TemporaryDirectory(prefix="careledger-faults-") as made:
        opened = Bench(folder or Path(made))
        try:
            yield opened
        finally:
            opened.close()


def moments(count: int, whole: End, seed: int) -> list[Moment]:
    """Seeded moments over the duration of a piece of work that was seen whole: every other one by
    time, the rest by touches of files."""
    draw = random.Random(seed)  # noqa: S311 - moments, not secrets
    return [
        Moment(touch=draw.randint(1, whole.touches))
        if number % 2
        else Moment(seconds=draw.uniform(0, whole.seconds))
        for number in range(count)
    ]


def train(tools: Bench, count: int, seed: int = 0) -> Tally:
    """Private training runs: killed, resumed until done, every fourth killed once more."""
    tally, config = Tally("train"), _work.loans_config(tools.folder / "loans.csv")
    words: dict[str, Any] = {"pipeline": "credit", "config": config}
    whole = tools.run("train", tools.new_home(), **words)
    for number, moment in enumerate(moments(count, whole, seed)):
        home = tools.new_home()
        first = tools.run("train", home, moment, **words)
        _killed(tally, first)
        if number % 4 == 3:
            again = moments(1, whole, seed + number)[0]
            tools.run("resume", home, again)
        ended = tools.run("resume", home) if first.how == "killed" else first
        _judge_training(tally, tools.look(home), first, ended, str(moment))
        shutil.rmtree(home)
    return tally


def _judge_training(tally: Tally, found: Found, first: End, ended: End, point: str) -> None:
    begun = bool(found["jobs"] or found["versions"])
    if first.how == "killed" and ended.how == "done":
        tally.resumed += 1
    words = [move for move in found["moves"] if move[2]]
    tally.add("half", int(found["half"]), point)
    tally.add("lost", int(begun and not (found["versions"] and words)), point)
    tally.add("lost", int(ended.how != "done"), point)
    tally.add("doubled", max(len(found["versions"]) - 1, 0) + max(len(words) - 1, 0), point)
    tally.add("doubled", found["doubled_arms"], point)
    tally.add("undercharged", _short(found), point)


def _short(found: Found) -> int:
    """Owners of whom more was noised than charged."""
    nothing = {"steps": 0, "setup": 0}
    return sum(
        any(count > found["charged"].get(owner, nothing)[what] for what, count in counts.items())
        for owner, counts in found["noised"].items()
    )


def ready_home(tools: Bench) -> Path:
    """A home with two versions of a model, the first of which was promoted."""
    home, config = tools.new_home(), _work.loans_config(tools.folder / "loans.csv")
    for _ in range(2):
        if tools.run("train", home, pipeline="credit", config=config).how != "done":
            raise RuntimeError(f"no version to begin with; see {tools.folder / 'log.txt'}")
    return home


def promote(tools: Bench, ready: Path, count: int, seed: int = 0) -> Tally:
    """Promotions and rollbacks in turn: killed, and the next act must find all well."""
    tally = Tally("promote")
    whole = tools.run("move", tools.new_home(ready), acts=_ACTS)
    before = len(tools.look(ready)["moves"])
    for moment in moments(count, whole, seed):
        home = tools.new_home(ready)
        first = tools.run("move", home, moment, acts=_ACTS)
        _killed(tally, first)
        ended = tools.run("settle", home)
        tally.resumed += first.how == "killed" and ended.how == "done"
        found = tools.look(home)
        made = len(found["moves"]) - before
        tally.add("half", int(found["half"] or ended.how != "done"), str(moment))
        tally.add("lost", max(len(found["acked"]) - made, 0), str(moment))
        tally.add("doubled", max(made - len(found["acked"]) - 1, 0), str(moment))
        shutil.rmtree(home)
    return tally


def score(tools: Bench, ready: Path, count: int, seed: int = 0) -> Tally:
    """Scorings: killed and run again; every row must be there once, in order."""
    tally, table = Tally("score"), tools.folder / "table.csv"
    _work.write_table(table, _ROWS)
    outputs = tools.folder / "scored"
    outputs.mkdir(exist_ok=True)
    words: dict[str, Any] = {"table": str(table)}
    whole = tools.run("score", tools.new_home(ready), output=str(outputs / "whole.csv"), **words)
    for number, moment in enumerate(moments(count, whole, seed)):
        home, output = tools.new_home(ready), outputs / f"{number}.csv"
        first = tools.run("score", home, moment, output=str(output), **words)
        _killed(tally, first)
        ended = tools.run("score", home, output=str(output), **words)
        tally.resumed += first.how == "killed" and ended.how == "done"
        lost, doubled = _work.compare_rows(table, output)
        tally.add("lost", lost or int(ended.how != "done"), str(moment))
        tally.add("doubled", doubled, str(moment))
        shutil.rmtree(home)
    return tally


def ledger(tools: Bench, count: int, seed: int = 0) -> Tally:
    """Reservations: what was acknowledged must be charged, and the ledger must go on."""
    tally = Tally("ledger")
    whole = tools.run("spend", tools.new_home(), jobs=_work.JOBS)
    for moment in moments(count, whole, seed):
        home = tools.new_home()
        first = tools.run("spend", home, moment, jobs=_work.JOBS)
        _killed(tally, first)
        ended = tools.run("spend", home, jobs=1)
        tally.resumed += first.how == "killed" and ended.how == "done"
        found = tools.look(home)
        missing = set(found["acked"]) - set(found["jobs"])
        tally.add("undercharged", len(missing), str(moment))
        tally.add("lost", int(ended.how != "done"), str(moment))
        tally.add("doubled", max(len(found["jobs"]) - len(found["acked"]) - 1, 0), str(moment))
        shutil.rmtree(home)
    return tally


def _killed(tally: Tally, end: End) -> None:
    tally.points += 1
    tally.killed += end.how == "killed"


def measure(share: float, seed: int) -> list[Tally]:
    """All kinds of work, at a share of the 200 kill points."""
    count = {what: max(round(points * share), 1) for what, points in POINTS.items()}
    with bench() as tools:
        ready = ready_home(tools)
        kinds: list[Callable[[], Tally]] = [
            lambda: train(tools, count["train"], seed),
            lambda: promote(tools, ready, count["promote"], seed),
            lambda: score(tools, ready, count["score"], seed),
            lambda: ledger(tools, count["ledger"], seed),
        ]
        return [kind() for kind in kinds]


def main() -> None:
    """`make bench-faults`, with `--quick` and `--json FILE`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the kill points")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows here too")
    options = parser.parse_args()
    tallies = measure(0.1 if options.quick else 1.0, options.seed)
    print(table(tallies))
    if options.json:
        rows = {"machine": machine(), "rows": [row(tally) for tally in tallies]}
        options.json.write_text(json.dumps(rows, indent=2) + "\n")
    if any(tally.faults for tally in tallies):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
