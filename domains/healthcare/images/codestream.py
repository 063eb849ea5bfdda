"""What a compressed picture says of its own size, read before anything is decoded.

A DICOM header states a size, and the picture inside it another one: a few kilobytes of JPEG-LS
can unfold into gigabytes under a header that asks for 40 × 40.
"""

from __future__ import annotations

import struct

_JPEG, _SIZ = b"\xff\xd8", b"\xff\x4f\xff\x51"
_FRAMES = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
"""Markers of a JPEG frame's header; F7 is that of JPEG-LS."""


def stated_size(picture: bytes) -> tuple[int, int] | None:
    """Rows and columns that a JPEG, JPEG-LS or JPEG 2000 picture states; None where it is none.

    Raises:
        ValueError: It begins as one and ends before it states a size.
    """
    try:
        if picture.startswith(_JPEG):
            return _of_jpeg(picture)
        start = picture.find(_SIZ, 0, 4096)  # below the boxes of a JP2 file
        return None if start < 0 else _of_jpeg_2000(picture, start)
    except (struct.error, IndexError):
        raise ValueError("no size is stated") from None


def _of_jpeg(picture: bytes) -> tuple[int, int]:
    at = 2
    while True:
        while picture[at] == 0xFF and picture[at + 1] == 0xFF:  # filling
            at += 1
        marker, length = picture[at + 1], struct.unpack_from(">H", picture, at + 2)[0]
        if picture[at] != 0xFF:
            raise struct.error
        if marker in _FRAMES:
            rows, columns = struct.unpack_from(">HH", picture, at + 5)
            return rows, columns
        at += 2 + length


def _of_jpeg_2000(picture: bytes, start: int) -> tuple[int, int]:
    right, low, left, top = struct.unpack_from(">IIII", picture, start + 8)
    return low - top, right - left
