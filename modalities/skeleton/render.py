"""Pictures of meshes and rigs on the CPU, for previews: Lambert light, textures, a ground grid, bones, weights.

No window and no OpenGL: libraries that draw without them are none that is kept up. Frames are uint8 RGB, as the writers
of `unreel.modalities.media` take them.
"""

from __future__ import annotations

import colorsys
import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw

from unreel.modalities.media.frames import Frames
from unreel.modalities.skeleton.clips import Clip
from unreel.modalities.skeleton.kinematics import Ints
from unreel.modalities.skeleton.materials import Looks, Picture
from unreel.modalities.skeleton.mesh import Mesh
from unreel.modalities.skeleton.raster import Camera, Visible, orbit, rasterise
from unreel.modalities.skeleton.rig import Rig
from unreel.modalities.skeleton.rotations import Floats
from unreel.modalities.skeleton.skeleton import Skeleton

BACKGROUND = (0.93, 0.94, 0.96)
LIGHTS = (((0.4, 0.8, 0.6), 0.75), ((-0.7, 0.3, 0.2), 0.25))  # direction towards the light, strength
AMBIENT = 0.3


@dataclass(frozen=True)
class Style:
    """How a picture is drawn. ``samples`` squared make one pixel; ``ground`` is the grid's height in metres or None."""

    height: int = 384
    width: int = 384
    samples: int = 2
    smooth: bool = True
    ground: float | None = 0.0


def render(mesh: Mesh, camera: Camera, style: Style | None = None, colours: Floats | None = None) -> Frames:
    """A picture (height, width, 3) of a mesh; ``colours`` (N, 3), 0..1 sRGB, stand in for its materials."""
    style = style or Style()
    height, width = style.height * style.samples, style.width * style.samples
    seen = rasterise(camera.project(mesh.positions.astype(np.float64), height, width), mesh.faces, height, width)
    picture = np.tile(np.asarray(BACKGROUND, np.float32), (height * width, 1))
    if style.ground is not None:
        _grid(picture, camera, style.ground, float(np.ptp(mesh.positions, axis=0).max()), height, width)
    hit = np.flatnonzero(seen.face >= 0)
    shares, triangle = seen.corners[hit], mesh.faces[seen.face[hit]]
    if colours is None:
        base = _material_colours(mesh, seen, hit)
    else:
        base = (colours[triangle] * shares[..., None]).sum(1)
    picture[hit] = base * _light(mesh, camera, triangle, shares, style.smooth)[:, None]
    picture = picture.reshape(style.height, style.samples, style.width, style.samples, 3).mean((1, 3))
    return np.asarray(np.clip(picture * 255 + 0.5, 0, 255), np.uint8)


def _light(mesh: Mesh, camera: Camera, triangle: Ints, shares: Floats, smooth: bool) -> Floats:
    """Brightness (pixels,) of both sides of the surface, up to a little over 1."""
    if smooth:
        normals = (mesh.normals[triangle] * shares[..., None]).sum(1)
    else:
        corners = mesh.positions[triangle]
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-20)
    towards = normals @ camera.axes[2]
    side = np.where(towards < 0, -1, 1)
    light = np.full(len(normals), AMBIENT)
    for direction, strength in LIGHTS:
        unit = np.asarray(direction) / np.linalg.norm(direction)
        light += strength * np.maximum(side * (normals @ (unit @ _turned(camera))), 0)
    return light


def _turned(camera: Camera) -> Floats:
    """Lights stay with the camera but for its pitch: the matrix (3, 3) from light space to the world."""
    right = camera.axes[0]
    return np.stack([right, np.asarray([0.0, 1.0, 0.0]), np.cross(right, np.asarray([0.0, 1.0, 0.0]))])


def _material_colours(mesh: Mesh, seen: Visible, hit: Ints) -> Floats:
    """sRGB (pixels, 3) of the materials: factor x texture x vertex colour."""
    result = np.ones((len(hit), 3))
    stops = np.cumsum([len(part.faces) for part in mesh.parts])
    owner = np.searchsorted(stops, seen.face[hit], side="right")
    for number, part in enumerate(mesh.parts):
        mine = np.flatnonzero(owner == number)
        if not len(mine):
            continue
        local = part.faces[seen.face[hit[mine]] - (stops[number] - len(part.faces))]
        shares = seen.corners[hit[mine]][..., None]
        linear = np.tile(np.asarray(mesh.looks.colour(part.material)[:3]), (len(mine), 1))
        if part.colours is not None:
            linear = linear * (part.colours[local][..., :3] * shares).sum(1)
        colour = to_srgb(linear)
        texture = _texture(mesh.looks, part.material)
        if texture is not None and part.uvs:
            uv = (part.uvs[0][local] * shares).sum(1)
            rows, columns = texture.shape[:2]
            at = (np.floor(uv[:, ::-1] % 1.0 * (rows, columns))).astype(np.int64)
            colour = colour * texture[np.minimum(at[:, 0], rows - 1), np.minimum(at[:, 1], columns - 1)]
        result[mine] = colour
    return result


def _texture(looks: Looks, material: int | None) -> Floats | None:
    picture = looks.picture(material)
    return None if picture is None else _decoded(picture)


