"""BVH files: read as a `Motion`, and written so that Blender, MotionBuilder and others open them."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from unreel.engine.errors import UserError
from unreel.modalities.skeleton.kinematics import local_turns
from unreel.modalities.skeleton.motion import Motion
from unreel.modalities.skeleton.rotations import AXES, Floats, conjugate, from_euler, multiply, to_euler, unit
from unreel.modalities.skeleton.skeleton import Skeleton, unique_names

END = "_end"  # what the tip of a last bone is called


@dataclass
class _Tree:
    """The hierarchy as it is read: a joint's name, parent, offset and channels, tips without channels."""

    names: list[str] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    offsets: list[list[float]] = field(default_factory=list)
    channels: list[list[str]] = field(default_factory=list)


def read_bvh(path: str | os.PathLike[str], *, scale: float | None = None) -> Motion:
    """The motion of a BVH file; ``scale`` is metres per unit of the file, None guesses it from the skeleton's size.

    A note tells the guess. Joints without own rest rotation: the rest pose is the file's offsets. Tips of last bones
    are joints called NAME_end. Positions of joints other than the root are left out, with a note when they move.
    """
    name = Path(path).name
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); give a .bvh file") from None
    head, mark, tail = text.partition("MOTION")
    if not mark or "HIERARCHY" not in head:
        raise UserError(f"{name} is no BVH file: expected HIERARCHY and MOTION; export it again")
    tree = _hierarchy(head.split("HIERARCHY", 1)[1].split(), name)
    fps, values = _frames(tail, sum(map(len, tree.channels)), name)
    offsets = np.asarray(tree.offsets)
    notes: list[str] = []
    if scale is None:
        scale = guess_scale(tree.parents, offsets, notes)
    root, rotations = _channels(tree, values, notes)
    still = np.tile(np.asarray([0, 0, 0, 1.0]), (len(tree.names), 1))
    skeleton = Skeleton(tuple(unique_names(tree.names)), np.asarray(tree.parents), offsets * scale, still)
    return Motion(skeleton, fps, root * scale, rotations, Path(path).stem, tuple(notes))


def guess_scale(parents: list[int], offsets: Floats, notes: list[str]) -> float:
    """Metres per unit, guessed from the size of the rest pose; people and animals are taken to be 0.3 to 4 m long."""
    spots = np.zeros((len(parents), 3))
    for joint, parent in enumerate(parents):
        spots[joint] = 0 if parent < 0 else spots[parent] + offsets[joint]
    size = float(np.ptp(spots, axis=0).max())
    for limit, factor, unit_name in (
        (4, 1.0, "metres"),
        (12, 0.1, "decimetres"),
        (50, 0.0254 / 0.45, "CMU's 1/0.45 inches"),
        (120, 0.0254, "inches"),
        (400, 0.01, "centimetres"),
        (float("inf"), 0.001, "millimetres"),
    ):
        if size <= limit:
            notes.append(f"the skeleton is {size:.3g} units long: taken for {unit_name}")
            return factor
    raise UserError(f"the skeleton is {size} units long; give the scale in metres per unit")


