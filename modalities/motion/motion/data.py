"""Clips to learn from: motion captures and animations of rigged files in a folder, as features of the one body."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from unreel.engine.errors import UserError
from unreel.modalities.motion.body import BODY, on_body, proportions
from unreel.modalities.motion.features import FPS, Layout, encode
from unreel.modalities.motion.motion.labels import CMU, label, steps_on, swapped
from unreel.modalities.skeleton.acclaim import read_amc, read_asf
from unreel.modalities.skeleton.bvh import read_bvh
from unreel.modalities.skeleton.gltf import read_rig
from unreel.modalities.skeleton.motion import Motion, from_clip
from unreel.modalities.skeleton.names import roles
from unreel.modalities.skeleton.rotations import Floats
from unreel.modalities.skeleton.skeleton import Skeleton

SPEEDS = (0.9, 1.0, 1.1)
SHORTEST = 12  # frames
LONG = 240  # frames from which on a clip gives its end to the held-out ones
HELD = 0.2  # share that is held out
GAP = 15  # frames between the two parts of a clip
ALIKE = 0.02  # of numbers of rotations, root mean square, below which two clips are the same one
LIMBS = (("shin", "thigh"), ("forearm", "arm"))  # of a person the first hangs on the second


@dataclass(frozen=True, eq=False)
class Labelled:
    """A clip on the body: numbers (T, width) at 30 frames a second, proportions (22,), what it is called."""

    name: str
    text: str
    features: Floats
    body: Floats
    cyclic: bool
    held_out: bool


@dataclass(frozen=True)
class Found:
    """What a folder holds; ``skipped`` says of files and clips why they are not among the clips."""

    clips: tuple[Labelled, ...]
    skipped: tuple[str, ...] = field(default=())

    @property
    def train(self) -> list[Labelled]:
        return [clip for clip in self.clips if not clip.held_out]

    @property
    def held_out(self) -> list[Labelled]:
        return [clip for clip in self.clips if clip.held_out]


def load_clips(folder: Path, *, augment: bool = True) -> Found:
    """All clips below a folder: AMC beside its ASF, BVH, GLB and glTF animations, NPZ of `Motion.save`.

    ``labels.json`` in the folder may give texts by clip or file name. Training clips come three times as fast and slow
    and mirrored with ``augment``. Raises UserError when no clip can be used.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}; give one with motion captures or animated GLB files")
    texts = _texts(folder)
    skipped: list[str] = []
    kept: dict[str, list[Motion]] = {}
    for path in sorted(folder.rglob("*")):
        for name, motion in _read(path, skipped):
            text = texts.get(name) or texts.get(path.name) or CMU.get(path.stem) or label(name)
            try:
                made = prepared(motion, text)
            except UserError as error:
                skipped.append(f"{path.name} {name}: {error}")
                continue
            if made.frames < SHORTEST:
                skipped.append(f"{path.name} {name}: shorter than {SHORTEST} frames")
            elif any(_alike(made, other) for other in kept.get(text, ())):
                skipped.append(f"{path.name} {name}: the same as another clip")
            else:
                kept.setdefault(text, []).append(replace(made, name=f"{path.stem}:{name}"))
    clips = [clip for text in kept for motion in kept[text] for clip in _parts(motion, text, len(kept[text]), augment)]
    if not any(not clip.held_out for clip in clips):
        why = skipped[0] if skipped else "it has no .amc, .bvh, .glb, .gltf or .npz"
        raise UserError(f"no clip in {folder} can be used: {why}")
    return Found(tuple(clips), tuple(skipped))


def _texts(folder: Path) -> dict[str, str]:
    path = folder / "labels.json"
    if not path.exists():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is not JSON: {error}") from None
    if not isinstance(found, dict) or not all(isinstance(text, str) for text in found.values()):
        raise UserError(f'{path} maps clip or file names to texts, as in {{"walk.bvh": "walk"}}')
    return found


