"""A small writer of fragmented MP4 (ISO/IEC 14496-12 and -15) with zero hold-back: one H.264 track.

init        ftyp, moov     from the parameter sets of the first IDR
fragment    moof, mdat     as many frames as came, playable as soon as it is written
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from fractions import Fraction

SPS, PPS, IDR, AUD = 7, 8, 5, 9
KEY_SAMPLE, DELTA_SAMPLE = 0x02000000, 0x01010000  # depends on nothing | depends on others, not a sync sample
TICKS = 1000  # per frame duration's denominator: leaves room for players that dislike coarse time scales
IDENTITY = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


def box(kind: str, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind.encode() + body


def full(kind: str, version: int, flags: int, *parts: bytes) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def nal_units(unit: bytes) -> list[bytes]:
    """The NAL units of an Annex B access unit, without start codes."""
    found, at = [], unit.find(b"\0\0\1")
    while at >= 0:
        following = unit.find(b"\0\0\1", at + 3)
        end = len(unit) if following < 0 else following
        found.append(unit[at + 3 : end].rstrip(b"\0") if following >= 0 else unit[at + 3 :])
        at = following
    return [nal for nal in found if nal]


def parameter_sets(unit: bytes) -> tuple[bytes, bytes]:
    """SPS and PPS of an access unit that begins with an IDR."""
    by_type = {nal[0] & 31: nal for nal in nal_units(unit)}
    if SPS not in by_type or PPS not in by_type:
        raise ValueError(f"the first access unit must carry SPS and PPS, got NAL types {sorted(by_type)}")
    return by_type[SPS], by_type[PPS]


def codec_string(unit: bytes) -> str:
    """``avc1.PPCCLL`` of an IDR access unit: profile, constraints and level from its SPS."""
    return "avc1." + parameter_sets(unit)[0][1:4].hex().upper()


def sample(unit: bytes) -> bytes:
    """An access unit as MP4 stores it: length-prefixed, parameter sets and delimiters left to the init segment."""
    kept = [nal for nal in nal_units(unit) if nal[0] & 31 not in (SPS, PPS, AUD)]
    return b"".join(struct.pack(">I", len(nal)) + nal for nal in kept)


class Track:
    """One video track of constant frame rate; ``first_unit`` is its first access unit, an IDR."""

    def __init__(self, width: int, height: int, rate: Fraction, first_unit: bytes) -> None:
        self.width, self.height = width, height
        self.timescale, self.duration = rate.numerator * TICKS, rate.denominator * TICKS
        self.sequence = 0
        self.init = _init(self, *parameter_sets(first_unit))

    def fragment(self, units: Sequence[bytes], first: int, key: bool) -> bytes:
        """`moof` and `mdat` of consecutive frames; ``first`` is the number of the first one, from 0."""
        self.sequence += 1
        samples = [sample(unit) for unit in units]
        rows = b"".join(
            struct.pack(">III", self.duration, len(data), KEY_SAMPLE if key and i == 0 else DELTA_SAMPLE)
            for i, data in enumerate(samples)
        )
        offset = 0
        for _ in range(2):  # the offset is the length of the moof it stands in
            run = full("trun", 0, 0x000701, struct.pack(">Ii", len(samples), offset), rows)
            traf = box(
                "traf",
                full("tfhd", 0, 0x020000, struct.pack(">I", 1)),
                full("tfdt", 1, 0, struct.pack(">Q", first * self.duration)),
                run,
            )
            moof = box("moof", full("mfhd", 0, 0, struct.pack(">I", self.sequence)), traf)
            offset = len(moof) + 8
        return moof + box("mdat", *samples)


def _init(track: Track, sps: bytes, pps: bytes) -> bytes:
    avcc = box(
        "avcC", b"\x01", sps[1:4], b"\xff\xe1", struct.pack(">H", len(sps)), sps,
        b"\x01", struct.pack(">H", len(pps)), pps,
    )  # fmt: skip
    colr = box("colr", b"nclx", struct.pack(">HHHB", 1, 1, 1, 0))  # BT.709, limited range
    entry = box(
        "avc1",
        bytes(6), struct.pack(">H", 1), bytes(16), struct.pack(">HH", track.width, track.height),
        struct.pack(">IIIH", 0x480000, 0x480000, 0, 1), bytes(32), struct.pack(">Hh", 24, -1), avcc, colr,
    )  # fmt: skip
    none = struct.pack(">I", 0)
    table = box(
        "stbl",
        full("stsd", 0, 0, struct.pack(">I", 1), entry),
        full("stts", 0, 0, none), full("stsc", 0, 0, none),
        full("stsz", 0, 0, none, none), full("stco", 0, 0, none),
    )  # fmt: skip
    here = full("url ", 0, 1)
    info = box("dinf", full("dref", 0, 0, struct.pack(">I", 1), here))
    media = box(
        "mdia",
        full("mdhd", 0, 0, struct.pack(">IIIIHH", 0, 0, track.timescale, 0, 0x55C4, 0)),
        full("hdlr", 0, 0, none, b"vide", bytes(12), b"unreel\0"),
        box("minf", full("vmhd", 0, 1, bytes(8)), info, table),
    )
    header = full(
        "tkhd", 0, 3, struct.pack(">IIIII", 0, 0, 1, 0, 0), bytes(8), struct.pack(">hhhH", 0, 0, 0, 0), IDENTITY,
        struct.pack(">II", track.width << 16, track.height << 16),
    )  # fmt: skip
    movie = full(
        "mvhd", 0, 0, struct.pack(">IIIIIH", 0, 0, track.timescale, 0, 0x10000, 0x100), bytes(10), IDENTITY,
        bytes(24), struct.pack(">I", 2),
    )  # fmt: skip
    extends = box("mvex", full("trex", 0, 0, struct.pack(">IIIII", 1, 1, 0, 0, 0)))
    brand = box("ftyp", b"iso6", struct.pack(">I", 1), b"iso6", b"avc1", b"mp41")
    return brand + box("moov", movie, box("trak", header, media), extends)
