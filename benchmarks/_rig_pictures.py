"""Ten results, good and bad: the mesh, the true skeleton, the one that was made, and its skin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from unreel.benchmarks._rig_metrics import Bones
from unreel.benchmarks._rig_sights import Sight
from unreel.modalities.media.frames import Frames
from unreel.modalities.skeleton.raster import orbit
from unreel.modalities.skeleton.render import Style, draw_bones, render, weight_colours
from unreel.modalities.skeleton.rig import Rig
from unreel.modalities.skeleton.skeleton import Skeleton

SIDE, LABEL, PAD, COLUMNS = 192, 16, 6, 2  # pixels, pixels, pixels, results side by side
SHOWN = 10
CLOSER = 0.87  # of its box that a camera would have to see: the corners of boxes are empty


@dataclass(frozen=True, eq=False)
class Result:
    """One held-out character and what was made of it; ``distance`` is CD-J2J."""

    sight: Sight
    rig: Rig
    distance: float


def chosen(results: Sequence[Result], count: int = SHOWN) -> list[Result]:
    """Some from the best to the worst, the best and the worst among them."""
    ranked = sorted(results, key=lambda result: result.distance)
    places = sorted({round(place) for place in np.linspace(0, len(ranked) - 1, min(count, len(ranked)))})
    return [ranked[place] for place in places]


def sheet(results: Sequence[Result], path: Path) -> None:
    """Write the pictures of ten results, four a result: the mesh, the truth, ours, our weights. The best come first."""
    picked = chosen(results)
    rows = -(-len(picked) // COLUMNS)
    cell = 4 * SIDE + PAD, SIDE + LABEL + PAD
    page = Image.new("RGB", (COLUMNS * cell[0] + PAD, rows * cell[1] + PAD), (255, 255, 255))
    pen = ImageDraw.Draw(page)
    for place, result in enumerate(picked):
        left, top = PAD + place // rows * cell[0], PAD + place % rows * cell[1]
        made, true = len(result.rig.skeleton), len(result.sight.bones[0])
        words = f"{result.sight.name}: {100 * result.distance:.1f} % off, {made} joints for {true}"
        pen.text((left, top), words, fill=(30, 30, 30))
        page.paste(Image.fromarray(strip(result)), (left, top + LABEL))
    page.save(path)


def strip(result: Result) -> Frames:
    """The four pictures side by side (SIDE, 4 * SIDE, 3)."""
    mesh, box = result.sight.mesh, result.sight.box
    middle = mesh.bounds.mean(0)
    camera = orbit(middle + CLOSER * (mesh.bounds - middle), yaw=35.0)
    style = Style(SIDE, SIDE, ground=float(mesh.bounds[0, 1]))
    plain = render(mesh, camera, style)
    true = standing((box.to_world(result.sight.bones[0]), result.sight.bones[1]))
    weights = render(mesh, camera, style, weight_colours(result.rig))
    pictures = [plain, draw_bones(plain, camera, true), draw_bones(plain, camera, result.rig.skeleton), weights]
    return np.concatenate(pictures, 1)


def standing(bones: Bones) -> Skeleton:
    """A skeleton of these joints, nameless."""
    return Skeleton.from_positions([str(number) for number in range(len(bones[0]))], bones[1], bones[0])
