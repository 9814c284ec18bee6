"""Acclaim's ASF (skeleton) and AMC (motion) files, as CMU's motion capture database has them.

An ASF bone has a direction and a length in the world and an axis frame; an AMC frame turns it within that frame: turn
= C M C^-1, where C is the axis frame and M the angles of the bone's degrees of freedom, all around fixed axes. A bone
starts where its parent ends. Here a joint sits at the start of its bone and has its name; the end of a last bone is a
joint called NAME_end. Rest rotations are identity: the rest pose is the ASF's own.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from unreel.engine.errors import UserError
from unreel.modalities.skeleton.bvh import END, guess_scale
from unreel.modalities.skeleton.motion import Motion
from unreel.modalities.skeleton.rotations import Floats, conjugate, from_euler, multiply
from unreel.modalities.skeleton.skeleton import Skeleton, ordered

INCH = 0.0254


@dataclass(frozen=True)
class Bone:
    """One bone of an ASF: degrees of freedom as the AMC gives their numbers, in radians or the file's length unit."""

    direction: tuple[float, ...]
    length: float
    axis: tuple[float, ...]  # xyzw of the axis frame
    dof: tuple[str, ...]
    limits: tuple[tuple[float, float], ...]  # one pair per degree of freedom, in the file's unit; empty when not given


@dataclass(frozen=True, eq=False)
class Acclaim:
    """A read ASF: the skeleton in metres, its bones by name ("root" too), the scale and whether angles are degrees."""

    skeleton: Skeleton
    bones: dict[str, Bone]
    scale: float
    degrees: bool


def read_asf(path: str | os.PathLike[str]) -> Acclaim:
    """The skeleton of an ASF file. Raises UserError when it is none."""
    name = Path(path).name
    sections = _sections(_text(path), name)
    units = dict(line.split()[:2] for line in sections.get("units", []) if len(line.split()) >= 2)
    degrees = units.get("angle", "deg").lower().startswith("deg")
    try:
        bones = {"root": _root(sections["root"], degrees)} | _bones(sections["bonedata"], degrees)
        parents = _parents(sections["hierarchy"])
        unit = float(units.get("length", 1))
        return _assemble(bones, parents, unit, degrees, name)
    except (KeyError, IndexError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(f"{name} is no complete ASF file ({error!r}); it needs root, bonedata and hierarchy") from None


def _text(path: str | os.PathLike[str]) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}); give an Acclaim .asf or .amc file") from None


def _sections(text: str, name: str) -> dict[str, list[str]]:
    """The lines of each `:section`, comments and empty lines left out."""
    found: dict[str, list[str]] = {}
    current: list[str] | None = None
    for line in (line.split("#")[0].strip() for line in text.splitlines()):
        if line.startswith(":"):
            key, _, rest = line[1:].partition(" ")
            current = found.setdefault(key.lower(), [])
            current += [rest] if rest.strip() else []
        elif line and current is not None:
            current.append(line)
    if "bonedata" not in found:
        raise UserError(f"{name} is no ASF file: it has no :bonedata; give the skeleton that belongs to the AMC")
    return found


def _frame(angles: list[float], order: str, degrees: bool) -> tuple[float, ...]:
    """The quaternion of angles around fixed axes in ``order``, the first done first."""
    radians = np.radians(angles) if degrees else np.asarray(angles)
    return tuple(from_euler(radians[::-1], order.upper()[::-1]).tolist())


def _root(lines: list[str], degrees: bool) -> Bone:
    entries = {line.split()[0].lower(): line.split()[1:] for line in lines}
    turned = [float(value) for value in entries.get("orientation", ["0", "0", "0"])]
    axis = _frame(turned, entries.get("axis", ["XYZ"])[0], degrees)
    return Bone((0.0, 0.0, 0.0), 0.0, axis, tuple(word.lower() for word in entries["order"]), ())


def _bones(lines: list[str], degrees: bool) -> dict[str, Bone]:
    bones: dict[str, Bone] = {}
    for block in re.findall(r"begin\n(.*?)\nend", "\n".join(lines), re.S | re.I):
        entries: dict[str, list[str]] = {}
        key = ""
        for line in block.splitlines():
            words = line.split()
            if not line.startswith("("):
                key, words = words[0].lower(), words[1:]
            entries.setdefault(key, []).extend(words)
        axis = entries.get("axis", ["0", "0", "0", "XYZ"])
        numbers = [float(value) for value in re.findall(r"[^\s()]+", " ".join(entries.get("limits", [])))]
        bones[entries["name"][0]] = Bone(
            tuple(float(value) for value in entries["direction"][:3]),
            float(entries["length"][0]),
            _frame([float(value) for value in axis[:3]], axis[3], degrees),
            tuple(word.lower() for word in entries.get("dof", [])),
            tuple(zip(numbers[0::2], numbers[1::2], strict=False)),
        )
    return bones


