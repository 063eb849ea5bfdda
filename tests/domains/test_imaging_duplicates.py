"""Copies of a picture are found, and stay on one side."""

from pathlib import Path

import numpy as np
from PIL import Image

from domains.healthcare.images.duplicates import (
    HASH_BITS,
    Fingerprints,
    _thinned,
    clusters,
    components,
    exact_hash,
    join,
    pairs,
    perceptual_hash,
)
from domains.healthcare.images.files import decode
from domains.healthcare.images.pixels import as_rgb


def _photo(seed: int, side: int = 128) -> np.ndarray:
    """A busy picture: smooth noise, as organs are."""
    coarse = np.random.default_rng(seed).integers(0, 255, (16, 16), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((side, side), Image.Resampling.BICUBIC)
    return as_rgb(np.asarray(image))


def _prints(images: list[np.ndarray]) -> Fingerprints:
    return Fingerprints(
        np.array([exact_hash(image) for image in images]),
        np.array([perceptual_hash(image) for image in images]),
    )


def test_another_size_or_compression_is_a_copy_and_another_picture_is_not(tmp_path: Path) -> None:
    one = _photo(0)
    Image.fromarray(one).save(tmp_path / "poor.jpg", quality=60)
    small = np.asarray(Image.fromarray(one).resize((90, 90), Image.Resampling.BILINEAR))
    others = [_photo(seed) for seed in range(1, 40)]
    cluster = clusters(_prints([one, decode(tmp_path / "poor.jpg"), small, *others]))
    assert cluster[0] == cluster[1] == cluster[2]
    assert len(np.unique(cluster)) == 1 + len(others)


def test_flat_pictures_are_copies_only_when_equal() -> None:
    black, grey = (np.full((30, 30, 3), value, np.uint8) for value in (0, 9))
    cluster = clusters(_prints([black, grey, black]))
    assert cluster[0] == cluster[2] != cluster[1]


def test_clusters_do_not_depend_on_the_order() -> None:
    images = [_photo(seed % 7) for seed in range(15)]
    order = np.random.default_rng(0).permutation(15)
    straight, turned = clusters(_prints(images)), clusters(_prints([images[i] for i in order]))
    same = straight[:, None] == straight[None, :]
    assert (same[np.ix_(order, order)] == (turned[:, None] == turned[None, :])).all()


def test_pairs_are_found_between_two_sets() -> None:
    left, right = [_photo(seed) for seed in (0, 1, 2)], [_photo(seed) for seed in (5, 2, 0)]
    rows, columns = pairs(_prints(left), _prints(right))
    assert set(zip(rows.tolist(), columns.tolist(), strict=True)) == {(0, 2), (2, 1)}


def test_a_group_joins_patients_that_share_a_picture() -> None:
    patients = np.array(["b", "b", "a", "c", "d"], dtype=object)
    group = join(patients, np.array([0, 1, 1, 2, 3]))
    assert group.tolist() == ["a", "a", "a", "c", "d"]


def test_many_copies_of_one_picture_are_joined_by_few_pairs() -> None:
    draws = np.random.default_rng(0)
    one, other = draws.integers(0, 2, (2, HASH_BITS)).astype(np.uint8)
    bits = np.repeat(np.stack([one, other]), 3000, axis=0)
    bits[np.arange(6000), draws.integers(0, HASH_BITS, 6000)] ^= 1  # near, and seldom equal
    prints = Fingerprints(np.arange(6000).astype("U32"), bits)
    rows, columns = pairs(prints, prints)
    assert len(rows) < 10 * 6000
    assert set(rows) == set(range(6000))
    assert ((rows < 3000) == (columns < 3000)).all()
    cluster = clusters(prints)
    assert len(set(cluster[:3000])) == len(set(cluster[3000:])) == 1
    assert cluster[0] != cluster[-1]


def test_thinned_pairs_connect_what_all_pairs_connect() -> None:
    draws = np.random.default_rng(1)
    for _ in range(200):
        shape = tuple(int(n) for n in draws.integers(1, 12, 2))
        full = draws.random(shape) < draws.random()
        rows, columns = np.nonzero(full)
        few_rows, few_columns = _thinned(rows, columns, shape)
        before = components(sum(shape), rows, columns + shape[0])
        after = components(sum(shape), few_rows, few_columns + shape[0])
        assert ((before[:, None] == before) == (after[:, None] == after)).all()
        assert set(few_rows) == set(rows)
        assert set(few_columns) == set(columns)
        assert len(few_rows) <= sum(shape)
