"""Outlines: what is measured and mapped is the solid, however its outlines are written down."""

from __future__ import annotations

import numpy as np
import pytest

from domains.conversion.nodules import same_nodule
from domains.conversion.outlines import FIELD_MM, PIXEL_MM, SIDE, Outlines, measure, thickness_maps

SQUARE = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 8.0], [0.0, 8.0]])
HOLE = np.array([[2.0, 2.0], [4.0, 2.0], [4.0, 6.0], [2.0, 6.0]])

# Scan lines are this far apart: the error along y, at most.
LINE_MM = PIXEL_MM / 2

Plane = tuple[float, np.ndarray, bool]


def outlines(*solids: list[Plane], spacing: float = 2.0) -> Outlines:
    """Outlines of solids given as planes (z, points, hole)."""
    planes = [(number, *plane) for number, solid in enumerate(solids) for plane in solid]
    lengths = np.array([len(points) for _, _, points, _ in planes])
    return Outlines(
        points=np.concatenate([points for _, _, points, _ in planes]),
        starts=np.cumsum(lengths) - lengths,
        solid=np.array([number for number, *_ in planes]),
        z=np.array([z for _, z, *_ in planes]),
        hole=np.array([hole for *_, hole in planes]),
        spacing=np.full(len(solids), spacing),
    )


def block(points: np.ndarray = SQUARE, planes: int = 3, hole: bool = False) -> list[Plane]:
    """The same outline in planes 2 mm apart."""
    solid: list[Plane] = []
    for z in np.arange(planes) * 2.0:
        solid.append((z, points, False))
        if hole:
            solid.append((z, HOLE, True))
    return solid


def star(seed: int = 0) -> np.ndarray:
    """A closed irregular outline of about 8 mm across."""
    rng = np.random.default_rng(seed)
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    return rng.uniform(2, 5, 40)[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])


def test_a_block_has_the_measures_of_a_block() -> None:
    found = measure(outlines(block()))
    assert found["volume_mm3"][0] == pytest.approx(10 * 8 * 6)
    assert found["area_mm2"][0] == pytest.approx(80)
    assert found["diameter_mm"][0] == pytest.approx(np.hypot(10, 8), rel=2e-4)
    sides = [found[name][0] for name in ("width_mm", "height_mm", "depth_mm")]
    assert sides == pytest.approx([10, 8, 6])


def test_a_hole_is_taken_off_measures_and_maps() -> None:
    pair = outlines(block(), block(hole=True))
    assert measure(pair)["volume_mm3"] == pytest.approx([480, 480 - 2 * 4 * 6])
    assert measure(pair)["diameter_mm"][0] == measure(pair)["diameter_mm"][1]
    gone = thickness_maps(pair)[0] - thickness_maps(pair)[1]
    assert gone.sum(axis=(0, 1)) * PIXEL_MM**2 == pytest.approx([48, 48, 48], abs=LINE_MM * 2 * 6)


def test_one_plane_stands_for_one_slab() -> None:
    assert measure(outlines(block(planes=1), spacing=1.5))["volume_mm3"][0] == pytest.approx(120)


def test_uneven_planes_reach_half_way_to_each_other() -> None:
    solid = [(0.0, SQUARE, False), (1.0, SQUARE, False), (4.0, SQUARE, False)]
    assert outlines(solid).slabs.tolist() == [[-0.5, 0.5], [0.5, 2.5], [2.5, 5.5]]


@pytest.mark.parametrize("seed", range(3))
def test_each_map_holds_the_whole_volume(seed: int) -> None:
    solid = outlines(block(star(seed), planes=5))
    volume = thickness_maps(solid)[0].sum(axis=(0, 1)) * PIXEL_MM**2
    assert volume == pytest.approx(np.full(3, measure(solid)["volume_mm3"][0]), rel=0.02)


