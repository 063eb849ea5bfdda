"""Images from elsewhere, and groups, that do not show every class: what is set against what."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from domains.errors import InputError
from domains.healthcare.images.manifest import Columns
from domains.healthcare.images.overlap import external
from pipelines.steps.imaging import slices
from pipelines.steps.imaging.external import validate
from pipelines.steps.imaging.measuring import Sure, ranking
from pipelines.steps.imaging.tested import Answered
from pipelines.steps.imaging.trust import Trust
from tests.domains.sample_images import write_manifest, write_medmnist
from tests.domains.sample_sets import image_set, manifest_set


@pytest.mark.parametrize("labels", [False, True])
def test_what_images_from_elsewhere_lack_is_left_out_of_both_sides(labels: bool) -> None:
    def of(count: int, seed: int, kinds: int) -> Answered:
        """The first two of three are told apart alike everywhere, the third not at all."""
        rng = np.random.default_rng(seed)
        y = rng.integers(0, kinds, count)
        p = rng.random((count, 3)) + np.eye(3)[np.minimum(y, 1)] * [0.6, 0.6, 0.0]
        several = np.stack([y == 0, y == 1, (y == 2)], axis=1).astype(np.int8)
        p = p / 2 if labels else p / p.sum(axis=1, keepdims=True)
        return Answered(several if labels else y, np.arange(count), p, None, None)

    own, other = of(900, 0, 3), of(900, 1, 2)
    names = ["a", "b", "c"]
    said = SimpleNamespace(predictions=pd.DataFrame(other.p), sets=None, distance=None)
    scorer: Any = SimpleNamespace(judge=lambda _: said, classes=tuple(names), sets=None)
    outside: Any = SimpleNamespace(
        rows=lambda _: np.arange(900),
        images=lambda: np.zeros((900, 8, 8, 3), np.uint8),
        labels=lambda: other.y,
        records=lambda: pd.DataFrame({"group": other.groups}),
        dataset=SimpleNamespace(name="elsewhere"),
    )
    found, tested = Trust(), SimpleNamespace(answered=own, point=None)
    validate(found, scorer, outside, tested, Sure(own.groups, 60, 0))  # type: ignore[arg-type]
    some = own.y < 2
    here = (own.y[:, :2], own.p[:, :2]) if labels else (own.y[some], own.p[some])
    assert found.tables[0].rows[0][1].startswith(f"{ranking(own.y)(*here):.3f} (")  # type: ignore[union-attr]
    what = "All or none" if labels else "None"
    for told in (found.said[0], found.tables[0].caption):
        assert f"{what} of the external images have c: both sides are told without." in told


def test_a_group_without_one_of_the_classes_is_not_set_against_those_with_all() -> None:
    rng = np.random.default_rng(0)
    y, sites = rng.integers(0, 3, 300), np.array(["all"] * 100 + ["two"] * 100 + ["too"] * 100)
    y[sites == "two"] = rng.integers(0, 2, 100)
    p = rng.random((300, 3))
    on = Answered(y, np.arange(300), p / p.sum(axis=1, keepdims=True), None, None)
    rows = np.arange(300)
    tested: Any = SimpleNamespace(rows=rows, y=y, groups=on.groups, answered=on)
    images: Any = SimpleNamespace(rows=lambda _: rows)
    columns = pd.DataFrame({"site": sites})
    found = {s.value: s for s in slices.by_group(columns, images, tested, Sure(rows, 20, 0))}
    assert found["two"].why == "a class of under 5 images"
    assert found["two"].gap is None
    assert found["all"].gap is not None


def test_labels_that_no_external_image_tells_apart_are_refused(tmp_path: Path) -> None:
    frame = write_manifest(tmp_path, patients=90)
    number = frame["patient_id"].str[1:].astype(int)
    frame["a"], frame["b"] = number % 2, number % 3 // 2
    labels, own = ("a", "b"), number < 70
    target = manifest_set(tmp_path, frame[own], "own", labels=labels)
    for a, told in ((frame["a"], ("a", "b")), (1, None)):
        there = frame.assign(a=a, b=0)[~own]
        other = manifest_set(tmp_path, there, f"other {told}", labels=labels, whole=True)
        if told:
            assert external(other, target).classes == told
        else:
            with pytest.raises(InputError, match="of each label all or none have it"):
                external(other, target)


def test_a_medmnist_class_without_images_is_refused_for_training_and_kept_for_a_test(
    tmp_path: Path,
) -> None:
    path, columns = write_medmnist(tmp_path / "a.npz"), Columns(classes=("a", "none", "b", "c"))
    with np.load(path) as arrays:
        moved = {k: v + (v > 0) if k.endswith("labels") else v for k, v in arrays.items()}
    np.savez(path, **moved)
    asked: dict[str, Any] = {"kind": "medmnist", "path": path, "columns": columns}
    with pytest.raises(InputError, match="no image of class 'none' is in the train part"):
        image_set(tmp_path, "own", **asked)
    whole = image_set(tmp_path, "whole", **asked, whole=True)
    assert whole.classes == columns.classes
    assert set(whole.labels()) == {0, 2, 3}