@lru_cache(maxsize=16)
def _decoded(picture: Picture) -> Floats | None:
    """sRGB floats (rows, columns, 3), at most 512 on a side; None when the image cannot be decoded."""
    try:
        image = Image.open(io.BytesIO(picture.data)).convert("RGB")
    except OSError:
        return None
    image.thumbnail((512, 512))
    return np.asarray(image, np.float32) / 255


def to_srgb(linear: Floats) -> Floats:
    """Linear light 0..1 as sRGB 0..1."""
    value = np.clip(linear, 0, 1)
    return np.where(value <= 0.0031308, value * 12.92, 1.055 * value ** (1 / 2.4) - 0.055)


def _grid(picture: Floats, camera: Camera, ground: float, size: float, height: int, width: int) -> None:
    """Draw lines on the ground, ten to about twice the subject's size, fading with distance; in place."""
    rays = camera.rays(height, width).reshape(-1, 3)
    eye = camera.eye
    with np.errstate(divide="ignore", invalid="ignore"):
        along = (ground - eye[1]) / rays[:, 1]
    middle = np.asarray(camera.target)[[0, 2]]
    places = eye[[0, 2]].astype(np.float32) + along[:, None] * rays[:, [0, 2]]
    far = np.hypot(*(places - middle.astype(np.float32)).T) / (2.0 * size)
    hit = np.flatnonzero((along > 0) & (far < 1))
    along, places, far = along[hit], places[hit], far[hit]
    step = 10.0 ** np.floor(np.log10(max(size, 1e-6))) / 2
    pixel = along * np.tan(np.radians(camera.fov) / 2) / (height / 2)
    slope = np.abs(rays[hit, 1]) / np.linalg.norm(rays[hit], axis=1)
    fade = np.clip(1 - far, 0, 1) * np.clip(slope * 8, 0, 1)
    near = np.abs(places / step - np.round(places / step)) * step
    line = np.clip(1.5 - near / (pixel / np.maximum(slope, 0.15))[:, None], 0, 1).max(1)
    picture[hit] -= (0.35 * fade * line)[:, None]


def draw_bones(frame: Frames, camera: Camera, skeleton: Skeleton, positions: Floats | None = None) -> Frames:
    """A copy of a picture with the bones over it; ``positions`` (J, 3) of the joints, at rest if not given."""
    height, width = frame.shape[:2]
    large = Image.fromarray(frame).resize((width * 2, height * 2), Image.Resampling.BILINEAR)
    pen = ImageDraw.Draw(large)
    places = camera.project(skeleton.positions if positions is None else positions, height * 2, width * 2)
    for parent, child in skeleton.bones:
        pen.line([*places[parent, :2], *places[child, :2]], fill=(30, 30, 40), width=5)
        pen.line([*places[parent, :2], *places[child, :2]], fill=(255, 196, 60), width=3)
    for joint, (x, y, _) in enumerate(places):
        radius = 5 if joint == 0 else 3
        pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=(230, 60, 60), outline=(30, 30, 40))
    return np.asarray(large.resize((width, height), Image.Resampling.LANCZOS), np.uint8)


def heat(values: Floats) -> Floats:
    """Colours (N, 3) for 0..1: dark blue over cyan, green and yellow to red."""
    stops = np.asarray([[0.15, 0.15, 0.45], [0.1, 0.6, 0.8], [0.3, 0.8, 0.3], [0.95, 0.9, 0.2], [0.9, 0.15, 0.1]])
    at = np.clip(values, 0, 1) * (len(stops) - 1)
    low = np.minimum(at.astype(np.int64), len(stops) - 2)
    part = (at - low)[:, None]
    return np.asarray(stops[low] * (1 - part) + stops[low + 1] * part)


def weight_colours(rig: Rig, joint: int | None = None) -> Floats:
    """Colours (N, 3) that show the weights: of one joint as heat, or of all, each joint its own hue."""
    if joint is not None:
        return heat((rig.weights * (rig.joints == joint)).sum(1))
    hues = [colorsys.hsv_to_rgb(number * 0.381966 % 1, 0.75, 0.95) for number in range(len(rig.skeleton))]
    return np.asarray((np.asarray(hues)[rig.joints] * rig.weights[..., None]).sum(1))


def clip_bounds(rig: Rig, clip: Clip, poses: int = 8) -> Floats:
    """The box (2, 3) around a rig in some poses spread over a clip."""
    world = clip.globals(rig.skeleton)
    chosen = np.unique(np.linspace(0, clip.frames - 1, poses).round().astype(np.int64))
    boxes = np.stack([rig.posed(world[frame]).bounds for frame in chosen])
    return np.stack([boxes[:, 0].min(0), boxes[:, 1].max(0)])


def render_clip(
    rig: Rig, clip: Clip, *, camera: Camera | None = None, style: Style | None = None, bones: bool = False
) -> Iterator[Frames]:
    """A picture of every pose of a clip, for a video writer; the camera sees all of it unless given."""
    camera = camera or orbit(clip_bounds(rig, clip))
    world = clip.globals(rig.skeleton)
    for pose in world:
        frame = render(rig.posed(pose), camera, style)
        yield draw_bones(frame, camera, rig.skeleton, pose[:, :3, 3]) if bones else frame