def test_a_map_shows_millimetres_behind_each_point() -> None:
    axial, coronal, sagittal = np.moveaxis(thickness_maps(outlines(block()))[0], 2, 0)
    middle = SIDE // 2
    assert axial[middle, middle] == pytest.approx(6)
    assert coronal[middle, middle] == pytest.approx(8, abs=LINE_MM)
    assert sagittal[middle, middle] == pytest.approx(10)
    assert (axial > 3).sum(axis=1).max() * PIXEL_MM == pytest.approx(10, abs=PIXEL_MM)
    assert (axial > 3).sum(axis=0).max() * PIXEL_MM == pytest.approx(8, abs=PIXEL_MM)


def test_the_head_is_up_in_the_side_views() -> None:
    cone = [(0.0, SQUARE * 0.2, False), (2.0, SQUARE * 0.6, False), (4.0, SQUARE, False)]
    _, coronal, sagittal = np.moveaxis(thickness_maps(outlines(cone))[0], 2, 0)
    for view in (coronal, sagittal):
        assert view[: SIDE // 2].sum() > 2 * view[SIDE // 2 :].sum()


def test_direction_and_first_point_of_an_outline_do_not_matter() -> None:
    points = star()
    same = outlines(block(points), block(points[::-1]), block(np.roll(points, 7, axis=0)))
    maps = thickness_maps(same)
    np.testing.assert_allclose(maps[1], maps[0], atol=1e-5)
    np.testing.assert_allclose(maps[2], maps[0], atol=1e-5)
    for values in measure(same).values():
        np.testing.assert_allclose(values, values[0])


def test_where_a_solid_lies_does_not_matter() -> None:
    points = star()
    there = [
        (z + 321.5, outline + np.array([150.25, 90.5]), hole) for z, outline, hole in block(points)
    ]
    maps = thickness_maps(outlines(block(points), there))
    np.testing.assert_allclose(maps[1], maps[0], atol=1e-4)


def test_solids_do_not_touch_each_other_in_a_batch() -> None:
    solids = [block(star(seed), planes=1 + seed % 4) for seed in range(6)]
    together = thickness_maps(outlines(*solids))
    alone = np.concatenate([thickness_maps(outlines(solid)) for solid in solids])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_what_is_farther_out_than_the_field_is_cut_off() -> None:
    wide = outlines(block(SQUARE * np.array([10, 1])))
    maps = thickness_maps(wide)[0]
    assert maps[..., 0].sum() * PIXEL_MM**2 == pytest.approx(FIELD_MM * 8 * 6, abs=LINE_MM * 36 * 6)
    assert maps[..., 2].max() == pytest.approx(FIELD_MM)


def cloud(x: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, (50, 3)) + np.array([x, 0, 0])


def test_outlines_that_come_close_are_one_nodule() -> None:
    clouds = [cloud(x, seed) for seed, x in enumerate([0, 40, 0.5, 40.5, 90])]
    groups = same_nodule(clouds, tolerance=2.0)
    assert groups[0] == groups[2] != groups[1] == groups[3]
    assert len(set(groups)) == 3


def test_more_than_four_readers_cannot_mark_one_nodule() -> None:
    near = np.array([[0.0, 0, 0], [1, 0, 0]])
    clouds = [near] * 4 + [near + np.array([3.5, 0, 0])] * 4
    groups = same_nodule(clouds, tolerance=3.0)
    assert np.bincount(groups).tolist() == [4, 4]


def test_the_order_of_annotations_does_not_matter() -> None:
    clouds = [cloud(x, seed) for seed, x in enumerate([0, 40, 0.5, 40.5, 90])]
    order = np.array([3, 0, 4, 2, 1])
    forth = same_nodule(clouds, 2.0)
    back = same_nodule([clouds[i] for i in order], 2.0)
    pairs = forth[order][:, None] == forth[order][None, :]
    np.testing.assert_array_equal(pairs, back[:, None] == back[None, :])
