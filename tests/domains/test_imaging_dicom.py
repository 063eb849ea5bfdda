"""DICOM files: values, windows, colours; damage is named; nobody is."""

import logging
import struct
import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pydicom import Dataset, Sequence
from pydicom.data import get_testdata_file
from pydicom.data.data_manager import DATA_ROOT
from pydicom.encaps import encapsulate
from pydicom.uid import UID, JPEG2000Lossless, JPEGBaseline8Bit, RLELossless

from domains.healthcare.images.files import decode, decode_bytes, pictures
from domains.healthcare.images.pixels import Reading, Slices, Unreadable, Window
from domains.healthcare.images.series import patient_hash
from tests.domains.sample_images import dicom, picture, save_dicom

_FILES = sorted((Path(DATA_ROOT) / "test_files").rglob("*.dcm"))
_RAMP = np.tile(np.arange(0, 1600, 100, dtype=np.int16), (16, 1))  # 16 columns, 0 … 1500


def _sample(name: str) -> Path:
    return Path(str(get_testdata_file(name)))


def _grey(path: Path, window: Window = "header") -> np.ndarray:
    pixels = decode(path, reading=Reading(window))
    assert (pixels[..., 0] == pixels[..., 2]).all()
    return pixels[..., 0]


def test_slope_and_intercept_come_before_the_window(tmp_path: Path) -> None:
    path = save_dicom(tmp_path / "a.dcm", _RAMP, RescaleSlope=2, RescaleIntercept=-1000)
    found = _grey(path, (-1000.0, 1000.0))  # 2·value − 1000: −1000, −800, … 2000
    assert found[0, :4].tolist() == [0, 26, 51, 76]
    assert (found[:, 10:] == 255).all()


def test_a_window_of_the_header_follows_the_standards_formula(tmp_path: Path) -> None:
    center, width = 700.0, 801.0
    path = save_dicom(tmp_path / "a.dcm", _RAMP, WindowCenter=[center, 1], WindowWidth=[width, 1])
    x = _RAMP[0].astype(float)
    expected = ((x - (center - 0.5)) / (width - 1) + 0.5).clip(0, 1) * 255
    assert (_grey(path)[0] == np.rint(expected)).all()
    assert (_grey(path, (0.0, 1500.0)) != _grey(path)).any()  # a stated window comes first


def test_sigmoid_and_exact_windows_are_what_they_are_called(tmp_path: Path) -> None:
    x = _RAMP[0].astype(float)
    shapes = {
        "SIGMOID": 1 / (1 + np.exp(-4 * (x - 700) / 400)),
        "LINEAR_EXACT": ((x - 700) / 400 + 0.5).clip(0, 1),
    }
    for name, expected in shapes.items():
        keys = {"WindowCenter": 700, "WindowWidth": 400, "VOILUTFunction": name}
        found = _grey(save_dicom(tmp_path / f"{name}.dcm", _RAMP, **keys))[0]
        assert np.abs(found - expected * 255).max() <= 0.51


def test_a_lookup_table_of_the_header_is_applied(tmp_path: Path) -> None:
    table = Dataset()
    table.LUTDescriptor = [1501, 0, 12]
    table.LUTData = (4095 - 2 * np.arange(1501)).astype("<u2").tobytes()
    table["LUTData"].VR = "OW"
    path = save_dicom(tmp_path / "a.dcm", _RAMP.astype(np.uint16), VOILUTSequence=Sequence([table]))
    found = _grey(path)[0].astype(int)
    assert found[0] == 255
    assert (np.diff(found) < 0).all()


def test_monochrome1_is_the_negative(tmp_path: Path) -> None:
    keys: dict[str, object] = {"WindowCenter": 750, "WindowWidth": 1500}
    plain = _grey(save_dicom(tmp_path / "a.dcm", _RAMP, **keys))
    keys["PhotometricInterpretation"] = "MONOCHROME1"
    assert (_grey(save_dicom(tmp_path / "b.dcm", _RAMP, **keys)) == 255 - plain).all()


def test_padding_is_black_and_no_part_of_a_files_own_range(tmp_path: Path) -> None:
    padded = _RAMP.copy()
    padded[:4] = -2000
    path = save_dicom(tmp_path / "a.dcm", padded, PixelPaddingValue=-2000)
    found = _grey(path, "own")
    assert (found[:4] == 0).all()
    assert (found[4:] == _grey(save_dicom(tmp_path / "b.dcm", _RAMP), "own")[4:]).all()


def test_twelve_bits_without_a_window_are_not_guessed_at(tmp_path: Path) -> None:
    path = save_dicom(tmp_path / "a.dcm", _RAMP)
    with pytest.raises(Unreadable, match=r"neither the file nor the configuration states a window"):
        decode(path)
    assert _grey(path, "own").max() == 255


