"""One file becomes one array, or a reason why not."""

import struct
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from domains.healthcare.images.files import decode, decode_bytes
from domains.healthcare.images.pixels import Reading, Slices, Unreadable, as_rgb, resize
from tests.domains.sample_images import picture, save


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "LA", "1"])
def test_every_8_bit_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    Image.fromarray(picture(0, 1)).convert(mode).save(tmp_path / "a.png")
    pixels = decode(tmp_path / "a.png")
    assert pixels.dtype == np.uint8
    assert pixels.shape == (40, 40, 3)


def test_a_picture_is_no_stack_whether_it_is_a_file_or_bytes(tmp_path: Path) -> None:
    file, reading = save(tmp_path / "a.png", picture(0, 1)), Reading(slices=Slices(stack=3))
    for read in (
        lambda: decode(file, reading=reading),
        lambda: decode_bytes(file.read_bytes(), reading),
    ):
        with pytest.raises(Unreadable, match="one image alone, expected a volume of slices"):
            read()
    assert decode_bytes(file.read_bytes(), Reading(slices=Slices())).shape == (40, 40, 3)


def test_cmyk_jpeg_becomes_rgb(tmp_path: Path) -> None:
    Image.fromarray(picture(0, 1)).convert("CMYK").save(tmp_path / "a.jpg")
    assert decode(tmp_path / "a.jpg").shape == (40, 40, 3)


def test_12_bits_in_a_16_bit_file_use_the_whole_range(tmp_path: Path) -> None:
    deep = (picture(0, 1).astype(np.uint16) - picture(0, 1).min()) * 16
    Image.fromarray(deep).save(tmp_path / "a.png")
    pixels = decode(tmp_path / "a.png", reading=Reading("own"))
    assert pixels.min() == 0
    assert pixels.max() == 255
    order = np.argsort(deep.ravel(), kind="stable")
    assert (np.diff(pixels[..., 0].ravel()[order].astype(int)) >= 0).all()


def test_16_bits_go_through_a_stated_window_and_are_never_guessed_at(tmp_path: Path) -> None:
    deep = picture(0, 1).astype(np.uint16) * 16
    for number, factor in enumerate((1, 2)):  # the brighter of two images stays the brighter
        Image.fromarray(deep * factor).save(tmp_path / f"{number}.png")
    seen = [decode(tmp_path / f"{k}.png", reading=Reading((0.0, 8160.0))) for k in (0, 1)]
    assert (np.abs(seen[1].astype(int) - 2 * seen[0].astype(int)) <= 1).all()
    with pytest.raises(Unreadable, match="neither the file nor the configuration states a window"):
        decode(tmp_path / "0.png")


