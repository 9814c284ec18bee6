"""Part of `unreel bench panorama`: camera motions that tell on faces that are swapped, turned or mirrored."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from unreel.benchmarks import _panorama as p
from unreel.engine.model import Model

FRAMES = 48
FACE_PIXELS = 0.05  # the share of a face that must be covered before it is looked at alone


def paths(frames: int = FRAMES) -> dict[str, Tensor]:
    """Cameras (frames, 4) by name: roll, pitch, yaw, fov in degrees."""
    part = [n / frames for n in range(frames)]
    cuts = [(40.0 * ((n // 7) % 5 - 2), (137.5 * (n // 7)) % 360 - 180) for n in range(frames)]
    return {
        "full turn": p.cameras([(0.0, 0.0, 360 * x, 90.0) for x in part]),
        "roll through 360": p.cameras([(360 * x, 20.0, 30.0, 90.0) for x in part]),
        "over both poles": p.cameras([(0.0, 360 * x, 15.0, 90.0) for x in part]),
        "cuts": p.cameras([(0.0, pitch, yaw, 75.0) for pitch, yaw in cuts]),
        "fov 30 to 110": p.cameras([(0.0, -10.0, 60.0, 70 - 40 * math.cos(2 * math.pi * x)) for x in part]),
    }


def motions(model: Model, held_out: list[p.Sight], quick: bool = False) -> dict[str, Any]:
    """For every way to move: decibels inside the view frame by frame, and face by face; and the seams."""
    used = paths(8 if quick else FRAMES)
    jobs = [(name, sight) for name in used for sight in (held_out[:1] if quick else held_out[:2])]
    rows = []
    for seed, (name, sight) in enumerate(p.progress(jobs, "motions")):
        rows.append({"motion": name, "sight": sight.name, **motion(model, sight, used[name], seed)})
    return {"frames": len(used["cuts"]), "rows": rows}


def motion(model: Model, sight: p.Sight, path_N4: Tensor, seed: int = 0) -> dict[str, Any]:
    """One clip: a wrong or turned face would show below 15 dB in ``face_psnr_db``."""
    codec: Any = model.codec
    size = codec.size
    view, real = p.view(sight, path_N4), p.truth(sight, size)
    inside = p.projected(view, size)[1] >= p.COVERED
    faces = p.shoot(model, view, len(path_N4), seed).faces
    by_frame = p.psnr_where(faces, real, inside)
    by_face = p.psnr_where(faces, real, inside, (2, 3))[inside.float().mean((2, 3)) > FACE_PIXELS]
    return {
        "psnr_by_frame_db": by_frame.tolist(),
        "psnr_db": p.outline(by_frame.tolist()),
        "face_psnr_db": p.outline(by_face.flatten().tolist()),
        "seams": p.step_ratio(faces),
        "seams_of_truth": p.step_ratio(real),
    }
