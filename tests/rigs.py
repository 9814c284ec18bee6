"""A tiny rig model with random weights, and characters to rig: everything on a CPU in no time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from safetensors.torch import save_file

import unreel.catalogue  # noqa: F401  registers the parts
from unreel.engine.card import Card
from unreel.engine.model import Model, build
from unreel.modalities.rig.net import RigNet
from unreel.modalities.skeleton.materials import Looks, plain_material
from unreel.modalities.skeleton.mesh import Mesh, Part
from unreel.modalities.skeleton.rig import Rig
from unreel.modalities.skeleton.skeleton import Skeleton
from unreel.modalities.skeleton.skinning import top_weights

NET = {"joints": 12, "tokens": 16, "neighbours": 4, "width": 24, "shape_depth": 1, "depth": 2, "heads": 2}

CARD: dict[str, Any] = {
    "name": "tiny-rig",
    "modality": "rig",
    "licence": "Apache-2.0",
    "architecture": {"class": "rig", **NET},
    "codec": {"class": "joints"},
    "media": {"fps": 24, "height": 48, "width": 48},
    "plan": {"class": "joints", "joints": NET["joints"], "points": 64},
    "schedule": {"steps": 3, "commit": "inline"},
    "sampler": {"class": "joints"},
}


def tiny_rig(end: float = -3.0, **changes: Any) -> Model:
    """At most 12 joints, 64 points, 2 layers; ``changes`` replace fields of the card.

    ``end`` is added to the logit of the end. What begins as zeros is random here, so that everything counts.
    """
    model = build(Card.model_validate({**CARD, **changes}), Path(), None, "cpu", "float32", seed=3)
    stir(model.backbone, end)  # type: ignore[arg-type]
    return model


def write_tiny_rig(folder: Path) -> Path:
    """The same as a folder that can be loaded."""
    folder.mkdir()
    model = tiny_rig()
    save_file(model.backbone.state_dict(), folder / "rig.safetensors")  # type: ignore[attr-defined]
    (folder / "model.yaml").write_text(yaml.safe_dump({**CARD, "weights": "rig.safetensors"}), encoding="utf-8")
    return folder


def stir(net: RigNet, end: float = 0.0) -> None:
    """Random weights where a new network has zeros."""
    random = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for layer in (net.position.leave, net.skin.leave):
            layer.weight += 0.1 * torch.randn(layer.weight.shape, generator=random)
        net.end[-1].bias += end  # type: ignore[operator]


def box_part(centre: tuple[float, float, float], size: tuple[float, float, float], name: str = "") -> Part:
    """A closed box."""
    corners = np.asarray([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
    faces = [[0, 1, 3], [0, 3, 2], [4, 6, 7], [4, 7, 5], [0, 4, 5], [0, 5, 1]]
    faces += [[2, 3, 7], [2, 7, 6], [0, 2, 6], [0, 6, 4], [1, 5, 7], [1, 7, 3]]
    return Part((corners * size + centre).astype(np.float32), np.asarray(faces), name=name)


def creature(stretch: float = 1.0) -> Mesh:
    """A body with a head and four legs, all boxes, 2 metres long."""
    parts = [box_part((0, 1, 0), (0.6, 0.5, 1.6 * stretch), "body"), box_part((0, 1.3, 1.0), (0.4, 0.4, 0.4), "head")]
    parts += [
        box_part((x, 0.4, z * stretch), (0.2, 0.8, 0.2), f"leg {x} {z}") for x in (-0.2, 0.2) for z in (-0.6, 0.6)
    ]
    looks = Looks((plain_material((0.8, 0.5, 0.2, 1), "hide"), plain_material((0.2, 0.2, 0.2, 1), "hoof")))
    return Mesh(tuple(replace(part, material=int(number > 1)) for number, part in enumerate(parts)), looks)


def rigged_creature(stretch: float = 1.0) -> Rig:
    """The same with a joint in the middle, one in the head, and two in each leg."""
    mesh = creature(stretch)
    spots, parents = [(0.0, 1.0, 0.0), (0.0, 1.2, 0.8 * stretch)], [-1, 0]
    for x in (-0.2, 0.2):
        for z in (-0.6, 0.6):
            spots += [(x, 0.8, z * stretch), (x, 0.3, z * stretch)]
            parents += [0, len(spots) - 2]
    names = [f"j{number}" for number in range(len(spots))]
    skeleton = Skeleton.from_positions(names, np.asarray(parents), np.asarray(spots))
    owner = [0, 1, 2, 4, 6, 8]
    joints = np.zeros((len(mesh.positions), 4), np.int64)
    weights = np.zeros((len(mesh.positions), 4), np.float32)
    for number, (a, b) in enumerate(zip(mesh.starts[:-1], mesh.starts[1:], strict=True)):
        low = mesh.positions[a:b, 1] < 0.4 if number > 1 else np.zeros(b - a, bool)
        joints[a:b, 0] = owner[number] + low
        weights[a:b, 0] = 1
    return Rig(mesh, skeleton, *top_weights(joints, weights))
