"""Worlds to learn from: a panorama, turned and coloured anew, with things that move through it, and cameras in it.

Letters: T frames, H and W of a view, N directions, S pixels of a face a side.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from unreel.modalities.panorama.cubemap import FACES, camera_to_world, rays, sample_erp, view_rays

EDGE = 64.0  # pixels per radian in the middle of a face: how sharp the edges of things are
KINDS = ("ball", "bird", "box", "balloon")


@dataclass(frozen=True)
class Thing:
    """Something that moves along a great circle; sizes and speeds in radians (per frame)."""

    kind: str
    start_3: Tensor
    heading_3: Tensor  # unit, at right angles to start
    speed: float
    phase: float
    radius: float
    colour_3: Tensor
    other_3: Tensor

    def place(self, frame: float) -> Tensor:
        """Unit direction (3,) in which it is seen."""
        angle = torch.tensor(self.phase + self.speed * frame)
        return angle.cos() * self.start_3 + angle.sin() * self.heading_3

    def paint(self, directions_N3: Tensor, colours_3N: Tensor, frame: float) -> None:
        """Draw it into ``colours`` (changed), where the directions meet it."""
        middle = self.place(frame)
        along = directions_N3 @ middle
        near = (along > math.cos(min(1.5, 2.4 * self.radius))).nonzero().flatten()
        if not len(near):
            return
        up = torch.tensor([0.02, 1.0, 0.01])
        right = torch.linalg.cross(middle, up)
        right = right / right.norm()
        over = torch.linalg.cross(right, middle)
        flat = directions_N3[near] / along[near, None] / self.radius
        u, v = flat @ right, flat @ over
        behind = colours_3N[:, near]
        if middle[1] < -0.05 and self.kind in ("ball", "box"):
            shadow = (1.2 - (u.square() + ((v + 1.0) * 3).square()).sqrt()).clamp(0, 1) * 0.6
            behind = behind * (1 - shadow) - shadow
        alpha, colour = self._shape(u, v, frame)
        colours_3N[:, near] = behind + alpha * (colour - behind)

    def _shape(self, u: Tensor, v: Tensor, frame: float) -> tuple[Tensor, Tensor]:
        """Opacity (N,) and colours (3, N) at places in units of its radius."""
        sharp = self.radius * EDGE
        if self.kind == "bird":
            flap = math.sin(self.phase * 7 + frame * 1.9)
            wing = 0.22 * (1 - u.abs()).clamp(min=0) - (v - 0.5 * flap * u.abs()).abs()
            body = 0.28 - (u.square() * 4 + (v * 1.6).square()).sqrt()
            inside = torch.maximum(wing, body)
            return (inside * sharp + 0.5).clamp(0, 1), self.colour_3[:, None].expand(-1, len(u))
        if self.kind == "box":
            turn = math.cos(0.6 * self.phase)
            inside = 0.75 - torch.maximum(u.abs(), v.abs())
            light = torch.where(v > 0.45, 1.15, torch.where(u > 0.5 * turn, 0.55, 0.9))
            return (inside * sharp + 0.5).clamp(0, 1), (self.colour_3[:, None] + 1) * light - 1
        tall = 1.25 if self.kind == "balloon" else 1.0
        distance = (u.square() + (v / tall).square()).sqrt()
        depth = (1 - distance.square()).clamp(min=0).sqrt()
        light = 0.35 + 0.65 * (0.45 * u + 0.65 * v / tall + 0.6 * depth).clamp(min=0)
        stripes = torch.sin(u / (depth + 0.3) * 6) > 0 if self.kind == "balloon" else v > 0.25 * math.sin(self.phase)
        paint = torch.where(stripes, self.colour_3[:, None], self.other_3[:, None])
        return ((1 - distance) * sharp + 0.5).clamp(0, 1), ((paint + 1) * light - 1).clamp(-1, 1)


class World:
    """A panorama seen from its middle: `look` along any directions at any frame."""

    def __init__(self, erp_3HW: Tensor, rotation_33: Tensor, things: list[Thing]) -> None:
        self.erp, self.rotation, self.things = erp_3HW, rotation_33, things

    @classmethod
    def drawn(cls, picture_3HW: Tensor, generator: torch.Generator) -> World:
        """A random world out of a uint8 panorama: turned, mirrored half of the time, coloured anew, peopled."""
        g = generator
        pitch, roll = torch.randn(2, generator=g).clamp(-2, 2) * 4
        camera = torch.tensor([float(roll), float(pitch), 360 * _uniform(g), 90.0])
        rotation = camera_to_world(camera)
        if _uniform(g) < 0.5:
            rotation = rotation @ torch.diag(torch.tensor([-1.0, 1.0, 1.0]))
        count = int(torch.tensor([0, 1, 1, 2, 3])[torch.randint(5, (), generator=g)])
        return cls(recoloured(picture_3HW, g), rotation, [thing(g) for _ in range(count)])

    def backdrop(self, directions_N3: Tensor) -> Tensor:
        """Colours (3, N) without moving things."""
        return sample_erp(self.erp[None], (directions_N3 @ self.rotation)[None])[0, :, 0]

    def look(self, directions_N3: Tensor, frame: float, backdrop_3N: Tensor | None = None) -> Tensor:
        """Colours (3, N) in [-1, 1] along unit directions."""
        colours = self.backdrop(directions_N3) if backdrop_3N is None else backdrop_3N.clone()
        for one in self.things:
            one.paint(directions_N3, colours, frame)
        return colours

    def faces(self, size: int, frames: range) -> tuple[Tensor, Tensor]:
        """All faces (T, 6, 3, size, size), and where things are: (T, 6, 1, size, size), 0 or 1."""
        directions = torch.stack([rays(face, size) for face in FACES]).flatten(0, 2)
        still = self.backdrop(directions)
        looks = torch.stack([self.look(directions, frame, still) for frame in frames])
        things = ((looks - still).abs().amax(1, keepdim=True) > 0.06).float()
        shaped = [x.unflatten(2, (6, size, size)).transpose(1, 2) for x in (looks, things)]
        return shaped[0], shaped[1]

    def views(self, cameras_T4: Tensor, height: int, width: int, begin: int) -> Tensor:
        """What cameras see (T, 3, height, width), the first at frame ``begin``."""
        seen = []
        for offset, camera in enumerate(cameras_T4):
            directions = view_rays(camera, height, width).flatten(0, 1)
            directions = directions / directions.norm(dim=-1, keepdim=True)
            seen.append(self.look(directions, begin + offset))
        return torch.stack(seen).unflatten(2, (height, width))


def recoloured(picture_3HW: Tensor, generator: torch.Generator) -> Tensor:
    """A uint8 picture as floats in [-1, 1], of another brightness, contrast, tint and saturation."""
    g = generator
    light = picture_3HW.float() / 255
    gamma, gain = (float(x) for x in (torch.randn(2, generator=g).clamp(-2, 2) * torch.tensor([0.2, 0.12])).exp())
    tint = (torch.randn(3, 1, 1, generator=g).clamp(-2, 2) * 0.06).exp()
    light = light.clamp(min=1e-4).pow(gamma) * gain * tint
    grey = light.mean(0, keepdim=True)
    light = grey + (0.5 + 0.9 * _uniform(g)) * (light - grey)
    return light.clamp(0, 1) * 2 - 1


def thing(generator: torch.Generator) -> Thing:
    """A random thing: things that fly above, things that roll a little below the horizon."""
    g = generator
    kind = KINDS[int(torch.randint(len(KINDS), (), generator=g))]
    height = {"ball": -0.35, "box": -0.4, "bird": 0.45, "balloon": 0.3}[kind] + 0.3 * float(
        torch.randn((), generator=g)
    )
    turn = 2 * math.pi * _uniform(g)
    start = torch.tensor([math.sin(turn) * math.cos(height), math.sin(height), math.cos(turn) * math.cos(height)])
    aside = torch.linalg.cross(torch.tensor([0.0, 1.0, 0.0]), start)
    aside = aside / aside.norm()
    heading = aside + 0.25 * float(torch.randn((), generator=g)) * torch.linalg.cross(start, aside)
    speed = (0.01 + 0.06 * _uniform(g)) * (1 if _uniform(g) < 0.5 else -1)
    return Thing(
        kind,
        start,
        heading / heading.norm(),
        speed,
        0.3 * float(torch.randn((), generator=g)),
        0.07 + 0.15 * _uniform(g),
        torch.rand(3, generator=g) * 1.8 - 0.9 if kind != "bird" else torch.rand(3, generator=g) * 0.5 - 0.95,
        torch.rand(3, generator=g) * 1.8 - 0.9,
    )


def track(frames: int, generator: torch.Generator) -> tuple[Tensor, int, int]:
    """A random camera (roll, pitch, yaw, fov per frame) and the height and width of its view."""
    g = generator
    fov = 50 + 60 * _uniform(g) if _uniform(g) < 0.7 else 90.0
    aspect = (1.0, 4 / 3, 16 / 9)[int(torch.randint(3, (), generator=g))]
    width = int(96 + 128 * _uniform(g))
    pole, tilted, still = _uniform(g) < 0.08, _uniform(g) < 0.12, _uniform(g) < 0.35
    pitch = (60 + 30 * _uniform(g)) * (1 if _uniform(g) < 0.5 else -1) if pole else 12 * _normal(g)
    roll = 180 * _normal(g) if tilted else 2 * _normal(g)
    pace = torch.randn(3, generator=g) * torch.tensor([0.5, 1.0, 4.0]) * (0.0 if still else 1.0)
    if _uniform(g) < 0.1:
        pace[2] = 11.25 * (1 if _uniform(g) < 0.5 else -1)  # a full turn in four seconds at 8 frames/s
    begin = torch.tensor([roll, pitch, 360 * _uniform(g)])
    cameras = begin + torch.arange(frames)[:, None] * pace
    if _uniform(g) < 0.1:  # a cut
        cut = int(torch.randint(1, frames, (), generator=g))
        cameras[cut:, 2] += 360 * _uniform(g)
    cameras[:, 1] = cameras[:, 1].clamp(-90, 90)
    whole = torch.cat((cameras, torch.full((frames, 1), fov)), -1)
    return whole, max(32, round(width / aspect)), width


def _uniform(generator: torch.Generator) -> float:
    return float(torch.rand((), generator=generator))


def _normal(generator: torch.Generator) -> float:
    return float(torch.randn((), generator=generator))
