"""What an inbox holds is scored once, and again when it holds other content, whatever its times."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.scoring import inbox
from pipelines.scoring.batch import score_file
from pipelines.scoring.seen import Scored
from pipelines.settings import ScoreConfig
from tests.pipelines.governance.sample_versions import (
    LOANS,
    image_scorer,
    loan_scorer,
    loans,
    register,
)

IMAGES = "imaging-scans"


@pytest.fixture
def folders(home: Path) -> tuple[Path, Path]:
    """An inbox, and where its answers go."""
    both = home / "inbox" / LOANS, home / "scores" / LOANS
    for folder in both:
        folder.mkdir(parents=True)
    return both


def _score_all(model: str, folders: tuple[Path, Path]) -> list[str]:
    """Score what waits; names of the inputs."""
    found = inbox.waiting(*folders)
    for source, output in found:
        score_file(ScoreConfig(model=model, input=source, output=output))
    return [source.name for source, _ in found]


def _image(path: Path, seed: int) -> None:
    path.parent.mkdir(exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (20, 20, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


@pytest.mark.parametrize("how", ["copy", "rename", "same size"])
def test_other_content_of_an_old_date_is_scored_again(
    folders: tuple[Path, Path], tmp_path: Path, how: str
) -> None:
    register(loan_scorer(), LOANS)
    file, other = folders[0] / "a.csv", tmp_path / "a.csv"
    loans(9).to_csv(file, index=False)
    assert _score_all(LOANS, folders) == ["a.csv"]
    assert _score_all(LOANS, folders) == []
    head, *rows = file.read_text().splitlines(keepends=True)
    other.write_text(head + "".join(rows[::-1] if how == "same size" else rows[1:]))
    os.utime(other, (1e9, 1e9))
    if how == "rename":
        other.rename(file)
    else:
        shutil.copy2(other, file)
    assert file.stat().st_mtime == 1e9
    assert _score_all(LOANS, folders) == ["a.csv"]
    assert _score_all(LOANS, folders) == []


def test_a_file_that_was_merely_touched_or_copied_is_not(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    register(loan_scorer(), LOANS)
    file = folders[0] / "a.csv"
    loans(9).to_csv(file, index=False)
    assert _score_all(LOANS, folders) == ["a.csv"]
    file.touch()
    assert inbox.waiting(*folders) == []
    shutil.copy(file, tmp_path / "a.csv")
    (tmp_path / "a.csv").rename(file)
    assert inbox.waiting(*folders) == []
    pair = file, folders[1] / "a.csv"
    assert not Scored().looks_unchanged(*pair)
    pair[1].unlink()
    assert inbox.waiting(*folders) == [pair]


def test_a_folder_of_images_is_known_by_all_of_them(folders: tuple[Path, Path]) -> None:
    register(image_scorer(), IMAGES)
    _image(folders[0] / "ward" / "one.png", 0)
    (folders[0] / "list.csv").write_text("path\nward/one.png\n")
    assert _score_all(IMAGES, folders) == ["list.csv", "ward"]
    assert _score_all(IMAGES, folders) == []
    _image(folders[0] / "ward" / "two.png", 1)
    os.utime(folders[0] / "ward" / "two.png", (1e9, 1e9))
    assert _score_all(IMAGES, folders) == ["ward"]
    (folders[0] / "ward" / "two.png").rename(folders[0] / "ward" / "three.png")
    (folders[0] / "list.csv").write_text("path\nward/three.png\n")
    assert "list.csv" in _score_all(IMAGES, folders)


def test_files_of_other_kinds_are_listed_and_never_scored(folders: tuple[Path, Path]) -> None:
    for name in ("loans.xlsx", "a.csv", ".hidden.xlsx"):
        (folders[0] / name).touch()
    found = inbox.look(*folders)
    assert [pair[0].name for pair in found.pairs] == ["a.csv"]
    assert [path.name for path in found.passed_over] == ["loans.xlsx"]
