"""What a WebM or Matroska file (RFC 8794, RFC 9559) says of its first video track's place on the sphere.

Reading only: writing is libavformat's, see webm.py. Clusters are stepped over, so a long film costs a few reads.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from unreel.modalities.media.boxes import MalformedError

MAGIC = b"\x1a\x45\xdf\xa3"
SEGMENT, CLUSTER, TRACKS, ENTRY, VIDEO = 0x18538067, 0x1F43B675, 0x1654AE6B, 0xAE, 0xE0
TRACK_TYPE, TRACK_UID, STEREO_MODE = 0x83, 0x73C5, 0x53B8
PROJECTION, PROJECTION_TYPE, PRIVATE, YAW, PITCH, ROLL = 0x7670, 0x7671, 0x7672, 0x7673, 0x7674, 0x7675
TAGS, TAG, SIMPLE_TAG, TAG_NAME, TAG_STRING = 0x1254C367, 0x7373, 0x67C8, 0x45A3, 0x4487
V1_TAG = "SPHERICAL-VIDEO"
LIMIT = 2**24  # bytes; Tracks and Tags are far smaller


@dataclass(slots=True)
class Track:
    """``projection`` is ProjectionType or None without one; ``pose`` yaw, pitch, roll in degrees; ``xml`` of V1."""

    projection: int | None = None
    private: bytes = b""
    pose: tuple[float, float, float] = (0.0, 0.0, 0.0)
    stereo: int = 0  # StereoMode
    xml: str = ""


def read_track(file: IO[bytes]) -> Track:
    """The first video track's metadata. Raises MalformedError when the file is no whole Matroska."""
    end = file.seek(0, 2)
    found: Track | None = None
    xml = ""
    for kind, start, size in _level(file, 0, end):
        if kind != SEGMENT:
            continue
        for inner, at, length in _level(file, start, start + size):
            if inner in (TRACKS, TAGS) and length > LIMIT:
                raise MalformedError(f"element {inner:#x} at byte {at} claims {length} bytes")
            if inner == TRACKS and found is None:
                found = _video(_content(file, at, length))
            elif inner == TAGS:
                xml = _v1(_content(file, at, length)) or xml
    if found is None:
        raise MalformedError("it has no video track")
    found.xml = xml
    return found


def _video(tracks: bytes) -> Track | None:
    for _, entry in _elements(tracks, ENTRY):
        fields = dict(_elements(entry))
        if _uint(fields.get(TRACK_TYPE, b"")) == 1:
            video = dict(_elements(fields.get(VIDEO, b"")))
            track = Track(stereo=_uint(video.get(STEREO_MODE, b"")))
            if PROJECTION in video:
                inside = dict(_elements(video[PROJECTION]))
                track.projection = _uint(inside.get(PROJECTION_TYPE, b""))
                track.private = inside.get(PRIVATE, b"")
                track.pose = tuple(_float(inside.get(angle, b"")) for angle in (YAW, PITCH, ROLL))  # type: ignore[assignment]
            return track
    return None


def _v1(tags: bytes) -> str:
    for _, tag in _elements(tags, TAG):
        for _, simple in _elements(tag, SIMPLE_TAG):
            fields = dict(_elements(simple))
            if fields.get(TAG_NAME, b"").decode().upper() == V1_TAG:
                return fields.get(TAG_STRING, b"").decode()
    return ""


def _elements(data: bytes, only: int | None = None) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        kind, at = _number(data, at, keep_marker=True)
        size, at = _number(data, at)
        if at + size > len(data):
            raise MalformedError(f"element {kind:#x} claims {size} bytes of {len(data) - at}")
        if only in (None, kind):
            yield kind, data[at : at + size]
        at += size


def _level(file: IO[bytes], at: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(kind, start, size) of the elements of a stretch of the file; stops at one of unknown size that is no Segment."""
    while at < end:
        file.seek(at)
        head = file.read(12)
        kind, used = _number(head, 0, keep_marker=True)
        size, after = _number(head, used)
        unknown = size == (1 << 7 * (after - used)) - 1
        start = at + after
        if unknown and kind != SEGMENT:
            return
        if unknown:
            size = end - start
        if start + size > end:
            raise MalformedError(f"element {kind:#x} at byte {at} claims {size} bytes of {end - start}")
        yield kind, start, size
        at = start + size


def _content(file: IO[bytes], at: int, size: int) -> bytes:
    file.seek(at)
    return file.read(size)


def _number(data: bytes, at: int, *, keep_marker: bool = False) -> tuple[int, int]:
    """A variable-length integer (RFC 8794 §4) and where it ends; an element's kind keeps its length marker."""
    if at >= len(data) or not data[at]:
        raise MalformedError(f"no element at byte {at}")
    length = 9 - data[at].bit_length()
    if at + length > len(data):
        raise MalformedError(f"the element at byte {at} is cut off")
    value = int.from_bytes(data[at : at + length], "big")
    return value if keep_marker else value & ((1 << 7 * length) - 1), at + length


def _uint(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _float(data: bytes) -> float:
    number: float = struct.unpack({4: ">f", 8: ">d"}[len(data)], data)[0] if data else 0.0
    return number