def test_eight_bits_are_taken_as_they_are(tmp_path: Path) -> None:
    path = save_dicom(tmp_path / "a.dcm", picture(0, 1))
    windows: list[Window] = ["header", "own", (-1000.0, 400.0)]
    for window in windows:
        assert (_grey(path, window) == picture(0, 1)).all()


def test_eight_bits_that_are_rescaled_by_nothing_are_eight_bits(tmp_path: Path) -> None:
    path = save_dicom(tmp_path / "a.dcm", picture(0, 1), RescaleSlope=1, RescaleIntercept=0)
    assert (_grey(path) == picture(0, 1)).all()
    with pytest.raises(Unreadable, match="states a window"):
        decode(save_dicom(tmp_path / "b.dcm", picture(0, 1), RescaleSlope=2, RescaleIntercept=0))
    signed = (picture(0, 1).astype(int) - 128).astype(np.int8)
    assert (_grey(save_dicom(tmp_path / "c.dcm", signed)) == picture(0, 1)).all()


def test_bytes_and_file_and_picture_give_the_same_pixels(tmp_path: Path) -> None:
    colours = np.stack([picture(k, k) for k in range(3)], axis=2)
    for number, pixels in enumerate((picture(0, 1), colours)):
        path = save_dicom(tmp_path / f"{number}.dcm", pixels)
        wanted = pixels if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2)
        assert (decode(path) == wanted).all()
        assert (decode_bytes(path.read_bytes()) == wanted).all()
        path.rename(tmp_path / f"IM{number}")
        assert (decode(tmp_path / f"IM{number}") == wanted).all()


def test_compressed_files_are_the_images_they_were() -> None:
    whole = _grey(_sample("MR_small.dcm"))
    for name in ("RLE", "implicit", "bigendian", "jp2klossless", "jpeg_ls_lossless"):
        assert (_grey(_sample(f"MR_small_{name}.dcm")) == whole).all()


def test_colours_are_rgb_however_they_are_stored() -> None:
    plain = decode(_sample("SC_rgb_rle.dcm")).astype(int)
    for name in ("dcmtk_+eb+cr", "dcmtk_+eb+cy+np", "gdcm_KY", "jls_lossy_line", "rle_16bit"):
        near = np.abs(decode(_sample(f"SC_rgb_{name}.dcm")).astype(int) - plain)
        assert np.median(near) <= 1, name
    raw = decode(_sample("SC_ybr_full_422_uncompressed.dcm")).astype(int)
    assert np.median(np.abs(raw - plain)) <= 1
    palette = decode(_sample("examples_palette.dcm"))
    assert (palette[..., 0] != palette[..., 2]).any()


# ------------------------------------------------------------------------------- damage


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("rtplan.dcm", "without pixel data"),
        ("test-SR.dcm", "without pixel data"),
        ("MR_truncated.dcm", "truncated or damaged"),
        ("image_dfl.dcm", "deflated"),
        ("SC_rgb_jpeg_gdcm.dcm", "JPEG Lossless.*needs the package python-gdcm"),
        ("JPGExtended.dcm", "JPEG Extended.*python-gdcm"),
        ("SC_rgb_small_odd.dcm", "smaller than 8"),
        ("rtstruct.dcm", "not a DICOM file"),
    ],
)
def test_what_cannot_be_read_says_why(name: str, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        decode(_sample(name))


def test_unknown_syntaxes_and_sizes_are_refused_before_a_pixel_is_read(tmp_path: Path) -> None:
    strange = dicom(picture(0, 1))
    strange.file_meta.TransferSyntaxUID = UID("1.2.3.4")
    strange.save_as(tmp_path / "a.dcm", implicit_vr=False, little_endian=True)
    with pytest.raises(Unreadable, match="transfer syntax that cannot be read: unknown"):
        decode(tmp_path / "a.dcm")
    save_dicom(tmp_path / "b.dcm", picture(0, 1), Rows=20_000, Columns=20_000)
    with pytest.raises(Unreadable, match="too many pixels"):
        decode(tmp_path / "b.dcm")
    for content, reason in ((b"", "empty file"), (b"no image" * 40, "not a DICOM file")):
        (tmp_path / "c.dcm").write_bytes(content)
        with pytest.raises(Unreadable, match=reason):
            decode(tmp_path / "c.dcm")


def _compressed(body: bytes, syntax: UID) -> bytes:
    """A DICOM file of 40 × 40 pixels around a compressed picture."""
    made = dicom(picture(0, 1))
    made.file_meta.TransferSyntaxUID = syntax
    made.PixelData = encapsulate([body])
    made["PixelData"].VR = "OB"
    stream = BytesIO()
    made.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _picture(form: str, pixels: np.ndarray, **keys: Any) -> bytes:
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, form, **keys)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("form", "syntax", "keys"),
    [
        ("JPEG", JPEGBaseline8Bit, {}),
        ("JPEG2000", JPEG2000Lossless, {"no_jp2": True}),
        ("JPEG2000", JPEG2000Lossless, {"no_jp2": False}),
    ],
)
def test_a_picture_larger_than_its_header_says_is_never_decoded(
    form: str, syntax: UID, keys: dict[str, Any]
) -> None:
    honest = _compressed(_picture(form, picture(0, 1), **keys), syntax)
    assert decode_bytes(honest).shape == (40, 40, 3)
    large = _compressed(_picture(form, np.zeros((600, 400), np.uint8), **keys), syntax)
    with pytest.raises(Unreadable, match="another size than its header says"):
        decode_bytes(large)


