"""From files to a view: a clip or a photograph, and the cameras that took it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, ImageOps

from unreel.engine.errors import UserError
from unreel.modalities.media.frames import Frames
from unreel.modalities.panorama.camera import fixed_camera, load_track

ANGLES = ("fov", "yaw", "pitch", "roll")
LONGEST = 10_000  # frames of a clip that are taken
FINER = 1.5  # a view is kept this much finer than the faces it is laid on


def view_of(inputs: Mapping[str, Any], size: int) -> tuple[dict[str, Any] | None, float | None]:
    """The view that inputs ask for (see ``controls``), for faces of ``size`` pixels, and a clip's frames per second.

    Inputs: ``video`` or ``image`` (a path), ``camera`` (a track's path), ``fov``, ``yaw``, ``pitch``, ``roll``
    (degrees).

    Raises:
        UserError: files that cannot be used, angles that cannot be, inputs that do not go together.
    """
    if "video" in inputs and "image" in inputs:
        raise UserError("give a video or an image, not both")
    if "video" not in inputs and "image" not in inputs:
        told = [name for name in ("camera", *ANGLES) if name in inputs]
        if told:
            raise UserError(f"{', '.join(told)} tells how a view was taken: give the view too, as in video=clip.mp4")
        return None, None
    if "camera" in inputs and (both := [name for name in ("yaw", "pitch", "roll") if name in inputs]):
        raise UserError(f"the camera's track tells where it looks: leave {', '.join(both)} out, or the track")
    for name in ANGLES:
        if name in inputs and (isinstance(inputs[name], bool) or not isinstance(inputs[name], int | float)):
            raise UserError(f"{name} is a number of degrees, got {inputs[name]!r}")
    angles = {name: float(inputs[name]) for name in ANGLES if name in inputs}
    source = Path(str(inputs.get("video", inputs.get("image"))))
    track, fov = str(inputs.get("camera", "")), angles.get("fov")
    camera = load_track(track, fov=fov) if track else fixed_camera(1, **angles)
    width = _width(float(camera[:, 3].max()), size)
    frames_NHWC, fps = read_clip(source, width) if "video" in inputs else (read_image(source, width), None)
    if track:
        camera = load_track(track, len(frames_NHWC), fov)
    return {"frames": frames_NHWC, "cameras": camera}, fps


def _width(fov: float, size: int) -> int:
    """Pixels across that a view is worth on faces of ``size``."""
    return max(16, math.ceil(FINER * size * math.tan(math.radians(min(fov, 150.0)) / 2)))


def read_image(path: Path, width: int) -> Frames:
    """A photograph as one frame (1, H, W, 3), turned as its EXIF says and at most ``width`` pixels wide.

    Raises:
        UserError: not there, or no picture.
    """
    if not path.is_file():
        raise UserError(f"image {path} does not exist; give a photograph")
    try:
        with Image.open(path) as image:
            picture = ImageOps.exif_transpose(image).convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UserError(f"image {path} cannot be read: {' '.join(str(error).split())}") from None
    if picture.width > width:
        height = max(1, round(picture.height * width / picture.width))
        picture = picture.resize((width, height), Image.Resampling.LANCZOS)
    return np.asarray(picture, dtype=np.uint8)[None].copy()


def read_clip(path: Path, width: int) -> tuple[Frames, float]:
    """A clip's frames (N, H, W, 3), at most ``width`` pixels wide, and its frames per second.

    Raises:
        UserError: not there, no video in it, broken, or longer than ``LONGEST`` frames.
    """
    if not path.is_file():
        raise UserError(f"video {path} does not exist; give a clip")
    frames: list[Frames] = []
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise UserError(f"video {path} has no picture in it (no video stream); give a clip with one")
            stream = container.streams.video[0]
            fps = float(stream.average_rate or stream.guessed_rate or 24)
            for frame_HWC in _decoded(container, width):
                frames.append(frame_HWC)
                if len(frames) > LONGEST:
                    raise UserError(f"video {path} is longer than {LONGEST} frames; cut it into parts")
    except (av.FFmpegError, OSError, ValueError, IndexError) as error:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())
        raise UserError(f"video {path} cannot be read: {reason}; give a video file") from None
    if not frames:
        raise UserError(f"video {path} holds no frame; give a clip with a picture")
    if len({frame.shape for frame in frames}) > 1:
        raise UserError(f"video {path} changes its frame size; give a clip of one size")
    return np.stack(frames), fps


def _decoded(container: Any, width: int) -> Iterator[Frames]:
    for frame in container.decode(video=0):
        turns = round(getattr(frame, "rotation", 0) / 90) % 4
        upright = frame.height if turns % 2 else frame.width
        share = min(1.0, width / upright)
        small = frame.reformat(
            max(1, round(frame.width * share)), max(1, round(frame.height * share)), "rgb24", interpolation="AREA"
        )
        yield np.ascontiguousarray(np.rot90(small.to_ndarray(), turns))
