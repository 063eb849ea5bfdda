"""Stacks of closed outlines, one solid each: filled, measured and seen from three sides.

An outline is a polygon in an axial plane; its points are x (to the patient's left) and y (to the
back), in millimetres, its plane is z (to the head). A solid's outlines are neighbours in the
arrays and sorted by z; a hole is an outline whose inside does not belong to the solid. Each plane
stands for a slab that reaches half way to the planes beside it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

SIDE = 48
FIELD_MM = 36.0
PIXEL_MM = FIELD_MM / SIDE
# Scan lines a map row: along x a pixel's share is exact, along y it is a mean over these.
_LINES = 2
_DIRECTIONS = 90
# Solids mapped at a time, to bound memory.
_BLOCK = 1000


@dataclass(frozen=True)
class Outlines:
    """Outlines of many solids, sorted by solid, then z.

    Attributes:
        points: x and y in mm, shape (p, 2), outline after outline.
        starts: First point of each outline, shape (c,).
        solid: Number of the solid, 0 … n-1 without gaps, ascending, shape (c,).
        z: Plane in mm, ascending within a solid, shape (c,).
        hole: Whether the inside is excluded, shape (c,).
        spacing: Slab of a solid with only one plane, mm, shape (n,).
    """

    points: np.ndarray
    starts: np.ndarray
    solid: np.ndarray
    z: np.ndarray
    hole: np.ndarray
    spacing: np.ndarray

    @cached_property
    def owner(self) -> np.ndarray:
        """Outline of each point, shape (p,)."""
        lengths = np.diff(np.append(self.starts, len(self.points)))
        return np.repeat(np.arange(len(self.starts)), lengths)

    @cached_property
    def first(self) -> np.ndarray:
        """First outline of each solid, shape (n,)."""
        return np.flatnonzero(np.diff(self.solid, prepend=-1))

    @cached_property
    def planes(self) -> np.ndarray:
        """First outline of each plane of each solid, shape (s,)."""
        new = (np.diff(self.solid, prepend=-1) != 0) | (np.diff(self.z, prepend=np.nan) != 0)
        return np.flatnonzero(new)

    @cached_property
    def following(self) -> np.ndarray:
        """Index of the point after each point, the last leading back to the first, shape (p,)."""
        after = np.arange(1, len(self.points) + 1)
        after[np.append(self.starts[1:], len(self.points)) - 1] = self.starts
        return after

    @cached_property
    def slabs(self) -> np.ndarray:
        """Lower and upper end of each plane's slab in mm, shape (s, 2)."""
        z, solid = self.z[self.planes], self.solid[self.planes]
        gap = np.diff(z)
        same = np.diff(solid) == 0
        below, above = np.full(len(z), np.nan), np.full(len(z), np.nan)
        below[1:][same], above[:-1][same] = gap[same], gap[same]
        alone = self.spacing[solid]
        # The outermost planes reach as far outward as inward.
        low = np.where(np.isnan(below), np.where(np.isnan(above), alone, above), below)
        high = np.where(np.isnan(above), np.where(np.isnan(below), alone, below), above)
        return np.stack([z - low / 2, z + high / 2], axis=1)

    @cached_property
    def box(self) -> np.ndarray:
        """Lowest and highest x, y, z of each solid in mm, shape (n, 3, 2)."""
        by_point = self.starts[self.first]
        by_plane = np.searchsorted(self.planes, self.first)
        flat = [
            np.minimum.reduceat(self.points, by_point),
            np.maximum.reduceat(self.points, by_point),
        ]
        low = np.minimum.reduceat(self.slabs[:, :1], by_plane)
        high = np.maximum.reduceat(self.slabs[:, 1:], by_plane)
        return np.stack([np.hstack([flat[0], low]), np.hstack([flat[1], high])], axis=2)

    def some(self, begin: int, end: int) -> Outlines:
        """The solids begin … end-1, numbered from 0."""
        bounds = np.append(self.first, len(self.starts))
        edges = np.append(self.starts, len(self.points))
        here = slice(bounds[begin], bounds[end])
        low, high = edges[bounds[begin]], edges[bounds[end]]
        return Outlines(
            self.points[low:high],
            self.starts[here] - low,
            self.solid[here] - begin,
            self.z[here],
            self.hole[here],
            self.spacing[begin:end],
        )