def _hierarchy(words: list[str], name: str) -> _Tree:
    """The joint tree of the words between HIERARCHY and MOTION."""
    tree = _Tree()
    above: list[int] = []
    at = 0
    try:
        while at < len(words):
            word = words[at].upper()
            if word in ("ROOT", "JOINT", "END"):
                if word == "ROOT" and tree.names:
                    raise UserError(f"{name} has more than one ROOT; keep one figure per file")
                stop = words.index("{", at)
                own = " ".join(words[at + 1 : stop])
                tree.names.append(tree.names[above[-1]] + END if word == "END" else own)
                tree.parents.append(above[-1] if above else -1)
                tree.offsets.append([0.0, 0.0, 0.0])
                tree.channels.append([])
                above.append(len(tree.names) - 1)
                at = stop + 1
            elif word == "OFFSET":
                tree.offsets[above[-1]] = [float(value) for value in words[at + 1 : at + 4]]
                at += 4
            elif word == "CHANNELS":
                count = int(words[at + 1])
                tree.channels[above[-1]] = [channel.lower() for channel in words[at + 2 : at + 2 + count]]
                at += 2 + count
            elif word == "}":
                above.pop()
                at += 1
            else:
                raise UserError(f"{name} is damaged: {words[at]!r} in its hierarchy; export it again")
    except (IndexError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{name} is damaged: its hierarchy breaks off or has a wrong number ({error})") from None
    if not tree.names or any(len(offset) != 3 for offset in tree.offsets):
        raise UserError(f"{name} has no complete joint hierarchy; export it again")
    return tree


def _frames(text: str, width: int, name: str) -> tuple[float, Floats]:
    """Frames per second and the numbers (T, width) of the motion part."""
    head = re.search(r"Frames:\s*(\d+)\s*Frame\s+Time:\s*([-+.\deE]+)", text)
    if head is None or float(head[2]) <= 0:
        raise UserError(f"{name} lacks `Frames:` and a `Frame Time:` above 0; export it again")
    try:
        values = np.asarray(text[head.end() :].split(), np.float64)
    except ValueError as error:
        raise UserError(f"{name} has something else than numbers in its frames ({error}); export it again") from None
    frames = int(head[1])
    if frames == 0 or width == 0 or len(values) < frames * width:
        raise UserError(f"{name} says {frames} frames of {width} numbers, it has {len(values)} numbers; copy it again")
    return round(1 / float(head[2]), 3), values[: frames * width].reshape(frames, width)


def _channels(tree: _Tree, values: Floats, notes: list[str]) -> tuple[Floats, Floats]:
    """Root positions (T, 3) in the file's unit and rotations (T, J, 4)."""
    frames = len(values)
    root = np.tile(np.asarray(tree.offsets[0]), (frames, 1))
    rotations = np.tile(np.asarray([0, 0, 0, 1.0]), (frames, len(tree.names), 1))
    at = 0
    for joint, channels in enumerate(tree.channels):
        columns = values[:, at : at + len(channels)]
        at += len(channels)
        turn = np.tile(np.asarray([0, 0, 0, 1.0]), (frames, 1))
        for channel, column in zip(channels, columns.T, strict=True):
            axis = AXES.index(channel[0].upper())
            if channel.endswith("rotation"):
                angles = np.zeros((frames, 3))
                angles[:, 0] = np.radians(column)
                order = AXES[axis] + AXES.replace(AXES[axis], "")
                turn = multiply(turn, from_euler(angles, order))
            elif joint == 0:
                root[:, axis] = column
            elif np.abs(column - tree.offsets[joint][axis]).max() > 1e-3 and not any("change" in n for n in notes):
                notes.append(f"{tree.names[joint]} and maybe others change their offset over time; that is left out")
        rotations[:, joint] = turn
    return root, unit(rotations)


def write_bvh(motion: Motion, path: str | os.PathLike[str], *, order: str = "ZXY", scale: float = 100.0) -> None:
    """Write a BVH: Euler angles in ``order``, ``scale`` units per metre (100: centimetres, as most expect).

    BVH knows no rest rotations: offsets are the rest pose in world axes, and turns are relative to that pose.
    Joints called NAME_end without children become end sites.
    """
    if sorted(order.upper()) != list(AXES):
        raise UserError(f"the Euler order is three different axes such as ZXY, got {order!r}")
    skeleton, order = motion.skeleton, order.upper()
    flat = Skeleton.from_positions(skeleton.names, skeleton.parents, skeleton.positions)
    turns = multiply(motion.turns(), np.broadcast_to(conjugate(skeleton.turns), (motion.frames, len(skeleton), 4)))
    angles = np.degrees(np.unwrap(to_euler(local_turns(skeleton.parents, turns), order), axis=0))
    lines = ["HIERARCHY"]
    moving = _write_joint(flat, 0, 0, order, scale, lines)
    lines += ["MOTION", f"Frames: {motion.frames}", f"Frame Time: {1 / motion.fps:.8f}"]
    table = np.concatenate([motion.root * scale, angles[:, moving].reshape(motion.frames, -1)], 1)
    lines += [" ".join(f"{value:.6f}" for value in row) for row in table]
    try:
        Path(path).write_text("\n".join(lines) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; choose another place") from None


def _write_joint(skeleton: Skeleton, joint: int, depth: int, order: str, scale: float, lines: list[str]) -> list[int]:
    """Append a joint and all below it; returns the joints that have rotation channels, in file order."""
    pad, children = "  " * depth, skeleton.children[joint]
    name = re.sub(r"\s+", "_", skeleton.names[joint])
    tip = joint > 0 and not children and name.endswith(END)
    lines.append(pad + ("End Site" if tip else f"{'JOINT' if joint else 'ROOT'} {name}"))
    lines.append(pad + "{")
    x, y, z = (skeleton.translations[joint] if joint else np.zeros(3)) * scale
    lines.append(f"{pad}  OFFSET {x:.6f} {y:.6f} {z:.6f}")
    moving = []
    if not tip:
        turns = " ".join(f"{axis}rotation" for axis in order)
        places = "" if joint else "Xposition Yposition Zposition "
        lines.append(f"{pad}  CHANNELS {3 if joint else 6} {places}{turns}")
        moving.append(joint)
    if not tip and not children:  # every last joint needs an end site
        lines += [pad + "  End Site", pad + "  {", pad + "    OFFSET 0.000000 0.000000 0.000000", pad + "  }"]
    for child in children:
        moving += _write_joint(skeleton, child, depth + 1, order, scale, lines)
    lines.append(pad + "}")
    return moving
