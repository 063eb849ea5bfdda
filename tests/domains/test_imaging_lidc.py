"""The built-in nodules: whose images serve which task."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from domains.errors import InputError
from domains.healthcare.images.lidc import read_nodules
from domains.splits import split_key

KEY = split_key(0, None)


@pytest.fixture(scope="module")
def nodules(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table shaped as `domains.sources.fetch("lidc")` gives it: 40 patients, 3 outlines each."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"annotation_id": range(120)})
    frame["patient_id"] = [f"LIDC-{i // 3}" for i in range(120)]
    for name in ("malignancy", "lobulation", "spiculation", "sphericity", "margin"):
        frame[name] = rng.integers(1, 6, 120)
    frame["size_diameter_mm"] = rng.uniform(3, 30, 120)
    frame["maps"] = [rng.bytes(48 * 48 * 3) for _ in range(120)]
    path = tmp_path_factory.mktemp("lidc") / "lidc.parquet"
    frame.to_parquet(path)
    return path


def test_source_and_target_patients_are_different_people(nodules: Path, tmp_path: Path) -> None:
    target = read_nodules(nodules, "malignancy", tmp_path / "t", 48, KEY)
    source = read_nodules(nodules, "shape", tmp_path / "s", 48, KEY)
    assert not set(target.records["patient"]) & set(source.records["patient"])
    assert source.targets == ("lobulation", "spiculation", "sphericity", "margin")


def test_malignancy_leaves_the_undecided_out(nodules: Path, tmp_path: Path) -> None:
    frame = pd.read_parquet(nodules).set_index("annotation_id")
    draft = read_nodules(nodules, "malignancy", tmp_path, 48, KEY)
    rating = frame["malignancy"].loc[draft.records["id"].astype(int)].to_numpy()
    assert (rating != 3).all()
    assert ((rating > 3) == draft.records["label"]).all()


def test_spiculation_counts_from_three(nodules: Path, tmp_path: Path) -> None:
    frame = pd.read_parquet(nodules).set_index("annotation_id")
    draft = read_nodules(nodules, "spiculation", tmp_path, 48, KEY)
    rating = frame["spiculation"].loc[draft.records["id"].astype(int)].to_numpy()
    assert ((rating >= 3) == draft.records["label"]).all()


def test_pixels_are_those_of_the_table(nodules: Path, tmp_path: Path) -> None:
    frame = pd.read_parquet(nodules).set_index("annotation_id")
    draft = read_nodules(nodules, "malignancy", tmp_path, 48, KEY)
    raw = frame["maps"].loc[int(draft.records["id"].iloc[0])]
    stored = np.load(tmp_path / "images.npy")[0]
    assert (stored == np.frombuffer(raw, np.uint8).reshape(48, 48, 3)).all()


def test_an_unknown_task_lists_those_there_are(nodules: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="malignancy, spiculation; found 'texture'"):
        read_nodules(nodules, "texture", tmp_path, 48, KEY)
