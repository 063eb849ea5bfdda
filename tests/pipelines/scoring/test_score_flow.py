"""The scheduled flow: what came in since the last time is scored, each file once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from domains.errors import InputError
from pipelines.governance.activity import acts
from pipelines.score import score
from pipelines.scoring.inbox import waiting
from pipelines.settings import ScoreConfig
from tests.pipelines.governance.sample_versions import (
    LOANS,
    image_scorer,
    loan_scorer,
    loans,
    register,
)

pytestmark = pytest.mark.usefixtures("prefect_server")


def _config(model: str = LOANS) -> ScoreConfig:
    return ScoreConfig(
        model=f"{model}@champion", input=Path(f"inbox/{model}"), output=Path(f"scores/{model}")
    )


def test_each_file_of_the_inbox_is_scored_once(home: Path) -> None:
    register(loan_scorer(), LOANS)
    assert score(_config()) == {"model": f"{LOANS}@champion", "files": []}
    inbox = home / "inbox" / LOANS
    loans(30).to_csv(inbox / "monday.csv", index=False)
    loans(20).to_parquet(inbox / "tuesday.parquet")
    (inbox / ".wednesday.csv").write_text("still arriving")
    files = score(_config())["files"]
    assert [(each["rows"], Path(each["output"])) for each in files] == [
        (30, home / "scores" / LOANS / "monday.csv"),
        (20, home / "scores" / LOANS / "tuesday.parquet"),
    ]
    assert score(_config())["files"] == []
    assert len(list(acts("score"))) == 2


def test_the_next_file_is_scored_by_the_next_champion(home: Path) -> None:
    register(loan_scorer(), LOANS)
    inbox = home / "inbox" / LOANS
    inbox.mkdir(parents=True)
    for version, name in (("1", "monday.csv"), ("2", "tuesday.csv")):
        loans(5).to_csv(inbox / name, index=False)
        (done,) = score(_config())["files"]
        assert done["model"]["version"] == version
        register(loan_scorer(), LOANS)


def test_a_bad_file_fails_the_run_and_holds_no_other_up(home: Path) -> None:
    register(loan_scorer(), LOANS)
    inbox = home / "inbox" / LOANS
    inbox.mkdir(parents=True)
    (inbox / "a.csv").write_text("amount\n7340.5\n")
    loans(5).to_csv(inbox / "b.csv", index=False)
    with pytest.raises(InputError, match=r"1 of 2 not scored: .*a.csv: column 'income'") as caught:
        score(_config())
    assert "7340" not in str(caught.value)
    assert (home / "scores" / LOANS / "b.csv").exists()
    assert [act["ended"] for act in acts("score")] == ["failed", "done"]


def test_one_file_may_be_asked_for_too(home: Path, tmp_path: Path) -> None:
    register(loan_scorer(), LOANS)
    loans(5).to_csv(tmp_path / "in.csv", index=False)
    config = ScoreConfig(model=LOANS, input=tmp_path / "in.csv", output=tmp_path / "out.csv")
    (done,) = score(config)["files"]
    assert done["rows"] == 5


def test_images_come_as_folders_and_as_manifests(home: Path) -> None:
    register(image_scorer(), "imaging-scans")
    inbox = home / "inbox" / "imaging-scans"
    for name in ("ward", "night"):
        (inbox / name).mkdir(parents=True)
        pixels = np.random.default_rng(0).integers(0, 255, (20, 20, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(inbox / name / "one.png")
    (inbox / "ward.csv").write_text("path\nward/one.png\n")
    files = score(_config("imaging-scans"))["files"]
    assert [Path(each["output"]).name for each in files] == ["night.csv", "ward.csv"]
    ids = [pd.read_csv(each["output"])["id"].tolist() for each in files]
    assert ids == [["one.png"], ["ward/one.png"]]


def test_an_inbox_elsewhere_must_exist(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be listed"):
        waiting(tmp_path / "none", tmp_path)
