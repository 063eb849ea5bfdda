"""Small made-up images whose class can be seen: discs and bars on noise."""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pandas as pd
import pydicom
from PIL import Image
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

SIDE = 40


def picture(label: int, seed: int) -> np.ndarray:
    """uint8 (40, 40): a disc (0), an upright bar (1) or a lying one (2), somewhere, on noise."""
    rng = np.random.default_rng(seed)
    image = rng.normal(60, 12, (SIDE, SIDE))
    row, column = rng.integers(12, 28, 2)
    y, x = np.mgrid[:SIDE, :SIDE]
    shapes = [
        (y - row) ** 2 + (x - column) ** 2 < rng.integers(40, 90),
        (abs(x - column) < 3) & (abs(y - row) < 12),
        (abs(y - row) < 3) & (abs(x - column) < 12),
    ]
    image[shapes[label]] += 120
    return np.asarray(image.clip(0, 255).astype(np.uint8))


def save(path: Path, pixels: np.ndarray) -> Path:
    """Write an image file, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def write_folder(root: Path, each: int = 60, classes: int = 2) -> Path:
    """`each` PNG files in each of the folders `c0`, `c1`, …; returns the root."""
    for label in range(classes):
        for index in range(each):
            save(root / f"c{label}" / f"{index:03}.png", picture(label, 1000 * label + index))
    return root


def write_manifest(root: Path, patients: int = 60, each: int = 2) -> pd.DataFrame:
    """A manifest of `each` images a patient, odd patients of class `sick`; returns its rows."""
    rows = []
    for patient in range(patients):
        for index in range(each):
            name = f"images/{patient}-{index}.png"
            save(root / name, picture(patient % 2, 10 * patient + index))
            label = ["well", "sick"][patient % 2]
            rows.append({"path": name, "label": label, "patient_id": f"p{patient}"})
    frame = pd.DataFrame(rows)
    frame.to_csv(root / "manifest.csv", index=False)
    return frame


def write_medmnist(path: Path, counts: tuple[int, int, int] = (80, 30, 40)) -> Path:
    """A file as MedMNIST makes them: three parts, 28 × 28 grey, labels (n, 1)."""
    arrays, seed = {}, 0
    for part, count in zip(("train", "val", "test"), counts, strict=True):
        labels = np.arange(count) % 3
        images = [picture(int(k), seed + i)[6:34, 6:34] for i, k in enumerate(labels)]
        arrays[f"{part}_images"] = np.stack(images)
        arrays[f"{part}_labels"] = labels[:, None].astype(np.uint8)
        seed += count
    np.savez(path, allow_pickle=False, **arrays)
    return path


def dicom(pixels: np.ndarray, **elements: Any) -> pydicom.Dataset:
    """A secondary capture of grey (H, W), (f, H, W) or RGB (H, W, 3) pixels, uint8 or 16 bits.

    Args:
        pixels: As stored.
        elements: Further elements by keyword, or others in place of the usual ones.
    """
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = generate_uid()
    made = pydicom.Dataset()
    made.file_meta = meta
    made.SOPClassUID, made.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    colour = pixels.ndim == 3 and pixels.shape[2] == 3
    if pixels.ndim == 3 and not colour:
        made.NumberOfFrames = len(pixels)
    made.Rows, made.Columns = pixels.shape[:2] if colour else pixels.shape[-2:]
    made.SamplesPerPixel = 3 if colour else 1
    if colour:
        made.PlanarConfiguration = 0
    made.PhotometricInterpretation = "RGB" if colour else "MONOCHROME2"
    made.BitsAllocated = made.BitsStored = 8 * pixels.itemsize
    made.HighBit = made.BitsStored - 1
    made.PixelRepresentation = int(np.issubdtype(pixels.dtype, np.signedinteger))
    body = pixels.tobytes()
    made.PixelData = body + b"\0" * (len(body) % 2)
    for name, value in elements.items():
        setattr(made, name, value)
    return made


def save_dicom(path: Path, pixels: np.ndarray, **elements: Any) -> Path:
    """Write such a file, making its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dicom(pixels, **elements).save_as(path, enforce_file_format=True)
    return path


def save_series(folder: Path, volume: np.ndarray, **elements: Any) -> Path:
    """Write (k, H, W), from the feet upwards, as an axial series; files are named at random."""
    series, draws = generate_uid(), np.random.default_rng(0).permutation(len(volume))
    for number, pixels in enumerate(volume):
        save_dicom(
            folder / f"IM{draws[number]:04}",
            pixels,
            SeriesInstanceUID=series,
            InstanceNumber=len(volume) - number,
            ImagePositionPatient=[0, 0, 2.5 * number],
            ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
            PixelSpacing=[1, 1],
            **elements,
        )
    return folder


def save_nifti(path: Path, volume: np.ndarray, affine: np.ndarray | None = None) -> Path:
    """Write (i, j, k), to the right, the front and the top unless the affine says else."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(volume, np.eye(4) if affine is None else affine), path)
    return path
