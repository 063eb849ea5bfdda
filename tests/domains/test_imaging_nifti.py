"""NIfTI files: the same slices whatever way the voxels are stored; damage is named."""

from contextlib import suppress
from itertools import permutations, product
from pathlib import Path

import nibabel
import numpy as np
import pytest

from domains.healthcare.images.files import decode, pictures
from domains.healthcare.images.pixels import Axis, Reading, Slices, Unreadable
from tests.domains.sample_images import save_nifti

_WINDOW = (0.0, 2550.0)


def _volume() -> np.ndarray:
    """int16 (12, 10, 8): 10 for each voxel to the right, 100 to the front, 1000 to the top."""
    x, y, z = np.mgrid[:12, :10, :8]
    return np.asarray(10 * x + 100 * y + 150 * z, dtype=np.int16)


def _slices(path: Path, axis: Axis = "axial", **keys: object) -> dict[int | None, np.ndarray]:
    reading = Reading(_WINDOW, Slices(axis, **keys))  # type: ignore[arg-type]
    return {number: pixels[..., 0] for number, pixels in pictures(path, reading=reading)}


@pytest.mark.parametrize("axis", ["axial", "coronal", "sagittal"])
def test_slices_do_not_depend_on_how_voxels_are_stored(tmp_path: Path, axis: Axis) -> None:
    plain = _slices(save_nifti(tmp_path / "plain.nii", _volume()), axis)
    for order, flips in product(permutations(range(3)), ((1, 1, 1), (-1, 1, -1), (-1, -1, 1))):
        turned = _volume()[tuple(slice(None, None, flip) for flip in flips)].transpose(order)
        affine = np.zeros((4, 4))
        affine[3, 3] = 1
        for column, row in enumerate(order):
            affine[row, column] = flips[row]
        found = _slices(save_nifti(tmp_path / "turned.nii.gz", turned, affine), axis)
        assert found.keys() == plain.keys()
        assert all((found[k] == plain[k]).all() for k in plain)


def test_slices_are_seen_as_radiologists_see_them(tmp_path: Path) -> None:
    path = save_nifti(tmp_path / "a.nii", _volume())
    values = _volume()
    axial, coronal = _slices(path, "axial"), _slices(path, "coronal")
    sagittal = _slices(path, "sagittal")
    assert (len(axial), len(coronal), len(sagittal)) == (8, 10, 12)
    right_front_bottom = round(int(values[11, 9, 0]) / 10)
    assert axial[0][0, 0] == right_front_bottom  # the right, the face up
    assert coronal[9][-1, 0] == right_front_bottom  # the right, the feet down
    assert sagittal[11][-1, 0] == right_front_bottom  # the face on the left, the feet down


def test_slices_are_chosen_as_declared(tmp_path: Path) -> None:
    path = save_nifti(tmp_path / "a.nii", _volume())
    assert list(_slices(path, "sagittal", every=4)) == [1, 5, 9]
    assert list(_slices(path, "sagittal", every=1000)) == [5]
    assert list(_slices(path, "sagittal", between=(0.5, 0.75))) == [6, 7, 8]
    asked = pictures(path, reading=Reading(_WINDOW, Slices()), asked=[2, 5])
    assert [number for number, _ in asked] == [2, 5]
    with pytest.raises(Unreadable, match="there are 0 to 7"):
        list(pictures(path, reading=Reading(_WINDOW, Slices()), asked=[8]))
    with pytest.raises(Unreadable, match=r"data\.volume does not say"):
        decode(path)


def test_all_slices_of_a_volume_share_one_window(tmp_path: Path) -> None:
    path = save_nifti(tmp_path / "a.nii", _volume())
    own = [p.max() for _, p in pictures(path, reading=Reading("own", Slices("axial")))]
    assert own[-1] == 255
    assert (np.diff(np.array(own, int)) > 0).all()


def test_the_headers_window_is_its_display_range(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(_volume(), np.eye(4))
    image.header["cal_min"], image.header["cal_max"] = _WINDOW
    nibabel.save(image, tmp_path / "a.nii")
    plain = _slices(save_nifti(tmp_path / "b.nii", _volume()))
    found = pictures(tmp_path / "a.nii", reading=Reading("header", Slices()))
    assert all((pixels[..., 0] == plain[number]).all() for number, pixels in found)
    with pytest.raises(Unreadable, match="states a window"):
        list(pictures(tmp_path / "b.nii", reading=Reading("header", Slices())))


def test_slope_and_intercept_come_first(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(_volume(), np.eye(4))
    image.header.set_slope_inter(0.5, 5)
    nibabel.save(image, tmp_path / "a.nii")
    found = pictures(tmp_path / "a.nii", reading=Reading((5.0, 1280.0), Slices()))
    plain = _slices(save_nifti(tmp_path / "b.nii", _volume()))
    assert all(np.abs(p[..., 0].astype(int) - plain[k]).max() <= 1 for k, p in found)


def test_what_is_no_volume_of_greys_says_why(tmp_path: Path) -> None:
    whole = save_nifti(tmp_path / "a.nii.gz", _volume()).read_bytes()
    made: dict[str, tuple[np.ndarray, str]] = {
        "4-D": (np.zeros((9, 9, 9, 3), np.int16), "4 dimensions, expected three"),
        "complex": (np.zeros((9, 9, 9), np.complex64), "complex numbers"),
        "nan": (np.full((9, 9, 9), np.nan, np.float32), "infinite or missing"),
        "small": (np.zeros((9, 3, 9), np.int16), "smaller than 8"),
    }
    for name, (volume, reason) in made.items():
        with pytest.raises(Unreadable, match=reason):
            _slices(save_nifti(tmp_path / f"{name}.nii", volume))
    (tmp_path / "empty.nii").write_bytes(b"")
    with pytest.raises(Unreadable, match="empty file"):
        _slices(tmp_path / "empty.nii")
    for content in (b"no volume", whole[:200], whole[: len(whole) // 2]):
        (tmp_path / "b.nii.gz").write_bytes(content)
        with pytest.raises(Unreadable, match="truncated or damaged"):
            _slices(tmp_path / "b.nii.gz")
    with pytest.raises(Unreadable, match="no such file"):
        _slices(tmp_path / "none.nii")


def test_a_volume_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = save_nifti(tmp_path / "a.nii", _volume())
    content = bytearray(path.read_bytes())
    content[42:48] = np.array([20_000, 20_000, 20_000], "<i2").tobytes()
    path.write_bytes(content)
    with pytest.raises(Unreadable, match="too many voxels"):
        _slices(path)


def test_damage_anywhere_ends_in_pixels_or_a_reason(tmp_path: Path) -> None:
    """One byte of the header changed, at places drawn once."""
    whole = save_nifti(tmp_path / "a.nii", _volume()).read_bytes()
    draws = np.random.default_rng(0)
    for place in draws.integers(0, 352, 120):
        changed = bytearray(whole)
        changed[place] = draws.integers(256)
        (tmp_path / "b.nii").write_bytes(changed)
        with suppress(Unreadable):
            _slices(tmp_path / "b.nii")