def measure(outlines: Outlines) -> dict[str, np.ndarray]:
    """Six measures of each solid, each of shape (n,).

    `diameter_mm`: greatest width of one outline over 90 directions (at most .02 % short of the
    greatest distance between two of its points). `volume_mm3`: area (shoelace formula) times slab,
    holes taken off. `area_mm2`: greatest area in one plane. `width_mm`, `height_mm`, `depth_mm`:
    extent along x, y and z.
    """
    area = np.abs(_signed_areas(outlines)) * np.where(outlines.hole, -1.0, 1.0)
    plane_area = np.add.reduceat(area, outlines.planes)
    thickness = outlines.slabs[:, 1] - outlines.slabs[:, 0]
    by_plane = np.searchsorted(outlines.planes, outlines.first)
    extent = outlines.box[:, :, 1] - outlines.box[:, :, 0]
    return {
        "diameter_mm": np.maximum.reduceat(_widths(outlines), outlines.first),
        "volume_mm3": np.add.reduceat(plane_area * thickness, by_plane).clip(0),
        "area_mm2": np.maximum.reduceat(plane_area, by_plane).clip(0),
        "width_mm": extent[:, 0],
        "height_mm": extent[:, 1],
        "depth_mm": extent[:, 2],
    }


def _signed_areas(outlines: Outlines) -> np.ndarray:
    """Area of each outline in mm² by the shoelace formula; its sign tells the turn, shape (c,)."""
    x, y = outlines.points.T
    after = outlines.following
    return 0.5 * np.add.reduceat(x * y[after] - y * x[after], outlines.starts)


def _widths(outlines: Outlines) -> np.ndarray:
    """Greatest width of each outline over all directions in mm, shape (c,)."""
    widest = np.zeros(len(outlines.starts))
    for angle in np.arange(_DIRECTIONS) * np.pi / _DIRECTIONS:
        along = outlines.points @ np.array([np.cos(angle), np.sin(angle)])
        width = np.maximum.reduceat(along, outlines.starts)
        width -= np.minimum.reduceat(along, outlines.starts)
        np.maximum(widest, width, out=widest)
    return widest


def thickness_maps(outlines: Outlines) -> np.ndarray:
    """Millimetres of solid behind each point, from above, from the front and from the side.

    Every map is centred on the solid's box and covers 36 × 36 mm, the same for all: what lies
    farther out is cut off. Rows of the axial map run to the back, those of the other two to the
    feet; columns run to the left of the patient (axial, coronal) and to the back (sagittal).

    Thickness is linear in the outlines: a scan line enters and leaves the solid where it crosses
    them, so each crossing adds its part to the maps, and no outline is ever drawn by itself.

    Returns:
        Shape (n, 48, 48, 3), float32, mm.
    """
    count = len(outlines.first)
    blocks = [outlines.some(low, min(low + _BLOCK, count)) for low in range(0, count, _BLOCK)]
    return np.concatenate([_maps(block) for block in blocks])


def _maps(outlines: Outlines) -> np.ndarray:
    lines = _crossings(outlines)
    count, planes = len(outlines.first), outlines.planes
    plane = np.repeat(np.arange(len(planes)), np.diff(np.append(planes, len(outlines.starts))))
    at = plane[lines.outline]
    slab = (outlines.slabs[:, 1] - outlines.slabs[:, 0])[at]
    pixel = outlines.solid[lines.outline] * SIDE + lines.row
    axial = _right_of(pixel, lines.across, lines.weight * slab, count * SIDE)
    behind_y = _right_of(at, lines.across, lines.weight * PIXEL_MM, len(planes))
    length = lines.weight * (SIDE - lines.across) * PIXEL_MM
    behind_x = np.bincount(at * SIDE + lines.row, length, len(planes) * SIDE).reshape(-1, SIDE)
    views = [axial.reshape(count, SIDE, SIDE), *_side_views(outlines, behind_y, behind_x)]
    return np.stack(views, axis=3).clip(0, None).astype(np.float32)


