"""Smooth worlds that no turn and no flip leaves alike, as faces and as panoramas, for the tests of the panorama."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from unreel.modalities.panorama.cubemap import FACES, rays


def smooth(directions: Tensor) -> Tensor:
    """A smooth colour for every direction on the sphere: (..., 3) to (3, ...), 0..1."""
    x, y, z = directions.double().unbind(-1)
    red = torch.sin(3 * x + 1) * torch.cos(2 * y)
    green = torch.sin(4 * z + 2 * x) * torch.cos(y - 1)
    blue = torch.cos(3 * y + 2 * z) * torch.sin(2 * x - z)
    return (torch.stack([red, green, blue]) / 2 + 0.5).float()


def smooth_faces(size: int) -> Tensor:
    return torch.stack([smooth(rays(face, size)) for face in FACES])[None]


def smooth_erp(height: int) -> Tensor:
    yaw = ((torch.arange(2 * height) + 0.5) / height - 1) * math.pi
    pitch = (0.5 - (torch.arange(height)[:, None] + 0.5) / height) * math.pi
    parts = (-pitch.cos() * yaw.sin(), pitch.sin().expand(-1, 2 * height), pitch.cos() * yaw.cos())
    return smooth(torch.stack(parts, dim=-1))[None]


def psnr(a: Tensor, b: Tensor) -> float:
    return -10 * math.log10(max(float(((a - b) ** 2).mean()), 1e-12))


def camera(roll: float = 0, pitch: float = 0, yaw: float = 0, fov: float = 90) -> Tensor:
    return torch.tensor([[roll, pitch, yaw, fov]], dtype=torch.float32)
