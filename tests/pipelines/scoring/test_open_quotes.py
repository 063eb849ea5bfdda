"""A quote that is not closed is named with the lines it swallows, and each of them is rejected."""

from __future__ import annotations

import gzip
from pathlib import Path

import pandas as pd
import pytest

from pipelines.scoring.batch import Result, score_file
from pipelines.settings import ScoreConfig
from tests.pipelines.governance.sample_versions import LOANS, loan_scorer, register


@pytest.fixture(autouse=True)
def _champion(home: Path) -> None:
    register(loan_scorer(), LOANS)


def _score(source: Path, output: Path) -> Result:
    return score_file(ScoreConfig(model=LOANS, input=source, output=output))


QUOTE = "an open quote makes one row of lines {} to {} ({} fields, expected 3 as in the header)"


@pytest.mark.parametrize("packed", [False, True])
def test_an_open_quote_is_named_with_its_lines_and_each_of_them_is_rejected(
    home: Path, tmp_path: Path, packed: bool
) -> None:
    torn = '1,"2,car\n' + "3,4,car\n" * 3 + '5,6,"car\n'  # the second quote closes the first
    content = "amount,income,purpose\n\n1,2,car\n" + torn + '7,8,car\n9,"8,car\n1,2,car\n'
    source = tmp_path / ("in.csv.gz" if packed else "in.csv")
    source.write_bytes(gzip.compress(content.encode()) if packed else content.encode())
    result = _score(source, tmp_path / "out.csv")
    assert (result["rows"], result["rejected"]) == (9, 7)
    listed = pd.read_csv(result["rejects"])
    assert listed["row"].tolist() == [2, 3, 4, 5, 6, 8, 9]
    assert listed["reason"][0].startswith(QUOTE.format(4, 8, 2))
    assert listed["reason"][6].startswith(QUOTE.format(10, 11, 2))
    out = pd.read_csv(tmp_path / "out.csv")
    assert out["probability"].notna().tolist() == [row in (1, 7) for row in range(1, 10)]


def test_a_cell_with_line_breaks_by_right_is_one_row(home: Path, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text('amount,income,purpose\n1,2,"car\nand\nboat",4\n1,2,car\n')
    result = _score(tmp_path / "in.csv", tmp_path / "out.csv")
    assert (result["rows"], result["rejected"]) == (2, 1)
