"""DICOM files without a preamble: the same answer from disk and from bytes, whatever the name."""

from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from domains.healthcare.images.files import decode, decode_bytes
from domains.healthcare.images.pixels import Unreadable
from tests.domains.sample_images import dicom, picture


def _bare(implicit: bool) -> bytes:
    """A file as old devices write them: no preamble, no word on how it is written."""
    made, stream = dicom(picture(0, 1)), BytesIO()
    del made.file_meta
    made.save_as(stream, implicit_vr=implicit, little_endian=True, enforce_file_format=False)
    return stream.getvalue()


@pytest.mark.parametrize("implicit", [True, False])
@pytest.mark.parametrize("name", ["a.dcm", "a"])
def test_a_file_without_preamble_is_read_from_disk_and_from_bytes(
    tmp_path: Path, name: str, implicit: bool
) -> None:
    path = tmp_path / name
    path.write_bytes(_bare(implicit))
    assert path.read_bytes()[128:132] != b"DICM"
    for pixels in (decode(path), decode_bytes(path.read_bytes())):
        assert (pixels[..., 0] == picture(0, 1)).all()


def test_bytes_that_only_begin_like_a_file_without_preamble_are_no_image(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, 4000, dtype=np.uint8).tobytes()
    path = tmp_path / "a"
    path.write_bytes(b"\x08\x00\x05\x00CS\x0a\x00" + noise)
    for read in (lambda: decode(path), lambda: decode_bytes(path.read_bytes())):
        with pytest.raises(Unreadable, match=r"(not a|truncated or damaged) DICOM file"):
            read()
