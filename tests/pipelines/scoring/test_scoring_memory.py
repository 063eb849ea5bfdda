"""Memory does not grow with the file: measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pipelines.governance.sample_versions import LOANS, loan_scorer, loans, register

SMALL, TIMES = 60_000, 10
# Held whole, the large file's text alone would be some 60 MB, and a frame of it more.
MOST_GROWTH = 24_000_000

MEASURE = """
import json, resource, sys
from pathlib import Path
from pipelines.scoring.batch import score_file
from pipelines.settings import ScoreConfig

peaks = []
for name in sys.argv[2:]:
    source = Path(name)
    output = source.with_name("out" + source.suffix)
    score_file(ScoreConfig(model=sys.argv[1], input=source, output=output, chunk=8192))
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
print(json.dumps(peaks))
"""


@pytest.mark.slow
def test_a_file_ten_times_as_long_takes_no_more_memory(home: Path, tmp_path: Path) -> None:
    register(loan_scorer(), LOANS)
    frame = loans(SMALL)
    frame.to_csv(tmp_path / "small.csv", index=False)
    frame.to_parquet(tmp_path / "small.parquet")
    lines = (tmp_path / "small.csv").read_text().partition("\n")
    (tmp_path / "large.csv").write_text(lines[0] + "\n" + lines[2] * TIMES)
    large = frame.loc[frame.index.repeat(TIMES)]
    large.to_parquet(tmp_path / "large.parquet")
    names = ["small.csv", "small.parquet", "large.csv", "large.parquet"]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, LOANS, *(str(tmp_path / name) for name in names)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    _, before, _, after = json.loads(done.stdout.splitlines()[-1])
    assert after - before < MOST_GROWTH