def test_a_few_bytes_do_not_unfold_into_gigabytes() -> None:
    """A JPEG-LS picture that states 60,000 × 60,000 pixels, and runs that never end."""
    whole = _sample("MR_small_jpeg_ls_lossless.dcm").read_bytes()
    place = whole.index(b"\xff\xf7") + 5
    lying = whole[:place] + (60_000).to_bytes(2, "big") * 2 + whole[place + 4 :]
    runs = struct.pack("<16I", 1, 64, *[0] * 14) + b"\x81\x00" * 100_000
    for file in (lying, _compressed(runs, RLELossless)):
        with pytest.raises(Unreadable, match="another size than its header says"):
            decode_bytes(file, Reading("own"))


def _reason(read: Callable[[], object]) -> str:
    try:
        read()
    except Unreadable as reason:
        return str(reason)
    return ""


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "MR_small_jp2klossless.dcm", "SC_rgb_jls_lossy_line.dcm"]
)
def test_damage_anywhere_ends_in_pixels_or_a_reason(name: str) -> None:
    """One byte changed, or the end cut off, at places drawn once."""
    whole, draws = _sample(name).read_bytes(), np.random.default_rng(0)
    ends = [*draws.integers(0, len(whole), 12), *draws.integers(128, 2000, 12)]
    for end in ends:
        _reason(lambda end=end: decode_bytes(whole[:end], Reading("own")))  # type: ignore[misc]
    for place in [*draws.integers(132, min(len(whole), 2500), 60)]:
        changed = bytearray(whole)
        changed[place] = draws.integers(256)
        _reason(lambda data=bytes(changed): decode_bytes(data, Reading("own")))  # type: ignore[misc]


def test_no_reason_warning_or_log_repeats_what_a_file_says(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    secrets = ["DOE^JANE", "MRN-4711", "19610203", "1.2.840.99.4711"]
    told = {
        "PatientName": secrets[0],
        "PatientID": secrets[1],
        "PatientBirthDate": secrets[2],
        "StudyInstanceUID": secrets[3],
    }
    whole = save_dicom(tmp_path / "a.dcm", _RAMP, **told).read_bytes()
    said = []
    with warnings.catch_warnings(record=True) as warned, caplog.at_level(logging.DEBUG):
        warnings.simplefilter("always")
        for place in range(132, len(whole) - 512, 3):
            changed = bytearray(whole)
            changed[place] ^= 0xFF
            said.append(_reason(lambda data=bytes(changed): decode_bytes(data)))  # type: ignore[misc]
    text = " ".join([*said, *map(str, warned), caplog.text, *capfd.readouterr()])
    assert not [secret for secret in secrets if secret in text]
    assert len(set(said)) < 12


def test_patients_leave_as_a_keyed_hash(tmp_path: Path) -> None:
    files = [
        save_dicom(tmp_path / f"{number}.dcm", picture(0, 1), PatientID=name)
        for number, name in enumerate(["4711", "4711 ", "4712", ""])
    ]
    found = [patient_hash(file, b"k" * 32) for file in files]
    assert found[0] == found[1] != found[2]
    assert found[3] == ""
    assert patient_hash(files[0], b"other key") != found[0]
    assert "4711" not in "".join(found)


def test_the_fixtures_of_pydicom_are_read_or_named() -> None:
    read = [file for file in _FILES if not _reason(lambda file=file: _all(file))]  # type: ignore[misc]
    assert len(read) >= 50


def _all(path: Path) -> list[tuple[int | None, np.ndarray]]:
    return list(pictures(path, reading=Reading("own", Slices("acquired", every=50))))
