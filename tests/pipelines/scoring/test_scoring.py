"""Scored files: exactly one row a row, in order, the same in every format."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from domains.dataset import digest_file
from models.credit import CreditScorer
from pipelines.governance.activity import acts
from pipelines.scoring.batch import Result, score_file
from pipelines.settings import ScoreConfig, home_key
from pipelines.tracking import client
from tests.pipelines.governance.sample_versions import LOANS, loan_scorer, loans, register
from tests.pipelines.scoring.sample_scores import score

SECRET = "Zemblanity-7340"


@pytest.fixture(scope="module")
def scorer() -> CreditScorer:
    return loan_scorer()


def _written(frame: pd.DataFrame, path: Path) -> Path:
    if path.suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_csv(path, index=False)
    return path


@pytest.mark.parametrize("given", ["in.csv", "in.csv.gz", "in.parquet"])
@pytest.mark.parametrize("wanted", ["out.csv", "out.csv.gz", "out.parquet"])
def test_every_format_holds_the_scorers_own_answers(
    folder: Path, scorer: CreditScorer, given: str, wanted: str
) -> None:
    frame = loans(1000)
    source = _written(frame, folder / given)
    result = score(source, folder / wanted, id="loan", chunk=300)
    parquet = wanted.endswith("parquet")
    out = pd.read_parquet(folder / wanted) if parquet else pd.read_csv(folder / wanted)
    assert list(out) == ["id", "probability", "model", "version", "data_digest"]
    assert out["id"].tolist() == frame["loan"].tolist()
    assert np.allclose(out["probability"], scorer.predict(frame)["probability"], rtol=0, atol=1e-12)
    assert set(out["model"]) == {LOANS}
    assert (
        set(out["data_digest"]) == {digest_file(source, home_key())} == {result["data"]["digest"]}
    )
    assert (result["rows"], result["scored"], result["rejected"]) == (1000, 1000, 0)
    assert result["rejects"] is None
    assert not list(folder.glob(".*.scoring"))


Row = tuple[str, str, str, int]
CELLS = [*(str(n * 1000.5) for n in range(20)), "", "NA", SECRET, "inf", "1_0", " 7 "]
PURPOSES = ["car", "home", "boat", "1.0", "", "a, b", 'say "no"', "two\nlines", "ä"]


def _rows(seed: int) -> list[Row]:
    """Rows of cells of all sorts; the last number is how many fields a row has, 3 is right."""
    draws = np.random.default_rng(seed)
    count = int(draws.integers(1, 400))
    cells = [draws.choice(values, count) for values in (CELLS, CELLS, PURPOSES)]
    widths = draws.choice([3, 3, 3, 3, 2, 4], count)
    return [(str(a), str(b), str(c), int(w)) for a, b, c, w in zip(*cells, widths, strict=True)]


def _acceptable(row: Row) -> bool:
    return row[3] == 3 and not {SECRET, "inf", "1_0"} & set(row[:2]) and not _broken(row)


def _broken(row: Row) -> bool:
    """Whether a category of the model spans two lines, each of which counts as a row."""
    return row[3] == 3 and "\n" in row[2]


@pytest.mark.parametrize("seed", range(8))
def test_one_row_out_for_one_row_in_whatever_is_wrong_with_it(
    folder: Path, scorer: CreditScorer, seed: int
) -> None:
    rows, source, output = _rows(seed), folder / "any.csv", folder / "any.parquet"
    text = io.StringIO()
    lines = [[*row[:3], "more"][: row[3]] for row in rows]
    csv.writer(text).writerows([["amount", "income", "purpose"], *lines])
    source.write_text(text.getvalue(), encoding="utf-8", newline="")
    result = score(source, output, chunk=1 + 20 * seed)
    out = pd.read_parquet(output)
    rows = [line for row in rows for line in [row] * (1 + _broken(row))]
    good = [number for number, row in enumerate(rows) if _acceptable(row)]
    assert out["id"].tolist() == list(range(1, len(rows) + 1))
    assert np.flatnonzero(out["probability"].notna()).tolist() == good
    typed = pd.DataFrame(
        [rows[number][:3] for number in good], columns=["amount", "income", "purpose"]
    )
    for name in ("amount", "income"):
        typed[name] = pd.to_numeric(typed[name], errors="coerce")
    typed["purpose"] = typed["purpose"].replace({"1.0": "1", "": None})
    expected = scorer.predict(typed)["probability"]
    assert np.allclose(out["probability"].iloc[good], expected, rtol=0, atol=1e-12)
    _check_rejects(result, [n + 1 for n in range(len(rows)) if n not in good])


def _check_rejects(result: Result, rows: list[int]) -> None:
    if not rows:
        assert result["rejects"] is None
        assert not Path(result["output"] + ".rejects.csv").exists()
        return
    assert result["rejects"] == result["output"] + ".rejects.csv"
    listed = pd.read_csv(result["rejects"])
    assert list(listed) == ["row", "id", "reason"]
    assert listed["row"].tolist() == rows
    assert result["rejected"] == len(rows)
    assert not listed["reason"].str.contains(SECRET).any()


def test_a_whole_column_of_numbers_or_words_labels_its_cells_alike(
    folder: Path, scorer: CreditScorer
) -> None:
    text = "amount,income,purpose\n1,1,1\n1,1,1.0\n1,1,01\n1,1,2\n"
    (folder / "codes.csv").write_text(text)
    score(folder / "codes.csv", folder / "codes.parquet")
    known, spelled, padded, other = pd.read_parquet(folder / "codes.parquet")["probability"]
    assert known == spelled == padded != other


def test_rows_that_could_be_scored_leave_no_list_of_rejected_ones(folder: Path) -> None:
    source, output = folder / "mended.csv", folder / "mended.out.csv"
    source.write_text("amount,income,purpose\n1,x,car\n")
    first = score(source, output)
    assert Path(first["rejects"]).exists()
    source.write_text("amount,income,purpose\n1,2,car\n")
    assert score(source, output)["rejects"] is None
    assert not Path(first["rejects"]).exists()


def test_predictions_do_not_depend_on_where_pieces_end(folder: Path) -> None:
    source = _written(loans(100), folder / "ends.csv")
    found = []
    for chunk in (3, 17, 99, 10_000):
        score(source, folder / "ends.parquet", chunk=chunk)
        found.append(pd.read_parquet(folder / "ends.parquet")["probability"])
    assert max(np.abs(each - found[-1]).max() for each in found) < 1e-12


def test_ids_come_from_the_column_that_named_records_in_training(folder: Path) -> None:
    register(loan_scorer(), "credit-named", {"data.id": "loan"})
    source = _written(loans(5), folder / "named.csv")
    output = folder / "named.out.csv"
    score_file(ScoreConfig(model="credit-named", input=source, output=output))
    assert pd.read_csv(output)["id"].tolist() == loans(5)["loan"].tolist()


def test_who_scored_what_is_kept_and_no_record_is(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / f"{SECRET}.csv"
    source.write_text(f"amount,income,purpose,loan\n1,2,{SECRET},{SECRET}\n{SECRET},1,car,4\n")
    result = score(source, tmp_path / "out.csv", id="loan")
    (act,) = [act for act in acts("score") if act["digest"] == result["data"]["digest"]]
    assert (act["model"], act["version"], act["ended"]) == (LOANS, "1", "done")
    assert (act["rows"], act["rejected"], act["how"]) == (2, 1, "batch")
    run = client().get_run(act["run_id"])
    assert run.info.status == "FINISHED"
    assert run.data.metrics["rows"] == 2
    assert run.data.tags["careledger.data.digest"] == result["data"]["digest"]
    assert {"careledger.model", "careledger.version", "careledger.who"} <= set(run.data.tags)
    with sqlite3.connect(folder / "home" / "mlflow.db") as store:
        assert SECRET not in "\n".join(store.iterdump())
    assert SECRET not in (folder / "home" / "activity.jsonl").read_text()
    assert json.loads(json.dumps(result)) == result
