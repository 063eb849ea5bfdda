"""A folder of the parts of a split, where a folder of classes is expected."""

from pathlib import Path

import pytest

from domains.errors import InputError
from tests.domains.sample_images import write_folder
from tests.domains.sample_sets import image_set


@pytest.mark.parametrize(
    ("parts", "train", "test"),
    [(("Testing", "Training"), "Training", "Testing"), (("test", "train", "val"), "train", "test")],
)
def test_parts_are_no_classes_and_the_folders_to_name_are_told(
    tmp_path: Path, parts: tuple[str, ...], train: str, test: str
) -> None:
    root = tmp_path / "in"
    for part in parts:
        write_folder(root / part, each=2)
    with pytest.raises(InputError) as refused:
        image_set(tmp_path, kind="folder", path=root)
    said = str(refused.value)
    assert said.startswith(f"{root}: expected one sub-folder a class, found parts of a split (")
    assert ", ".join(parts) in said
    assert f"point path at {root / train} and test: {{kind: folder, path: {root / test}}}" in said
    assert "\n" not in said


def test_a_lone_part_is_pointed_at(tmp_path: Path) -> None:
    write_folder(tmp_path / "in" / "train", each=2)
    with pytest.raises(InputError, match=r"point path at .*in/train, or list"):
        image_set(tmp_path, kind="folder", path=tmp_path / "in")
