"""A folder of images with one sub-folder a class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

import pandas as pd

from domains.errors import InputError
from domains.healthcare.images.draft import Draft, Item
from domains.healthcare.images.files import is_image_name, is_unnamed_dicom, kind_of
from domains.healthcare.images.intake import Intake, from_items
from domains.healthcare.images.parts import check_not_parts

_HIDDEN = "hidden"


def read_folder(root: Path, intake: Intake, names: tuple[str, ...] = ()) -> Draft:
    """Images in one sub-folder a class; the sub-folders' names are the classes.

    Where the reading cuts volumes, the DICOM files of one series in one folder are a volume. The
    patients that DICOM files name are kept together.

    Args:
        root: The folder.
        intake: How it is read.
        names: All sub-folders in the order of the classes; empty for that of the alphabet.

    Raises:
        InputError: No such folder, other classes than `names`, fewer than two, parts of a split in
            their place, a class without an image, or too many unusable files.
    """
    classes = _classes_of(root)
    if names and set(names) != set(classes):
        raise InputError(
            f"{root}: data.classes lists {', '.join(names)}, and the folders are "
            f"{', '.join(classes)}; expected each folder once, in the order of the classes"
        )
    classes = names or classes
    items: list[Item] = []
    labels: list[int] = []
    passed: Counter[str] = Counter()
    for number, name in enumerate(classes):
        found = list(_found(root / name, passed))
        if not found:
            raise InputError(
                f"{root / name}: class {name!r} holds no PNG, JPEG, DICOM or NIfTI file; put some "
                "there, or remove the folder"
            )
        for files in _volumes(found) if intake.reading.slices else ((file,) for file in found):
            items.append(Item(files[0], (len(items),), series=files if len(files) > 1 else ()))
            labels.append(number)
    ids = [item.file.relative_to(root).as_posix() for item in items]
    records = pd.DataFrame({"id": ids, "label": labels, "patient": ids})
    draft = from_items(root, items, records, classes, intake, {}, named=False)
    draft.notes.extend(_passed_over(root, passed))
    return draft


def _classes_of(root: Path) -> tuple[str, ...]:
    if not root.is_dir():
        raise InputError(f"{root}: no such folder of images")
    classes = tuple(sorted(p.name for p in root.iterdir() if p.is_dir() and p.name[0] != "."))
    check_not_parts(root, classes)
    if len(classes) < 2:
        found = f"one ({classes[0]})" if classes else "none"
        raise InputError(
            f"{root}: expected one sub-folder a class, at least two of them, found {found}"
        )
    return classes


def _found(folder: Path, passed: Counter[str]) -> Iterator[Path]:
    """Files of a class, a folder at a time, that are images or say so by their ending; counts the
    others."""
    named = (each for each in folder.rglob("*") if _is_named(each))
    for path in sorted(named, key=lambda path: (path.parent, path.name)):
        ending = path.suffix.lower()
        if any(part.startswith(".") for part in path.relative_to(folder).parts):
            passed[_HIDDEN] += is_image_name(path.name)
        elif is_image_name(path.name) or is_unnamed_dicom(path):
            yield path
        else:
            passed[ending or "no ending"] += 1


def _is_named(path: Path) -> bool:
    """Whether it is a file, or a link that leads nowhere and stands for one."""
    return path.is_file() or (path.is_symlink() and not path.exists())


def _volumes(files: Sequence[Path]) -> Iterator[tuple[Path, ...]]:
    """Files by the volume they belong to: single DICOM files of one folder by series."""
    from domains.healthcare.images.series import grouped

    for _, beside in groupby(files, key=lambda path: path.parent):
        dicom: list[Path] = []
        for path in beside:
            if kind_of(path) == "dicom":
                dicom.append(path)
            else:
                yield (path,)
        yield from map(tuple, grouped(dicom))


def _passed_over(root: Path, passed: Counter[str]) -> list[str]:
    """Notes on what stands in the folder and is no image of a class."""
    notes = []
    if hidden := passed.pop(_HIDDEN, 0):
        notes.append(
            f"{hidden} hidden image(s) (a name or folder that begins with a dot) were passed over."
        )
    if passed:
        listed = ", ".join(f"{count} {ending}" for ending, count in passed.most_common())
        notes.append(f"{passed.total()} file(s) that are no images were passed over: {listed}.")
    files = [each.name for each in root.iterdir() if _is_named(each) and each.name[0] != "."]
    beside = sum(map(is_image_name, files))
    if beside:
        notes.append(f"{beside} image(s) beside the folders of the classes were passed over.")
    linked = sum(each.is_symlink() and each.is_dir() for each in root.rglob("*/*"))
    if linked:
        notes.append(f"{linked} linked folder(s) below a class were not entered.")
    return notes
