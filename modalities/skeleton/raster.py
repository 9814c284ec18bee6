"""Which triangle is seen in which pixel: a camera that orbits, and a z-buffer filled in numpy, batch by batch."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unreel.modalities.skeleton.kinematics import Ints
from unreel.modalities.skeleton.rotations import Floats

EMPTY = np.iinfo(np.int64).max
DEPTHS = np.float32(2**30)  # steps of the z-buffer


@dataclass(frozen=True)
class Camera:
    """A camera on a sphere around ``target``. At yaw 0 it stands on +Z and sees the front of a character; degrees.

    ``yaw`` moves it to the character's left (+X), ``pitch`` up. ``fov`` is the vertical angle of view.
    """

    target: tuple[float, float, float]
    distance: float
    yaw: float = 30.0
    pitch: float = 15.0
    fov: float = 30.0

    @property
    def axes(self) -> Floats:
        """Rows right, up and back (3, 3) of the camera in the world."""
        yaw, pitch = math.radians(self.yaw), math.radians(self.pitch)
        back = np.asarray([math.sin(yaw) * math.cos(pitch), math.sin(pitch), math.cos(yaw) * math.cos(pitch)])
        right = np.asarray([math.cos(yaw), 0.0, -math.sin(yaw)])
        return np.stack([right, np.cross(back, right), back])

    @property
    def eye(self) -> Floats:
        """Where the camera is (3,)."""
        return np.asarray(np.asarray(self.target) + self.distance * self.axes[2])

    def project(self, points: Floats, height: int, width: int) -> Floats:
        """World points (..., 3) as pixel column, pixel row and distance along the view (..., 3)."""
        seen = (points - self.eye) @ self.axes.T
        depth = -seen[..., 2]
        scale = height / 2 / math.tan(math.radians(self.fov) / 2) / np.maximum(depth, 1e-6)
        return np.stack([width / 2 + seen[..., 0] * scale, height / 2 - seen[..., 1] * scale, depth], -1)

    def rays(self, height: int, width: int) -> Floats:
        """View directions (height, width, 3) of the pixel centres, not of length 1."""
        reach = math.tan(math.radians(self.fov) / 2) / (height / 2)
        columns = (np.arange(width) + 0.5 - width / 2) * reach
        rows = (height / 2 - np.arange(height) - 0.5) * reach
        right, up, back = self.axes
        rays = columns[None, :, None] * right + rows[:, None, None] * up - back
        return np.asarray(rays, np.float32)


def orbit(bounds: Floats, *, yaw: float = 30.0, pitch: float = 15.0, fov: float = 30.0) -> Camera:
    """A camera that sees all of a box (2, 3) from that side, with a little room around it in a square picture."""
    x, y, z = (float(value) for value in bounds.mean(0))
    axes = Camera((x, y, z), 1.0, yaw, pitch, fov).axes
    signs = np.asarray([[a, b, c] for a in (-1, 1) for b in (-1, 1) for c in (-1, 1)])
    corners = (signs * (bounds[1] - bounds[0]).astype(np.float64) / 2) @ axes.T
    reach = 0.9 * math.tan(math.radians(fov) / 2)
    distance = float((np.abs(corners[:, :2]).max(1) / reach + corners[:, 2]).max())
    return Camera((x, y, z), max(distance, 1e-6), yaw, pitch, fov)


@dataclass(frozen=True, eq=False)
class Visible:
    """What a picture shows, pixel by pixel (height x width of them, flat); ``face`` is -1 where there is nothing."""

    face: Ints
    corners: Floats  # (pixels, 3): how much each corner of the face counts at the pixel's centre
    depth: Floats  # distance along the view; infinite where there is nothing


def rasterise(screen: Floats, faces: Ints, height: int, width: int) -> Visible:
    """The nearest of triangles ``faces`` (F, 3) in every pixel; ``screen`` (N, 3) comes from `Camera.project`.

    Triangles that reach behind the camera are left out.
    """
    corners = screen[faces]
    low = np.maximum(np.ceil(corners[..., :2].min(1) - 0.5), 0).astype(np.int64)
    high = np.minimum(np.floor(corners[..., :2].max(1) - 0.5), (width - 1, height - 1)).astype(np.int64)
    span = high - low + 1
    area = _area(corners)
    seen = np.flatnonzero((corners[..., 2].min(1) > 1e-4) & (span > 0).all(1) & (np.abs(area) > 1e-9))
    buffer = np.full(height * width, EMPTY, np.int64)
    if len(seen):
        planes = _planes(corners[seen], area[seen], low[seen])
        nearest = float(corners[seen, :, 2].min())
        bucket = np.ceil(np.log2(span[seen])).astype(np.int64)
        for columns, rows in np.unique(bucket, axis=0):
            chosen = np.flatnonzero((bucket[:, 0] == columns) & (bucket[:, 1] == rows))
            shape = (1 << int(rows), 1 << int(columns))
            block = max(1, 200_000 // (shape[0] * shape[1]))
            for start in range(0, len(chosen), block):
                some = chosen[start : start + block]
                _fill(
                    buffer, planes[some] * np.asarray([[1], [1], [nearest]]), low[seen[some]], seen[some], shape, width
                )
    return _resolve(buffer, corners, area, height, width)


def _area(corners: Floats) -> Floats:
    """Twice the signed area on the screen (F,)."""
    (ax, ay), (bx, by) = (corners[:, 1, :2] - corners[:, 0, :2]).T, (corners[:, 2, :2] - corners[:, 0, :2]).T
    return np.asarray(ax * by - ay * bx)


def _planes(corners: Floats, area: Floats, low: Ints) -> Floats:
    """Coefficients (F, 3, 3) of column, row and 1, counted from pixel ``low``.

    They are of the shares of corners 0 and 1 and of one over the depth, which is straight on the screen.
    """
    place = corners[..., :2] - (low[:, None] + 0.5)
    planes = np.zeros((len(corners), 3, 3))
    for number in range(2):
        a, b = place[:, (number + 1) % 3], place[:, (number + 2) % 3]
        planes[:, number, 0] = (a[:, 1] - b[:, 1]) / area
        planes[:, number, 1] = (b[:, 0] - a[:, 0]) / area
        planes[:, number, 2] = (a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]) / area
    inverse = 1 / corners[..., 2]
    planes[:, 2] = planes[:, 0] * (inverse[:, :1] - inverse[:, 2:]) + planes[:, 1] * (inverse[:, 1:2] - inverse[:, 2:])
    planes[:, 2, 2] += inverse[:, 2]
    return planes


def _fill(
    buffer: NDArray[np.int64], planes: Floats, low: Ints, number: Ints, shape: tuple[int, int], width: int
) -> None:
    """Enter triangles whose boxes fit into ``shape`` (rows, columns): depth above, face below, so less is nearer."""
    height = len(buffer) // width
    planes = planes.astype(np.float32)
    row, column = (np.arange(count, dtype=np.float32) for count in shape)

    def over(plane: Floats) -> Floats:
        across = plane[:, 0, None] * column + plane[:, 2, None]
        return np.asarray(across[:, None, :] + (plane[:, 1, None] * row)[:, :, None])

    first, second = over(planes[:, 0]), over(planes[:, 1])
    inside = (first >= 0) & (second >= 0) & (first + second <= 1)
    which, y, x = np.nonzero(inside)
    rows, columns = low[which, 1] + y, low[which, 0] + x
    on = (rows < height) & (columns < width)
    which, y, x, pixel = which[on], y[on], x[on], (rows * width + columns)[on]
    near = planes[which, 2, 0] * x + planes[which, 2, 1] * y + planes[which, 2, 2]  # 1 at the nearest point of all
    depth = ((1 - np.clip(near, 0, 1)) * DEPTHS).astype(np.int64)
    np.minimum.at(buffer, pixel, (depth << 32) | number[which])


def _resolve(buffer: NDArray[np.int64], corners: Floats, area: Floats, height: int, width: int) -> Visible:
    """Faces, perspective corner shares and depths from the filled buffer."""
    hit = np.flatnonzero(buffer != EMPTY)
    face = np.full(height * width, -1)
    face[hit] = buffer[hit] & 0xFFFFFFFF
    shares = np.zeros((height * width, 3), np.float32)
    depth = np.full(height * width, np.inf, np.float32)
    mine = corners[face[hit]]
    x, y = hit % width + 0.5, hit // width + 0.5
    (ax, ay, az), (bx, by, bz), (cx, cy, cz) = (mine[:, corner].T for corner in range(3))
    first = ((bx - x) * (cy - y) - (by - y) * (cx - x)) / area[face[hit]]
    second = ((cx - x) * (ay - y) - (cy - y) * (ax - x)) / area[face[hit]]
    flat = np.stack([first / az, second / bz, (1 - first - second) / cz], 1)
    total = flat.sum(1)
    shares[hit] = flat / total[:, None]
    depth[hit] = 1 / total
    return Visible(face, shares, depth)
