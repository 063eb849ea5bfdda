"""Lung nodules of the LIDC-IDRI as radiologists outlined them: outlines to thickness maps.

These are segmentations, not CT grey values. Each annotation is one reader's outline of one nodule
and that reader's nine ratings. It becomes three projections of the outlined solid: how many
millimetres of nodule lie behind each point, seen along the body axis (axial), from the front
(coronal) and from the side (sagittal).
"""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
import pyarrow as pa

from domains.conversion.nodules import same_nodule
from domains.conversion.outlines import FIELD_MM, Outlines, measure, thickness_maps

RATINGS = ["subtlety", "internalStructure", "calcification", "sphericity", "margin"]
RATINGS += ["lobulation", "spiculation", "texture", "malignancy"]

_ANNOTATIONS = """
    SELECT a.*, a.id AS annotation_id, s.patient_id, s.pixel_spacing, s.slice_thickness
    FROM annotations a JOIN scans s ON s.id = a.scan_id ORDER BY a.id"""
_CONTOURS = """
    SELECT annotation_id, inclusion, image_z_position AS z, coords
    FROM contours ORDER BY annotation_id, image_z_position, id"""
_PLANES = "SELECT DISTINCT scan_id, val FROM zvals ORDER BY scan_id, val"


def lidc(streams: list[IO[bytes]]) -> pa.Table:
    """One row an annotation, sorted by `annotation_id`.

    Columns: `annotation_id`, `patient_id`, `scan_id`, `nodule_id` (annotations of one nodule by
    several readers share it; unique over all scans), the nine ratings, `size_…` (six measures, see
    `outlines.measure`), `clipped` (part of the nodule lies outside the 36 mm shown) and `maps`:
    48·48·3 bytes, row by row, the channels axial, coronal, sagittal; 255 stands for 36 mm.
    """
    annotations, contours, planes = _read(streams[0])
    outlines = _outlines(annotations, contours, planes)
    sizes = {f"size_{name}": values for name, values in measure(outlines).items()}
    maps = np.rint(thickness_maps(outlines) * (255 / FIELD_MM)).clip(0, 255).astype(np.uint8)
    extent = outlines.box[:, :, 1] - outlines.box[:, :, 0]
    columns = {
        "annotation_id": annotations["annotation_id"].to_numpy(np.int32),
        "patient_id": pa.array(annotations["patient_id"], pa.string()),
        "scan_id": annotations["scan_id"].to_numpy(np.int32),
        "nodule_id": pa.array(_nodules(annotations, outlines), pa.string()),
        **{name: annotations[name].to_numpy(np.int8) for name in RATINGS},
        **sizes,
        "clipped": (extent > FIELD_MM).any(axis=1),
        "maps": pa.array([image.tobytes() for image in maps], pa.binary()),
    }
    return pa.table(columns)


def _read(stream: IO[bytes]) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The three tables, from a temporary copy opened read-only."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "annotations.sqlite"
        with copy.open("wb") as out:
            shutil.copyfileobj(stream, out)
        address = f"{copy.as_uri()}?mode=ro&immutable=1"
        with closing(sqlite3.connect(address, uri=True)) as database:
            annotations = pd.read_sql_query(_ANNOTATIONS, database)
            contours = pd.read_sql_query(_CONTOURS, database)
            planes = pd.read_sql_query(_PLANES, database)
    return annotations, contours, planes


def _outlines(annotations: pd.DataFrame, contours: pd.DataFrame, planes: pd.DataFrame) -> Outlines:
    """The outlines in millimetres; outlines of less than three points enclose nothing and go."""
    contours = contours[contours["coords"].str.count("\n") >= 2]
    lengths = contours["coords"].str.count("\n").to_numpy() + 1
    numbers = ",".join(contours["coords"]).replace("\n", ",")
    pixels = np.fromstring(numbers, dtype=np.float64, sep=",").reshape(-1, 2)
    solid = np.searchsorted(annotations["annotation_id"], contours["annotation_id"])
    scale = annotations["pixel_spacing"].to_numpy()[solid]
    steps = planes.groupby("scan_id")["val"].agg(lambda z: np.median(np.diff(z)))
    return Outlines(
        points=pixels * np.repeat(scale, lengths)[:, None],
        starts=np.cumsum(lengths) - lengths,
        solid=solid,
        z=contours["z"].to_numpy(np.float64),
        hole=contours["inclusion"].to_numpy() == 0,
        spacing=annotations["scan_id"].map(steps).to_numpy(np.float64),
    )


def _nodules(annotations: pd.DataFrame, outlines: Outlines) -> list[str]:
    """`SCAN.NUMBER` of the nodule each annotation outlines, shape (n,)."""
    height = outlines.z[outlines.owner]
    cloud = np.column_stack([outlines.points, height])
    clouds = np.split(cloud, outlines.starts[outlines.first][1:])
    names = [""] * len(annotations)
    for scan, rows in annotations.groupby("scan_id").indices.items():
        tolerance = float(annotations["slice_thickness"].iloc[rows[0]])
        for row, group in zip(rows, same_nodule([clouds[r] for r in rows], tolerance), strict=True):
            names[row] = f"{scan}.{group}"
    return names