def _parents(lines: list[str]) -> dict[str, str]:
    return {
        child: words[0]
        for words in (line.split() for line in lines if line.lower() not in ("begin", "end"))
        for child in words[1:]
    }


def _assemble(bones: dict[str, Bone], parents: dict[str, str], unit: float, degrees: bool, name: str) -> Acclaim:
    """Joints at the starts of bones, parents first, and tips of last bones."""
    names = list(bones)
    missing = sorted(set(parents) - set(names))
    if missing:
        raise UserError(f"{name} has {missing[0]!r} in its hierarchy and no such bone; use the ASF as it came")
    number = {bone: place for place, bone in enumerate(names)}
    order = ordered({number[bone]: number[parents[bone]] if bone in parents else -1 for bone in names})
    joints = [names[place] for place in order]
    above = [joints.index(parents[bone]) if bone in parents else -1 for bone in joints]
    tips = [bone for bone in joints if bone not in parents.values() and bones[bone].length > 0]
    above += [joints.index(bone) for bone in tips]
    ends = np.asarray([np.asarray(bones[bone].direction) * bones[bone].length for bone in joints])
    offsets = np.asarray([ends[parent] if parent >= 0 else np.zeros(3) for parent in above])
    # CMU counts lengths in inches times 0.45; files in a unit of their own say 1 and are guessed by their size.
    scale = INCH / unit if unit != 1 else guess_scale(above, offsets, [])
    still = np.tile(np.asarray([0, 0, 0, 1.0]), (len(above), 1))
    skeleton = Skeleton((*joints, *(bone + END for bone in tips)), np.asarray(above), offsets * scale, still)
    return Acclaim(skeleton, bones, scale, degrees)


def read_amc(path: str | os.PathLike[str], acclaim: Acclaim, *, fps: float = 120.0) -> Motion:
    """The motion of an AMC file for a read ASF. AMC files do not tell their rate; CMU's is 120 frames per second."""
    name = Path(path).name
    head, table = _table(_text(path), name)
    degrees = acclaim.degrees if ":RADIANS" not in head and ":DEGREES" not in head else ":DEGREES" in head
    skeleton = acclaim.skeleton
    rotations = np.tile(np.asarray([0, 0, 0, 1.0]), (len(table), len(skeleton), 1))
    root = np.zeros((len(table), 3))
    at = 1
    while at < table.shape[1]:
        bone = str(table[0, at])
        if bone not in acclaim.bones or (table[:, at] != bone).any():
            raise UserError(
                f"{name} moves {bone!r}, which its skeleton does not have; give the ASF of the same subject"
            )
        dof = acclaim.bones[bone].dof
        try:
            values = table[:, at + 1 : at + 1 + len(dof)].astype(np.float64)
        except ValueError:
            raise UserError(f"{name} has other numbers for {bone!r} than its skeleton says; give its own ASF") from None
        at += 1 + len(dof)
        joint = skeleton.names.index(bone)
        rotations[:, joint] = _turn(acclaim.bones[bone], dof, values, degrees)
        for axis, key in enumerate(("tx", "ty", "tz")):
            if bone == "root" and key in dof:
                root[:, axis] = values[:, dof.index(key)]
    return Motion(skeleton, fps, root * acclaim.scale, rotations, Path(path).stem)


def _table(text: str, name: str) -> tuple[str, np.ndarray]:
    """What stands before the first frame, and the words of all frames (T, words per frame)."""
    found = re.search(r"^\s*1\s*$", text, re.M)
    if found is None:
        raise UserError(f"{name} is no AMC file: it has no frame 1; give an Acclaim motion")
    words = np.asarray(text[found.start() :].split())
    second = re.search(r"^\s*2\s*$", text[found.end() :], re.M)
    width = len(words) if second is None else len(text[found.start() : found.end() + second.start()].split())
    if len(words) % width or (words[::width] != np.arange(1, len(words) // width + 1).astype(str)).any():
        raise UserError(f"{name} is damaged: its frames are not all alike ({len(words)} words, {width} in the first)")
    return text[: found.start()].upper(), words.reshape(-1, width)


def _turn(bone: Bone, dof: tuple[str, ...], values: Floats, degrees: bool) -> Floats:
    """Rotations (T, 4) against the rest pose: the angles in their order around fixed axes, in the bone's axis frame."""
    total = np.tile(np.asarray([0, 0, 0, 1.0]), (len(values), 1))
    for column, key in enumerate(dof):
        if key in ("rx", "ry", "rz"):
            angles = np.zeros((len(values), 3))
            angles[:, 0] = np.radians(values[:, column]) if degrees else values[:, column]
            axis = key[1].upper()
            total = multiply(from_euler(angles, axis + "XYZ".replace(axis, "")), total)
    frame = np.broadcast_to(np.asarray(bone.axis), total.shape)
    return np.asarray(multiply(multiply(frame, total), conjugate(frame)))
