"""Spherical metadata in files: written into a finished MP4 or the bytes of its index, read from MP4 and WebM.

MP4 version 1   moov/trak/uuid
MP4 version 2   moov/trak/mdia/minf/stbl/stsd/avc1 (hvc1, av01, vp09, ...)/st3d and sv3d, before clap and pasp

Some players accept only version 1, so both are written. libavformat reads both back, but PyAV has no way to have it
write them; for WebM there is one, see webm.py.
"""

from __future__ import annotations

import io
import os
import shutil
import struct
from pathlib import Path
from typing import IO

from unreel.engine.errors import UserError
from unreel.modalities.media import ebml
from unreel.modalities.media.boxes import VIDEO_ENTRIES, Box, MalformedError, Span, move_chunks, parse, top_level
from unreel.modalities.media.projection import (
    V1_UUID,
    SphericalInfo,
    from_boxes,
    from_matroska,
    from_xml,
    merged,
    to_boxes,
    to_xml,
)

AFTER = frozenset({b"clap", b"pasp", b"colr", b"btrt", b"fiel"})  # optional boxes that ours stand before
BROKEN = (MalformedError, struct.error, IndexError, UnicodeDecodeError)
LIMIT = 2**28  # bytes of an index that is taken into memory; an hour of video has about one MB

__all__ = ["SphericalInfo", "inject", "read_spherical", "write_spherical"]


def inject(data: bytes, info: SphericalInfo, at: int = 0) -> bytes:
    """``data`` with ``info`` in the first video track of its moov, in place of what spherical metadata was there.

    ``data`` is a moov or several whole boxes with a moov among them (an init segment) and begins at byte ``at`` of
    its file; chunk offsets that point behind the moov are moved by its growth. Raises UserError for anything else.
    """
    try:
        moov = _moov(top_level(io.BytesIO(data)))
        return data[: moov.start] + _tagged(data[moov.start : moov.end], info, at + moov.end) + data[moov.end :]
    except BROKEN as error:
        raise UserError(f"cannot write spherical metadata: expected a whole MP4 index, but {error}") from None


def write_spherical(path: str | os.PathLike[str], info: SphericalInfo) -> None:
    """Put ``info`` into a finished MP4, in place of what spherical metadata it had.

    Media data is copied on disk, so memory stays flat; the file is replaced in one step. Raises UserError, and
    leaves the file as it was, when it is no MP4 with a video track.
    """
    path = Path(path)
    part = path.with_name(path.name + ".spherical.part")
    try:
        with path.open("rb") as source:
            spans = top_level(source)
            moov = _moov(spans)
            index = _tagged(_read(source, moov), info, moov.end)
            with part.open("wb") as target:
                for span in spans:
                    if span is moov:
                        target.write(index)
                    elif span.kind in (b"moof", b"mfra") and len(index) != moov.size:
                        (box,) = parse(_read(source, span))
                        move_chunks(box, moov.end, len(index) - moov.size)
                        target.write(bytes(box))
                    else:
                        _copy(source, target, span)
        shutil.copymode(path, part)
        os.replace(part, path)
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; choose another place") from None
    except BROKEN as error:
        raise UserError(f"cannot write spherical metadata into {path}: expected a whole MP4, but {error}") from None
    finally:
        part.unlink(missing_ok=True)


def read_spherical(path: str | os.PathLike[str]) -> SphericalInfo | None:
    """The spherical metadata of an MP4, MOV, WebM or MKV; None when it has none. Raises UserError for other files."""
    try:
        with Path(path).open("rb") as file:
            return _in_matroska(file) if file.read(4) == ebml.MAGIC else _in_mp4(file)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except BROKEN as error:
        raise UserError(f"cannot read {path}: expected a whole MP4 or WebM, but {error}") from None


def _in_matroska(file: IO[bytes]) -> SphericalInfo | None:
    track = ebml.read_track(file)
    return merged(from_xml(track.xml), from_matroska(track.projection, track.private, track.pose, track.stereo))


def _in_mp4(file: IO[bytes]) -> SphericalInfo | None:
    (moov,) = parse(_read(file, _moov(top_level(file))))
    track, entry = _video(moov)
    texts = [box.data[16:].decode(errors="replace") for box in track.children if _is_v1(box)]
    return merged(from_xml(texts[0]) if texts else None, from_boxes(entry))


def _moov(spans: list[Span]) -> Span:
    moov = next((span for span in spans if span.kind == b"moov"), None)
    if moov is None:
        raise MalformedError("it has no moov box")
    return moov


def _read(file: IO[bytes], span: Span) -> bytes:
    if span.size > LIMIT:
        raise MalformedError(f"its {span.kind!r} box claims {span.size} bytes")
    file.seek(span.start)
    return file.read(span.size)


def _copy(source: IO[bytes], target: IO[bytes], span: Span) -> None:
    source.seek(span.start)
    left = span.size
    while left:
        piece = source.read(min(left, 2**20))
        if not piece:
            raise MalformedError("it became shorter while it was read")
        target.write(piece)
        left -= len(piece)


def _tagged(data: bytes, info: SphericalInfo, end: int) -> bytes:
    """The moov ``data``, which ends at byte ``end`` of its file, with ``info``; its chunk offsets fit the new file."""
    (moov,) = parse(data)
    track, entry = _video(moov)
    if entry.kind not in VIDEO_ENTRIES:
        known = ", ".join(sorted(kind.decode() for kind in VIDEO_ENTRIES))
        raise MalformedError(f"its video is {entry.kind!r}, not one of {known}")
    track.children = [box for box in track.children if not _is_v1(box)]
    entry.children = [box for box in entry.children if box.kind not in (b"st3d", b"sv3d")]
    if 1 in info.versions and (xml := to_xml(info)) is not None:
        track.children.append(Box(b"uuid", V1_UUID + xml.encode()))
    if 2 in info.versions:
        at = next((i for i, box in enumerate(entry.children) if box.kind in AFTER), len(entry.children))
        entry.children[at:at] = to_boxes(info)
    moved = 0
    while (grown := len(bytes(moov)) - len(data)) != moved:  # again when an stco had to become a co64
        move_chunks(moov, end + moved, grown - moved)
        moved = grown
    return bytes(moov)


def _video(moov: Box) -> tuple[Box, Box]:
    """The first video track and its first sample entry."""
    for track in moov.children:
        handler = track.find(b"mdia", b"hdlr") if track.kind == b"trak" else None
        if handler is not None and handler.data[8:12] == b"vide":
            table = track.find(b"mdia", b"minf", b"stbl", b"stsd")
            entry = table.children[0] if table is not None and table.children else None
            if entry is None:
                raise MalformedError("its video track has no sample entry")
            return track, entry
    raise MalformedError("it has no video track")


def _is_v1(box: Box) -> bool:
    return box.kind == b"uuid" and box.data[:16] == V1_UUID
