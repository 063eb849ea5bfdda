"""How files are read is part of a model: it is kept as JSON, and one channel means greys."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from domains.healthcare.images.files import decode, decode_bytes
from domains.healthcare.images.pixels import AS_STATED, Reading, Slices, from_json
from domains.healthcare.imaging import Request, prepare
from domains.splits import split_key
from tests.domains.sample_images import picture, save, save_dicom, write_folder

GREY = Reading(channels=1)


@pytest.mark.parametrize(
    "reading",
    [
        AS_STATED,
        Reading("own", channels=1),
        Reading((-1000.0, 400.0), Slices("coronal", 4, (0.25, 0.75), 3)),
    ],
)
def test_a_reading_survives_json(reading: Reading) -> None:
    assert from_json(json.loads(json.dumps(reading.to_json()))) == reading


def test_models_that_say_nothing_stretch_each_image_as_they_did() -> None:
    assert from_json(None) == Reading("own")


def _colours() -> np.ndarray:
    return np.stack([picture(k, k) for k in range(3)], axis=2)


def test_one_channel_is_the_brightness_of_colours(tmp_path: Path) -> None:
    expected = np.asarray(Image.fromarray(_colours()).convert("L"))
    png = save(tmp_path / "a.png", _colours())
    dicom = save_dicom(tmp_path / "a.dcm", _colours())
    for path in (png, dicom):
        for pixels in (decode(path, reading=GREY), decode_bytes(path.read_bytes(), GREY)):
            assert (pixels == expected[..., None]).all()
    grey = save(tmp_path / "b.png", picture(0, 1))
    assert (decode(grey, reading=GREY) == decode(grey)).all()


def test_a_set_of_one_channel_is_stored_and_cut_as_such(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "in", each=40)
    key = split_key(0, None)
    sets = [
        prepare(Request("folder", path=root, limit=60, reading=reading), tmp_path / name, 32, key)
        for name, reading in (("grey", GREY), ("rgb", AS_STATED))
    ]
    assert sets[0].images().shape == (60, 32, 32, 1)
    assert sets[1].images().shape == (60, 32, 32, 3)
    assert (sets[0].images() == sets[1].images()[..., :1]).all()
    assert sets[0].reading == GREY
