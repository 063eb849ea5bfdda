"""DICOM frames and series: taken as declared, ordered by place, cut along the patient's axes."""

from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset

from domains.healthcare.images.files import decode, pictures
from domains.healthcare.images.pixels import Axis, Reading, Slices, Unreadable
from domains.healthcare.images.series import grouped
from tests.domains.sample_images import save_dicom, save_series

_RAMP = np.tile(np.arange(0, 1600, 100, dtype=np.int16), (16, 1))  # 16 columns, 0 … 1500


def _volume() -> np.ndarray:
    """int16 (9, 20, 24): values tell the slice, and the top left of each is darkest."""
    ramp = np.add.outer(np.arange(20), np.arange(24)).astype(np.int16)
    return np.stack([ramp + 100 * k for k in range(9)])


def _slices(path: Path, **keys: object) -> dict[int | None, np.ndarray]:
    reading = Reading((0.0, 900.0), Slices(**keys))  # type: ignore[arg-type]
    return dict(pictures(path, reading=reading))


def test_frames_are_taken_only_as_declared(tmp_path: Path) -> None:
    path = save_dicom(tmp_path / "a.dcm", _volume())
    with pytest.raises(Unreadable, match=r"9 frames, and data\.volume does not say"):
        decode(path, reading=Reading("own"))
    found = _slices(path, axis="acquired", every=2)
    assert list(found) == [0, 2, 4, 6, 8]
    assert found[4][0, 0, 0] == round(400 / 900 * 255)
    with pytest.raises(Unreadable, match=r"let data\.volume\.axis be acquired"):
        _slices(path, axis="axial")


def test_a_series_is_ordered_by_place_and_not_by_name(tmp_path: Path) -> None:
    folder = save_series(tmp_path / "series", _volume())
    found = _slices(folder, axis="axial")
    assert [found[k][0, 0, 0] for k in range(9)] == [round(100 * k / 900 * 255) for k in range(9)]
    for name in ("series", "no_place"):
        again = tmp_path / name
        if name == "no_place":
            for number, pixels in enumerate(_volume()):
                save_dicom(again / f"{9 - number}", pixels, InstanceNumber=number)
        assert [x[0, 0, 0] for x in _slices(again, axis="acquired").values()] == [
            each[0, 0, 0] for each in found.values()
        ]


def _enhanced(path: Path, volume: np.ndarray) -> Path:
    """The slices of an axial volume as frames of one file, in no order, each with its place."""
    order = np.random.default_rng(1).permutation(len(volume))
    frames, turned, spaced = [Dataset() for _ in order], Dataset(), Dataset()
    for group, height in zip(frames, order, strict=True):
        place = Dataset()
        place.ImagePositionPatient = [0, 0, 2.5 * float(height)]
        group.PlanePositionSequence = [place]
    turned.ImageOrientationPatient, spaced.PixelSpacing = [1, 0, 0, 0, 1, 0], [1, 1]
    shared = Dataset()
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = [turned], [spaced]
    keys = {"PerFrameFunctionalGroupsSequence": frames, "SharedFunctionalGroupsSequence": [shared]}
    return save_dicom(path, volume[order], **keys)


@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal"])
def test_frames_that_say_where_they_lie_are_cut_as_the_same_series(
    tmp_path: Path, axis: Axis
) -> None:
    series = _slices(save_series(tmp_path / "series", _volume()), axis=axis)
    frames = _slices(_enhanced(tmp_path / "frames.dcm", _volume()), axis=axis)
    assert series.keys() == frames.keys()
    assert all((series[number] == frames[number]).all() for number in series)


@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal"])
def test_a_series_is_cut_along_the_patients_axes(tmp_path: Path, axis: Axis) -> None:
    found = _slices(save_series(tmp_path / "series", _volume()), axis=axis)
    shapes = {"axial": (9, (20, 24)), "coronal": (20, (9, 24)), "sagittal": (24, (9, 20))}
    count, shape = shapes[axis]
    assert len(found) == count
    first = found[0][..., 0].astype(int)
    assert first.shape == shape
    if axis == "axial":  # a radiologist's view is how axial slices are stored
        assert first[0, 0] < first[-1, -1]
    else:
        assert first[0, 0] > first[-1, 0]  # the head, the last slice, is up


def test_stacks_hold_the_neighbours(tmp_path: Path) -> None:
    found = _slices(save_series(tmp_path / "series", _volume()), axis="axial", stack=3)
    corner = {k: [round(100 * n / 900 * 255) for n in (k - 1, k, k + 1)] for k in range(1, 5)}
    assert all(found[k][0, 0].tolist() == corner[k] for k in corner)
    assert found[0][0, 0, 0] == found[0][0, 0, 1]
    with pytest.raises(Unreadable, match="expected at least three"):
        _slices(save_dicom(tmp_path / "one.dcm", _RAMP), axis="acquired", stack=3)


def test_files_that_are_no_one_series_are_refused(tmp_path: Path) -> None:
    folder = save_series(tmp_path / "series", _volume())
    save_series(tmp_path / "other", _volume())
    (tmp_path / "other" / "IM0000").rename(folder / "IM9999")
    with pytest.raises(Unreadable, match="several series"):
        _slices(folder)
    assert sorted(map(len, grouped(sorted(folder.iterdir())))) == [1, 9]
    for number in (1, 2):
        save_dicom(tmp_path / "twice" / f"{number}.dcm", _RAMP, InstanceNumber=1)
    with pytest.raises(Unreadable, match="neither positions nor instance numbers"):
        _slices(tmp_path / "twice")
