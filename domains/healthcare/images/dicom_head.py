"""Whether a file's first bytes are those of DICOM, told without a parser."""

from __future__ import annotations

HEAD = 132
"""Bytes that are needed to tell."""

_MARK_AT, _MARK = 128, b"DICM"
_FIRST_GROUPS = (b"\x02\x00", b"\x08\x00")  # which every bare file found in the wild begins with
_LONGEST = 1024  # bytes of the first element, where its length follows without a type


def is_marked(head: bytes) -> bool:
    """Whether it says so itself, after the preamble that the standard asks of a file."""
    return head[_MARK_AT:HEAD] == _MARK


def is_dicom(head: bytes) -> bool:
    """Whether it says so itself, or begins bare: with a plausible first element, no preamble."""
    return is_marked(head) or _is_bare(head)


def _is_bare(head: bytes) -> bool:
    if len(head) < HEAD or head[:2] not in _FIRST_GROUPS or head[3] != 0:
        return False
    explicit = head[4:6].isalpha() and head[4:6].isupper()
    return explicit or int.from_bytes(head[4:8], "little") <= _LONGEST
