"""Where the camera of a view looks: a fixed direction, or a track with one entry per frame or with keyframes.

A track is JSON in one of these forms; angles are degrees, yaw to the right, pitch up, roll clockwise:

    {"fov": 90, "frames": [[roll, pitch, yaw], ...]}                one per frame; a fourth number is that frame's fov
    [{"roll": 0, "pitch": 0, "yaw": 12.5, "fov": 90}, ...]          one per frame; also as "frames" of the form above
    [{"frame": 0, "yaw": 0, ...}, {"frame": 24, "yaw": 90, ...}]    keyframes, in rising order

Between keyframes every angle goes the shorter way round (half a turn goes up: to the right for yaw) and fov goes
straight, so that a level camera stays level; before the first and after the last the camera stands still. A full turn
takes three keyframes. Any angle is allowed; it is reduced to -180..180. A jump from one frame to the next is a cut.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unreel.engine.errors import UserError

Camera = tuple[float, float, float, float]  # roll, pitch, yaw, fov_x in degrees

ANGLES = ("roll", "pitch", "yaw")
LONGEST = 1_000_000  # frames


def fixed_camera(
    frames: int = 1, *, fov: float = 90.0, yaw: float = 0.0, pitch: float = 0.0, roll: float = 0.0
) -> Tensor:
    """A camera that stands still: (frames, 4) roll, pitch, yaw, fov_x in degrees."""
    camera = _camera({"roll": roll, "pitch": pitch, "yaw": yaw, "fov": fov}, None, "the camera")
    return torch.tensor(camera).expand(frames, 4).clone()


def load_track(path: str | os.PathLike[str], frames: int | None = None, fov: float | None = None) -> Tensor:
    """The cameras (frames, 4) of a track file: roll, pitch, yaw, fov_x in degrees, float32.

    ``frames`` is how many the clip has: a longer track is cut, a shorter one is an error unless it has keyframes; None
    takes the whole track. ``fov`` serves where the track tells none.
    Raises UserError for a file that is not there, not JSON or not a track, and for angles that cannot be.
    """
    name = f"camera track {path}"
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UserError(f"{name} does not exist; give a JSON file of roll, pitch and yaw per frame") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{name} cannot be read as text ({error}); give a JSON file") from None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{name} is not JSON ({error}); expected a list of roll, pitch and yaw per frame") from None
    return track_cameras(value, frames, fov, name)


def track_cameras(
    value: Any, frames: int | None = None, fov: float | None = None, name: str = "the camera track"
) -> Tensor:
    """The cameras of a track that is read already; see `load_track`."""
    entries = value
    if isinstance(value, Mapping):
        unknown = sorted(set(value) - {"fov", "frames"})
        if unknown or "frames" not in value:
            what = f"got {', '.join(map(repr, unknown))}" if unknown else "got no 'frames'"
            raise UserError(f"{name} is an object with 'frames' and, if it is one for all, 'fov'; {what}")
        entries, fov = value["frames"], value.get("fov", fov)
    if not isinstance(entries, Sequence) or isinstance(entries, str) or not entries:
        raise UserError(f"{name} is a list with an entry for every frame, got {_brief(entries)}")
    if isinstance(entries[0], Mapping) and "frame" in entries[0]:
        cameras = _between(_keyframes(entries, fov, name), frames, name)
    else:
        cameras = [_camera(entry, fov, f"{name}, frame {index}") for index, entry in enumerate(entries[:frames])]
        if frames is not None and len(cameras) < frames:
            raise UserError(f"{name} has {len(cameras)} frames, the clip has {frames}; give one camera per frame")
    return torch.tensor(cameras)


def _camera(entry: Any, fov: float | None, where: str) -> Camera:
    """One entry of a track, checked."""
    if isinstance(entry, Mapping):
        unknown = sorted(set(entry) - {*ANGLES, "fov", "frame"})
        if unknown:
            raise UserError(f"{where}: expected roll, pitch, yaw and fov, got {', '.join(map(repr, unknown))}")
        fields = dict(entry)
    elif isinstance(entry, Sequence) and not isinstance(entry, str) and len(entry) in (3, 4):
        fields = dict(zip((*ANGLES, "fov"), entry, strict=False))
    else:
        raise UserError(f"{where}: expected [roll, pitch, yaw] or an object with these names, got {_brief(entry)}")
    if fov is not None:
        fields.setdefault("fov", fov)
    missing = [field for field in (*ANGLES, "fov") if field not in fields]
    if missing:
        raise UserError(f"{where}: {' and '.join(missing)} missing; every frame needs roll, pitch, yaw and fov")
    roll, pitch, yaw = (math.remainder(_number(fields[field], f"{where}: {field}"), 360.0) for field in ANGLES)
    angle = _number(fields["fov"], f"{where}: fov")
    if not 0 < torch.tensor(angle).item() < 180:  # as float32, which is what it becomes
        raise UserError(f"{where}: a field of view lies between 0 and 180 degrees, both excluded; got {angle:g}")
    return roll, pitch, yaw, angle


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise UserError(f"{where} is a number of degrees, got {_brief(value)}")
    if not math.isfinite(value):
        raise UserError(f"{where} is a finite number of degrees, got {value}")
    return float(value)


def _keyframes(entries: Sequence[Any], fov: float | None, name: str) -> list[tuple[int, Camera]]:
    """Frame numbers and cameras, in strictly rising order."""
    keys: list[tuple[int, Camera]] = []
    for index, entry in enumerate(entries):
        where = f"{name}, keyframe {index}"
        at = entry.get("frame") if isinstance(entry, Mapping) else None
        if isinstance(at, bool) or not isinstance(at, int) or not 0 <= at < LONGEST:
            raise UserError(f"{where}: 'frame' is a whole number from 0 to {LONGEST - 1}, got {_brief(at)}")
        if keys and at <= keys[-1][0]:
            raise UserError(f"{where}: frame {at} comes after frame {keys[-1][0]}; keyframes stand in rising order")
        keys.append((at, _camera(entry, fov, where)))
    return keys


def _between(keys: list[tuple[int, Camera]], frames: int | None, name: str) -> list[Camera]:
    """A camera for every frame, up to the last keyframe if ``frames`` is None."""
    cameras: list[Camera] = []
    following = 0
    for frame in range(keys[-1][0] + 1 if frames is None else frames):
        while following < len(keys) and keys[following][0] <= frame:
            following += 1
        if following in (0, len(keys)):
            cameras.append(keys[0 if following == 0 else -1][1])
            continue
        (start, before), (stop, after) = keys[following - 1 : following + 1]
        part = (frame - start) / (stop - start)
        roll, pitch, yaw = (_towards(a, b, part) for a, b in zip(before[:3], after[:3], strict=True))
        cameras.append((roll, pitch, yaw, before[3] + part * (after[3] - before[3])))
    return cameras


def _towards(start: float, stop: float, part: float) -> float:
    """The angle at ``part`` of the shorter way from start to stop; half a turn goes up."""
    way = math.remainder(stop - start, 360.0)
    return math.remainder(start + part * (180.0 if way == -180.0 else way), 360.0)


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
