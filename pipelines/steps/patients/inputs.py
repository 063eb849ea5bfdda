"""Records as a network takes them: in memory where they fit, else on disk and read by batches."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from domains import durable
from domains.healthcare.cohort.features import Encoder
from domains.healthcare.outcomes.codec import Codec
from models.multitask.coded import Coded
from models.multitask.masked import Records
from pipelines.steps.patients.prepare import Prepared

MOST_BYTES = 1 << 26
"""Of a part's inputs in memory; larger ones are kept as codes in the job's folder."""


def inputs(prepared: Prepared, part: str, encoder: Encoder, codecs: Mapping[str, Codec]) -> Records:
    """One part's records, encoded; equal bit for bit wherever they are kept.

    Args:
        prepared: The job's records.
        part: Of the split.
        encoder: Of the features.
        codecs: By outcome.
    """
    targets, count = prepared.targets(part), prepared.split[part]["records"]
    encoded = {name: codec.encode(targets.values[name]) for name, codec in codecs.items()}
    if count * encoder.width * 4 <= MOST_BYTES:
        x: np.ndarray | Coded = encoder.encode(prepared.read(part).features)
    else:
        path = prepared.records.with_name(f"{part}.codes.npy")
        if not path.exists():
            _write(path, prepared, part, encoder)
        x = Coded(np.load(path, mmap_mode="r"), encoder)
    return Records(x, encoded, encoder.numbers)


def _write(path: Path, prepared: Prepared, part: str, encoder: Encoder) -> None:
    """The codes of one part as an array on disk, (n, features) float32."""
    shape = (prepared.split[part]["records"], len(encoder.features))
    about = {"descr": "<f4", "fortran_order": False, "shape": shape}
    with durable.replacing(path) as whole, whole.open("wb") as stream:
        np.lib.format.write_array_header_1_0(stream, about)
        for piece in prepared.pieces(part):
            stream.write(encoder.code(piece).astype("<f4", copy=False).tobytes())