@pytest.mark.parametrize(("kind", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_16_bits_a_colour_are_not_cut_to_8(tmp_path: Path, kind: int, channels: int) -> None:
    """Colours of PNG kind 2, greys and colours with transparency (4, 6), written by hand."""

    def chunk(name: bytes, data: bytes) -> bytes:
        check = zlib.crc32(name + data)
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", 20, 20, 16, kind, 0, 0, 0)
    rows = (b"\0" + struct.pack(">H", 3000) * 20 * channels) * 20
    parts = [(b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    file = tmp_path / "deep.png"
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts))
    for window in ("header", "own", (0.0, 4095.0)):
        with pytest.raises(Unreadable, match="16 bits a colour or with transparency, expected"):
            decode(file, reading=Reading(window))


@pytest.mark.parametrize("turn", range(1, 9))
def test_exif_says_which_way_is_up(tmp_path: Path, turn: int) -> None:
    plain = Image.fromarray(np.add.outer(np.arange(20), 5 * np.arange(24)).astype(np.uint8))
    stored = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    exif = Image.Exif()
    exif[274] = turn
    turned = plain.transpose(stored[turn]) if turn > 1 else plain
    for name in ("a.png", "a.jpg"):
        turned.save(tmp_path / name, exif=exif, quality=95)
        found = decode(tmp_path / name)[..., 0].astype(int)
        assert np.abs(found - np.asarray(plain)).max() <= 12


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty file"),
        (b"not an image at all", "not a PNG, JPEG"),
        (b"\x89PNG\r\n\x1a\n" + b"\0" * 40, "image|damaged"),
    ],
)
def test_damage_is_named(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(Unreadable, match=reason):
        decode(tmp_path / "a.png")


def test_truncated_files_are_unreadable(tmp_path: Path) -> None:
    for suffix in ("png", "jpg"):
        path = save(tmp_path / f"a.{suffix}", picture(0, 1))
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(Unreadable):
            decode(path)


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(tmp_path / "bomb.png")
    with pytest.raises(Unreadable, match="too many pixels"):
        decode(tmp_path / "bomb.png")


def test_tiny_animated_and_missing_images_are_unreadable(tmp_path: Path) -> None:
    save(tmp_path / "dot.png", np.zeros((1, 1), np.uint8))
    frames = [Image.fromarray(picture(k, k)) for k in range(3)]
    frames[0].save(tmp_path / "film.png", save_all=True, append_images=frames[1:])
    for name, reason in (("dot", "smaller"), ("film", "animated"), ("none", "no such file")):
        with pytest.raises(Unreadable, match=reason):
            decode(tmp_path / f"{name}.png")


def test_grey_and_one_channel_are_the_same_image() -> None:
    grey = picture(0, 1)
    assert (as_rgb(grey) == as_rgb(grey[..., None])).all()
    with pytest.raises(Unreadable, match="shape"):
        as_rgb(np.zeros((4, 4, 2), np.uint8))
    with pytest.raises(Unreadable, match="infinite"):
        as_rgb(np.array([[0.0, np.inf], [1.0, 2.0]]))


def test_resizing_to_the_own_size_changes_nothing() -> None:
    pixels = as_rgb(picture(0, 1))
    assert (resize(pixels, 40) == pixels).all()
    assert resize(pixels, 64).shape == (64, 64, 3)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
@pytest.mark.parametrize("size", [16, 40, 64])
def test_squeezing_while_reading_gives_pillows_own_pixels(
    tmp_path: Path, mode: str, size: int
) -> None:
    path = tmp_path / ("a.jpg" if mode == "CMYK" else "a.png")
    deep = picture(0, 1).astype(np.uint16) * 200
    made = Image.fromarray(deep if mode == "I;16" else picture(0, 1))
    (made if mode == "I;16" else made.convert(mode)).save(path)
    with Image.open(path) as image:
        pixels = as_rgb(np.asarray(image)) if mode == "I;16" else np.array(image.convert("RGB"))
    squeezed = Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR)
    own = Reading("own")
    assert (decode(path, None, own) == pixels).all()
    assert (decode(path, size, own) == resize(pixels, size)).all()
    assert (decode(path, size, own) == np.asarray(squeezed)).all()


def test_bytes_are_read_as_the_file_is(tmp_path: Path) -> None:
    for name, content in (("a.png", None), ("b.png", b""), ("c.png", b"nothing"), ("d.png", 300)):
        path = tmp_path / name
        Image.fromarray(picture(0, 1)).save(path)
        if content is not None:
            path.write_bytes(path.read_bytes()[:content] if isinstance(content, int) else content)
        found = [_said(partial(decode, path)), _said(partial(decode_bytes, path.read_bytes()))]
        assert found[0] == found[1]


def _said(read: Callable[[], np.ndarray]) -> object:
    try:
        return read().tolist()
    except Unreadable as reason:
        return str(reason)


def test_several_pictures_in_one_jpeg_file_are_not_called_an_animation(tmp_path: Path) -> None:
    path = tmp_path / "two.jpg"
    first, second = (Image.fromarray(picture(k, k)) for k in range(2))
    first.save(path, "MPO", save_all=True, append_images=[second])
    for read in (partial(decode, path), partial(decode_bytes, path.read_bytes())):
        assert _said(read) == "several pictures in one JPEG file, expected one"
