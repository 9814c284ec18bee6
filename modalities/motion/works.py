"""What the commands need of motions: a rig, words, a path, a pose to go on from; a GLB, BVH, NPZ or film as output."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from unreel.engine.errors import UserError
from unreel.engine.model import Model
from unreel.engine.types import Event
from unreel.modalities.media.frames import Frames
from unreel.modalities.media.works import Note, Order
from unreel.modalities.motion.body import on_body
from unreel.modalities.motion.film import FollowingCamera, MotionFile, MotionFilm, Stage, open_motion
from unreel.modalities.skeleton.acclaim import read_amc, read_asf
from unreel.modalities.skeleton.bvh import read_bvh
from unreel.modalities.skeleton.gltf import read_rig
from unreel.modalities.skeleton.motion import Motion, from_clip

SECONDS = 8.0  # of a motion that is given no length
RECALLED = 64  # last frames of a motion to go on from
STANDS = 9  # frames for which a single pose is held


def inputs(model: Model) -> list[str]:
    return ["rig", "pose", "contacts", "text", "path"]


def order(model: Model, inputs: Mapping[str, Any], note: Note) -> Order:
    """``rig``: whose body moves, and what shows it. ``pose``: a motion, or one pose, to go on from.

    ``path``: points or a JSON file of them (see `PathCondition`); ``contacts: true`` holds standing feet.
    """
    controls = {name: inputs[name] for name in ("text", "path") if name in inputs}
    if isinstance(controls.get("path"), str):
        controls["path"] = _path(Path(controls["path"]))
    contacts = inputs.get("contacts", False)
    if not isinstance(contacts, bool):
        raise UserError(f"contacts is true or false, got {contacts!r}")
    rig = None
    if "rig" in inputs:
        rig = read_rig(str(inputs["rig"]), clips=False)
        for line in rig.notes:
            note(line)
        controls["body"] = rig.skeleton
    start = model.codec.encode(read_pose(Path(str(inputs["pose"])))) if "pose" in inputs else None
    film = {"rig": rig, "contacts": contacts, "name": str(inputs.get("text", "motion"))}
    return Order(controls, round(SECONDS * model.fps), film=film, start=start)


def exporter(
    path: Path, model: Model, order: Order, fps: float, scale: int | None, frames: int
) -> MotionFile | MotionFilm:
    height, width = (side * (scale or 1) for side in model.frame_size)
    return open_motion(path, fps, frames, size=(height, width), **order.film)


def collector(model: Model) -> Callable[[Event], Frames | None]:
    """Pictures of a plain figure."""
    camera = FollowingCamera(Stage(), model.frame_size)
    return lambda event: camera.pictures(event.payload)


def read_pose(path: Path) -> Motion:
    """The end of the motion in a file, on the body; one pose is held for a moment.

    Raises:
        UserError: a file that holds no motion of a body.
    """
    suffix = path.suffix.lower()
    if suffix == ".bvh":
        motion = read_bvh(path)
    elif suffix == ".npz":
        motion = Motion.load(path)
    elif suffix == ".amc":
        motion = read_amc(path, read_asf(path.with_name(path.stem.partition("_")[0] + ".asf")))
    elif suffix in (".glb", ".gltf"):
        rig = read_rig(path)
        rest = Motion(rig.skeleton, 30.0, rig.skeleton.translations[:1], rig.skeleton.rotations[None])
        motion = from_clip(rig.skeleton, rig.clips[0]) if rig.clips else rest
    else:
        raise UserError(f"pose takes a .glb, .gltf, .bvh, .npz or .amc, got {path}")
    made = on_body(motion.resampled(30.0))
    return made.part(-RECALLED) if made.frames > 1 else _standing(made)


def _standing(pose: Motion) -> Motion:
    """One pose, held."""
    return Motion(pose.skeleton, pose.fps, pose.root.repeat(STANDS, 0), pose.rotations.repeat(STANDS, 0))


def _path(path: Path) -> Any:
    """What a JSON file says of a path."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"path takes points [[x, z], ...] or a JSON file of them; {path}: {error}") from None
