"""Boxes of an MP4 or QuickTime file (ISO/IEC 14496-12): the index read into a tree, changed, written again.

Sizes are never patched: a tree is written from its leaves, so they nest by construction. Media data stays on disk.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import IO

FULL = 4  # version and flags before a full box's content
VISUAL_ENTRY = 78  # the fields of a VisualSampleEntry before its boxes (14496-12 §12.1.3)
VIDEO_ENTRIES = frozenset({b"avc1", b"avc3", b"hvc1", b"hev1", b"av01", b"vp08", b"vp09", b"mp4v"})
# Boxes that hold boxes, with the bytes that come before those.
CONTAINERS = {
    **dict.fromkeys((b"moov", b"trak", b"mdia", b"minf", b"stbl", b"sv3d", b"proj", b"moof", b"traf", b"mfra"), 0),
    b"stsd": FULL + 4,
    **dict.fromkeys(VIDEO_ENTRIES, VISUAL_ENTRY),
}
LAST = 0xFFFFFFFF  # the largest offset a 32-bit table holds


class MalformedError(ValueError):
    """Bytes that are no boxes; says where they stop making sense."""


@dataclass(slots=True)
class Box:
    """``data`` is the content of a leaf, or what stands before a container's ``children``; ``tail`` what is left."""

    kind: bytes
    data: bytes = b""
    children: list[Box] = field(default_factory=list)
    tail: bytes = b""  # QuickTime ends some lists with four zero bytes

    def __bytes__(self) -> bytes:
        body = self.data + b"".join(map(bytes, self.children)) + self.tail
        return struct.pack(">I4s", 8 + len(body), self.kind) + body

    def find(self, *path: bytes) -> Box | None:
        """The first box at ``path`` below this one; None when there is none."""
        here: Box | None = self
        for kind in path:
            here = next((child for child in here.children if child.kind == kind), None) if here else None
        return here

    def below(self, kinds: frozenset[bytes]) -> Iterator[Box]:
        """All boxes of ``kinds`` at any depth, in the order of the file."""
        for child in self.children:
            if child.kind in kinds:
                yield child
            yield from child.below(kinds)


@dataclass(frozen=True, slots=True)
class Span:
    """Where a top-level box lies in a file: ``start`` and ``size`` in bytes, ``header`` of them before the content."""

    kind: bytes
    start: int
    header: int
    size: int

    @property
    def end(self) -> int:
        return self.start + self.size


def header(data: bytes, at: int, start: int, end: int) -> Span:
    """The header in ``data[at:]`` of a box that begins at ``start`` of a stretch that ends at ``end``.

    A 32-bit size of 1 means that 64 bits follow, 0 that the box goes to the end. Raises MalformedError.
    """
    size, kind = struct.unpack_from(">I4s", data, at) if len(data) - at >= 8 else (0, b"")
    length = 8
    if size == 1 and kind and len(data) - at >= 16:
        length, size = 16, struct.unpack_from(">Q", data, at + 8)[0]
    elif size == 0 and kind:
        size = end - start
    if size < length or start + size > end:
        raise MalformedError(f"box {kind!r} at byte {start} claims {size} bytes of {end - start}")
    return Span(kind, start, length, size)


def top_level(file: IO[bytes]) -> list[Span]:
    """The boxes of a whole file, by their headers alone. Raises MalformedError."""
    end = file.seek(0, 2)
    spans: list[Span] = []
    at = 0
    while at < end:
        file.seek(at)
        spans.append(header(file.read(16), 0, at, end))
        at = spans[-1].end
    return spans


def parse(data: bytes, start: int = 0, end: int | None = None) -> list[Box]:
    """The boxes that fill ``data[start:end]``, containers opened. Raises MalformedError."""
    return _children(data, start, len(data) if end is None else end)[0]


def _children(data: bytes, start: int, end: int, slack: int = 0) -> tuple[list[Box], bytes]:
    """The boxes of ``data[start:end]`` and what is left over, at most ``slack`` bytes."""
    found: list[Box] = []
    while end - start > slack:
        span = header(data, start, start, end)
        found.append(_box(data, span))
        start = span.end
    return found, data[start:end]


def _box(data: bytes, span: Span) -> Box:
    inside, ahead = span.start + span.header, CONTAINERS.get(span.kind)
    if ahead is None:
        return Box(span.kind, data[inside : span.end])
    if inside + ahead > span.end:
        raise MalformedError(f"box {span.kind!r} at byte {span.start} is too short: {span.size} bytes")
    children, tail = _children(data, inside + ahead, span.end, slack=7 if span.kind in VIDEO_ENTRIES else 0)
    return Box(span.kind, data[inside : inside + ahead], children, tail)


def move_chunks(index: Box, after: int, by: int) -> None:
    """Add ``by`` to every absolute offset of ``index`` (moov, moof or mfra) that is ``after`` or more, in place.

    Tables: stco and co64 of a moov, base data offsets in the tfhd of a moof, tfra of an mfra (14496-12 §8.7.5,
    §8.8.7, §8.8.10). An stco that would overflow becomes a co64: the index is longer then, so look at it again.
    """
    for table in index.below(frozenset({b"stco", b"co64"})):
        offsets = [at + by if at >= after else at for at in chunk_offsets(table)]
        if max(offsets, default=0) > LAST:
            table.kind = b"co64"
        letter = "Q" if table.kind == b"co64" else "I"
        table.data = table.data[: FULL + 4] + struct.pack(f">{len(offsets)}{letter}", *offsets)
    for start in index.below(frozenset({b"tfhd"})):
        if start.data[3] & 1:
            base = struct.unpack_from(">Q", start.data, 8)[0]
            start.data = start.data[:8] + struct.pack(">Q", base + by * (base >= after)) + start.data[16:]
    for entries in index.below(frozenset({b"tfra"})):
        entries.data = _moved_tfra(entries.data, after, by)


def chunk_offsets(table: Box) -> list[int]:
    """The offsets of an stco or co64. Raises MalformedError when its count is not true."""
    letter, width = ("Q", 8) if table.kind == b"co64" else ("I", 4)
    count = struct.unpack_from(">I", table.data, FULL)[0] if len(table.data) >= FULL + 4 else -1
    if len(table.data) != FULL + 4 + count * width:
        raise MalformedError(f"{table.kind!r} says {count} chunks in {len(table.data)} bytes")
    return list(struct.unpack_from(f">{count}{letter}", table.data, FULL + 4))


def _moved_tfra(data: bytes, after: int, by: int) -> bytes:
    """A tfra with the offsets of its moofs moved; its entries are (time, moof offset, three numbers of 1-4 bytes)."""
    sizes, count = struct.unpack_from(">II", data, 8)
    wide = data[0] == 1
    step = (16 if wide else 8) + sum((sizes >> shift & 3) + 1 for shift in (4, 2, 0))
    out = bytearray(data)
    for at in range(16, 16 + count * step, step):
        place, letter = (at + 8, ">Q") if wide else (at + 4, ">I")
        moof = struct.unpack_from(letter, out, place)[0]
        struct.pack_into(letter, out, place, moof + by if moof >= after else moof)
    return bytes(out)