def _side_views(outlines: Outlines, *profiles: np.ndarray) -> list[np.ndarray]:
    """Profiles of the planes, each of shape (s, 48), stacked by height: each (n, 48, 48)."""
    rows = _row_shares(outlines)
    by_plane = np.searchsorted(outlines.planes, outlines.first)[1:]
    parts = np.split(rows, by_plane)
    return [
        np.stack(
            [part.T @ own for part, own in zip(parts, np.split(profile, by_plane), strict=True)]
        )
        for profile in profiles
    ]


def _row_shares(outlines: Outlines) -> np.ndarray:
    """Share of each map row (head first) that each plane's slab fills, shape (s, 48)."""
    centre = outlines.box[:, 2].mean(axis=1)[outlines.solid[outlines.planes]]
    top = (FIELD_MM / 2 - np.arange(SIDE) * PIXEL_MM)[None, :]
    low, high = (outlines.slabs - centre[:, None]).T[:, :, None]
    return np.clip(np.minimum(high, top) - np.maximum(low, top - PIXEL_MM), 0, None) / PIXEL_MM


def _right_of(line: np.ndarray, across: np.ndarray, weight: np.ndarray, lines: int) -> np.ndarray:
    """Add `weight` to every pixel of a line right of `across`, in part where it cuts the pixel.

    Returns:
        Shape (lines, 48).
    """
    width = SIDE + 2
    column = np.floor(across).astype(int)
    part = across - column
    step = np.bincount(line * width + column, weight * (1 - part), lines * width)
    step += np.bincount(line * width + column + 1, weight * part, lines * width)
    return np.cumsum(step.reshape(lines, width), axis=1)[:, :SIDE]


@dataclass(frozen=True)
class _Crossings:
    """Where scan lines along x cross outlines: outline, map row, column in [0, 48], weight."""

    outline: np.ndarray
    row: np.ndarray
    across: np.ndarray
    weight: np.ndarray


def _crossings(outlines: Outlines) -> _Crossings:
    """Crossings of every outline with `_LINES` scan lines a map row, each worth its share.

    The weight is positive where a line enters the solid from the left and negative where it
    leaves, the other way round for holes.
    """
    grid, after = _on_grid(outlines), outlines.following
    low, high = np.sort(np.stack([grid[:, 1], grid[after, 1]]), axis=0)
    # Lines lie at half steps; an edge owns those with low <= line < high: a corner counts once.
    begin = np.clip(np.ceil(low - 0.5), 0, SIDE * _LINES).astype(int)
    lines = np.clip(np.ceil(high - 0.5), 0, SIDE * _LINES).astype(int) - begin
    edge = np.repeat(np.arange(len(grid)), lines)
    line = begin[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(lines) - lines, lines)
    (x, y), (dx, dy) = grid[edge].T, (grid[after] - grid)[edge].T
    outline = outlines.owner[edge]
    turn = np.where(outlines.hole, 1.0, -1.0) * np.sign(_signed_areas(outlines))
    across = np.clip(x + (line + 0.5 - y) / dy * dx, 0, SIDE)
    return _Crossings(outline, line // _LINES, across, np.sign(dy) * turn[outline] / _LINES)


def _on_grid(outlines: Outlines) -> np.ndarray:
    """Points in map columns and scan lines, the solid's centre in the middle, shape (p, 2)."""
    centre = outlines.box[:, :2].mean(axis=2)[outlines.solid][outlines.owner]
    return ((outlines.points - centre) / PIXEL_MM + SIDE / 2) * np.array([1, _LINES])