def _read(path: Path, skipped: list[str]) -> Iterator[tuple[str, Motion]]:
    """The motions of a file by name; what cannot be read is noted."""
    try:
        if path.suffix == ".amc":
            yield path.stem, read_amc(path, read_asf(path.with_name(path.stem.partition("_")[0] + ".asf")))
        elif path.suffix == ".bvh":
            yield path.stem, read_bvh(path)
        elif path.suffix == ".npz":
            motion = Motion.load(path)
            yield motion.name or path.stem, motion
        elif path.suffix in (".glb", ".gltf"):
            rig = read_rig(path, fps=FPS)
            if rig.clips:
                check_person(rig.skeleton)
            for clip in rig.clips:
                yield clip.name, from_clip(rig.skeleton, clip)
    except UserError as error:
        skipped.append(f"{path.name}: {error}")


def check_person(skeleton: Skeleton) -> None:
    """UserError for birds, robots with three parts to a leg and other bodies whose limbs bend in other places."""
    parts = roles(skeleton)
    for side in ("left", "right"):
        for below, above in LIMBS:
            joint, parent = parts.get(f"{side} {below}"), parts.get(f"{side} {above}")
            if joint is None or parent is None or skeleton.parents[joint] != parent:
                raise UserError(f"its {side} {below} does not hang on a {side} {above}, as a person's does")


def prepared(motion: Motion, text: str) -> Motion:
    """A motion on the body at 30 frames a second, moving over the ground where its feet say that it does.

    Raises:
        UserError: no body, or nothing to call it by.
    """
    if not text:
        raise UserError("its name says nothing; name it in labels.json")
    made = on_body(motion if motion.fps == FPS else motion.resampled(FPS))
    return moving(made) if steps_on(text) else made


def moving(motion: Motion) -> Motion:
    """A clip of steps on the spot, as games have them, with the way that its standing feet leave behind.

    The lowest foot of every frame should stand; the median of its velocities is what the root lacks. A motion that gets
    somewhere, or whose feet do not slide, stays as it is.
    """
    way = motion.root[-1] - motion.root[0]
    if motion.frames < 2 or np.hypot(way[0], way[2]) > 0.25:
        return motion
    feet = motion.positions()[:, list(Layout.of(BODY).feet)].astype(np.float64)
    speed = np.diff(feet, axis=0) * motion.fps
    lowest = (feet[1:, :, 1] + feet[:-1, :, 1]).argmin(1)
    slide = np.median(speed[np.arange(len(speed)), lowest], axis=0) * (1, 0, 1)
    if np.linalg.norm(slide) < 0.3:
        return motion
    return replace(motion, root=motion.root - slide * (np.arange(motion.frames) / motion.fps)[:, None])


def _alike(a: Motion, b: Motion) -> bool:
    return a.frames == b.frames and float(np.sqrt(np.square(a.rotations - b.rotations).mean())) < ALIKE


def _parts(motion: Motion, text: str, same: int, augment: bool) -> Iterator[Labelled]:
    """A clip's training part with its variants, and its held-out part; a short clip is one or the other.

    Of short clips one in ten is held out (by its name), never the only one of its text.
    """
    cut = motion.frames
    if motion.frames >= LONG:
        cut = round(motion.frames * (1 - HELD))
        yield _labelled(motion.part(cut), text, True)
        cut -= GAP
    elif same > 1 and hashlib.blake2b(motion.name.encode()).digest()[0] < 26:
        yield _labelled(motion, text, True)
        return
    part = motion.part(0, cut)
    yield _labelled(part, text, False)
    if augment:
        for speed in SPEEDS:
            paced = replace(part, fps=part.fps * speed).resampled(FPS) if speed != 1 else part
            yield _labelled(paced.mirrored(), swapped(text), False)
            if speed != 1:
                yield _labelled(paced, text, False)


def _labelled(motion: Motion, text: str, held_out: bool) -> Labelled:
    numbers, _ = encode(motion)
    ends = numbers[[0, -1]][:, Layout.of(BODY).parts["rotations"]]
    cyclic = motion.frames < LONG and float(np.abs(ends[0] - ends[1]).mean()) < 0.02
    return Labelled(motion.name, text, numbers, proportions(motion.skeleton), cyclic, held_out)


def texts_of(clips: Iterable[Labelled]) -> list[str]:
    """All different texts, the most frequent first."""
    frames: dict[str, int] = {}
    for clip in clips:
        frames[clip.text] = frames.get(clip.text, 0) + len(clip.features)
    return sorted(frames, key=lambda text: (-frames[text], text))
