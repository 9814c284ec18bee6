"""What a film file says of itself, for `unreel inspect`: pictures, time, colours, and its place on the sphere."""

from __future__ import annotations

import os
from dataclasses import asdict
from enum import IntEnum
from pathlib import Path
from typing import Any

import av
from av.video.reformatter import ColorPrimaries, ColorTrc

from unreel.engine.errors import UserError
from unreel.modalities.media.projection import SphericalInfo
from unreel.modalities.media.spherical import read_spherical

MATRICES = {0: "rgb", 1: "bt709", 2: "untagged", 5: "bt470bg", 6: "smpte170m", 9: "bt2020nc"}  # of H.273, those in use
FILMS = (".mp4", ".m4v", ".mov", ".webm", ".mkv")


def film_facts(path: str | os.PathLike[str]) -> dict[str, Any]:
    """codec, width, height, fps, frames, seconds, bytes, pixels, colour (four names), spherical (None without).

    Frames are counted packet by packet where the file does not tell. Raises UserError for what is no film.
    """
    path = Path(path)
    spherical = read_spherical(path)
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise UserError(f"{path} has no video; give a film")
            stream: Any = container.streams.video[0]
            context, rate = stream.codec_context, stream.average_rate
            facts = {
                "codec": context.codec.name if context.codec else context.name,
                "width": context.width,
                "height": context.height,
                "fps": None if rate is None else float(rate),
                "frames": stream.frames or sum(1 for packet in container.demux(stream) if packet.size),
                "seconds": None if container.duration is None else container.duration / av.time_base,
                "bytes": path.stat().st_size,
                "pixels": context.pix_fmt,
                "colour": _colour(context),
            }
    except (OSError, av.error.FFmpegError) as error:
        raise UserError(f"cannot read {path} as a film: {error.strerror}") from None
    return {**facts, "spherical": None if spherical is None else asdict(spherical)}


def film_lines(path: str | os.PathLike[str], facts: dict[str, Any]) -> list[str]:
    """``film_facts`` for a person, one line each."""
    seconds, fps, colour = facts["seconds"], facts["fps"], facts["colour"]
    rows = {
        "video": f"{facts['codec']}, {facts['width']}x{facts['height']}, {facts['pixels']}",
        "frames": f"{facts['frames']:,}" + (f" at {fps:g} per second" if fps else ""),
        "duration": "unknown" if seconds is None else f"{seconds:g} s",
        "colour": ", ".join(f"{name} {value}" for name, value in colour.items()),
    }
    rows |= _spherical(None if facts["spherical"] is None else SphericalInfo(**facts["spherical"]))
    return [f"{path}: {facts['bytes'] / 1e6:.2f} MB", *(f"  {name:<12} {value}" for name, value in rows.items())]


def _spherical(info: SphericalInfo | None) -> dict[str, str]:
    if info is None:
        return {"spherical": "none: players show this film flat"}
    version = "versions 1 and 2" if len(info.versions) == 2 else f"version {info.versions[0]} only"
    rows = {"spherical": f"{info.projection}, {info.stereo}", "metadata": version, "source": info.source or "not told"}
    if any((info.yaw, info.pitch, info.roll)):
        rows["pose"] = f"yaw {info.yaw:g}, pitch {info.pitch:g}, roll {info.roll:g} degrees"
    if any(info.crop):
        top, bottom, left, right = info.crop
        rows["crop"] = f"top {top:.1%}, bottom {bottom:.1%}, left {left:.1%}, right {right:.1%} are missing"
    if info.padding:
        rows["padding"] = f"{info.padding} pixels around each face"
    return rows


def _colour(context: Any) -> dict[str, str]:
    """As ITU-T H.273 numbers them; ``untagged`` for what the file leaves open."""
    return {
        "primaries": _name(ColorPrimaries, context.color_primaries),
        "transfer": _name(ColorTrc, context.color_trc),
        "matrix": MATRICES.get(int(context.colorspace), str(int(context.colorspace))),
        "range": {1: "limited", 2: "full"}.get(int(context.color_range), "untagged"),
    }


def _name(kind: type[IntEnum], value: int) -> str:
    try:
        name = kind(value).name.lower()
    except ValueError:
        name = str(int(value))
    return "untagged" if name in ("unspecified", "2") else name
