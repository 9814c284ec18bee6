"""What a film says of its place on the sphere, and the bytes it says it in: Google's RFCs, versions 1 and 2.

version 1   RDF/XML, equirectangular only; in MP4 a uuid box of the track, in WebM the tag SPHERICAL-VIDEO
version 2   boxes of an MP4's sample entry: st3d, sv3d { svhd, proj { prhd, equi or cbmp } }; Projection in WebM

There is no name for an equi-angular cubemap in either: such a film carries none. Sources: github.com/google/
spatial-media, docs/spherical-video-rfc.md and docs/spherical-video-v2-rfc.md; RFC 9559 (ProjectionType).
"""

from __future__ import annotations

import re
import struct
import uuid
from dataclasses import dataclass, replace
from xml.sax.saxutils import escape, unescape

from unreel.engine.errors import UserError
from unreel.modalities.media.boxes import FULL, Box

V1_UUID = uuid.UUID("ffcc8263-f855-4a93-8814-587a02521fdd").bytes
STEREO = ("mono", "top-bottom", "left-right", "custom", "right-left")  # by their number in st3d
STEREO_WEBM = {0: "mono", 1: "left-right", 3: "top-bottom", 11: "right-left"}  # by StereoMode
PROJECTIONS_WEBM = ("rectangular", "equirectangular", "cubemap", "mesh")  # by ProjectionType
PROJECTIONS_MP4 = {b"equi": "equirectangular", b"cbmp": "cubemap", b"mshp": "mesh"}
NAMESPACES = (
    'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" '
    'xmlns:GSpherical="http://ns.google.com/videos/1.0/spherical/"'
)


@dataclass(frozen=True, slots=True)
class SphericalInfo:
    """How a film's pictures lie on the sphere.

    ``projection``: equirectangular or cubemap (others are only ever read); ``stereo``: one of STEREO; ``yaw``,
    ``pitch``, ``roll``: degrees as in the file; ``crop``: how much of the whole panorama is missing at the top, bottom,
    left and right, 0..1; ``padding`` of cube faces in pixels; ``source``: who says so; ``versions`` of the metadata
    (to write, or found). Version 1 cannot name cubemaps and crops and is left out for them.
    """

    projection: str = "equirectangular"
    stereo: str = "mono"
    yaw: float = 0.0
    pitch: float = 0.0
    roll: float = 0.0
    crop: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    padding: int = 0
    source: str = "unreel"
    versions: tuple[int, ...] = (1, 2)

    def __post_init__(self) -> None:
        if self.stereo not in STEREO:
            raise UserError(f"stereo must be one of {', '.join(STEREO)}, got {self.stereo!r}")
        if not self.versions or not set(self.versions) <= {1, 2}:
            raise UserError(f"spherical metadata has versions 1 and 2, got {self.versions}")


def to_xml(info: SphericalInfo) -> str | None:
    """Version 1, or None for what it cannot say (cubemaps, cropped panoramas, other stereo)."""
    if info.projection != "equirectangular" or any(info.crop) or info.stereo not in STEREO[:3]:
        return None
    fields = {"Spherical": "true", "Stitched": "true", "StitchingSoftware": escape(info.source)}
    fields |= {"ProjectionType": "equirectangular", "StereoMode": info.stereo}
    angles = {"Heading": info.yaw, "Pitch": info.pitch, "Roll": info.roll}
    fields |= {f"InitialView{name}Degrees": str(round(angle)) for name, angle in angles.items() if angle}
    inside = "".join(f"<GSpherical:{name}>{value}</GSpherical:{name}>" for name, value in fields.items())
    return f'<?xml version="1.0"?><rdf:SphericalVideo {NAMESPACES}>{inside}</rdf:SphericalVideo>'


def from_xml(text: str) -> SphericalInfo | None:
    """What version 1 says; None for text that does not call itself spherical."""
    fields = {name: unescape(value.strip()) for name, value in re.findall(r"<GSpherical:(\w+)>([^<]*)<", text)}
    if fields.get("Spherical", "").lower() != "true":
        return None
    stereo = fields.get("StereoMode", "mono").lower()
    return SphericalInfo(
        fields.get("ProjectionType", "unknown").lower(),
        stereo if stereo in STEREO else "custom",
        _number(fields.get("InitialViewHeadingDegrees", "")),
        _number(fields.get("InitialViewPitchDegrees", "")),
        _number(fields.get("InitialViewRollDegrees", "")),
        source=fields.get("StitchingSoftware", ""),
        versions=(1,),
    )


def to_boxes(info: SphericalInfo) -> list[Box]:
    """Version 2: st3d (stereo films only) and sv3d. Raises UserError for a projection that cannot be written."""
    full = bytes(FULL)
    if info.projection == "equirectangular":
        kind, fields = b"equi", struct.pack(">4I", *(min(round(part * 2**32), 2**32 - 1) for part in info.crop))
    elif info.projection == "cubemap":
        kind, fields = b"cbmp", struct.pack(">II", 0, info.padding)  # layout 0: right left up / down front back
    else:
        raise UserError(f"projection must be equirectangular or cubemap, got {info.projection!r}")
    pose = struct.pack(">3i", *(round(angle * 65536) for angle in (info.yaw, info.pitch, info.roll)))
    projection = Box(b"proj", children=[Box(b"prhd", full + pose), Box(kind, full + fields)])
    sphere = Box(b"sv3d", children=[Box(b"svhd", full + info.source.encode() + b"\0"), projection])
    return [sphere] if info.stereo == "mono" else [Box(b"st3d", full + bytes([STEREO.index(info.stereo)])), sphere]


def from_boxes(entry: Box) -> SphericalInfo | None:
    """What version 2 says in a sample entry; None without sv3d. Raises struct.error when a box is cut off."""
    stereo, sphere = entry.find(b"st3d"), entry.find(b"sv3d")
    if sphere is None:
        return None
    header, pose, projection = sphere.find(b"svhd"), sphere.find(b"proj", b"prhd"), sphere.find(b"proj")
    yaw, pitch, roll = struct.unpack_from(">3i", pose.data, FULL) if pose else (0, 0, 0)
    kind = next((box for box in projection.children if box.kind in PROJECTIONS_MP4), None) if projection else None
    info = SphericalInfo(
        PROJECTIONS_MP4[kind.kind] if kind else "unknown",
        _at(STEREO, struct.unpack_from(">B", stereo.data, FULL)[0], "custom") if stereo else "mono",
        *(yaw / 65536, pitch / 65536, roll / 65536),
        source=header.data[FULL:].rstrip(b"\0").decode(errors="replace") if header else "",
        versions=(2,),
    )
    return _with_fields(info, kind.data) if kind else info


def from_matroska(
    kind: int | None, private: bytes, pose: tuple[float, float, float], stereo: int
) -> SphericalInfo | None:
    """What a Projection element says (``kind`` None: there is none), and the track's StereoMode."""
    if kind in (None, 0):  # 0: an ordinary rectangular picture
        return None
    assert kind is not None
    name, eyes = _at(PROJECTIONS_WEBM, kind, "unknown"), STEREO_WEBM.get(stereo, "custom")
    info = SphericalInfo(name, eyes, *pose, source="", versions=(2,))
    return _with_fields(info, private) if private else info


def merged(first: SphericalInfo | None, second: SphericalInfo | None) -> SphericalInfo | None:
    """Both versions as one: the second wins, as the RFC says."""
    if first is None or second is None:
        return first or second
    return replace(second, source=second.source or first.source, versions=(1, 2))


def _with_fields(info: SphericalInfo, data: bytes) -> SphericalInfo:
    """Crop or padding from the content of an equi or cbmp box; WebM's ProjectionPrivate is the same bytes."""
    if info.projection == "equirectangular":
        top, bottom, left, right = (part / 2**32 for part in struct.unpack_from(">4I", data, FULL))
        return replace(info, crop=(top, bottom, left, right))
    if info.projection == "cubemap":
        layout, padding = struct.unpack_from(">II", data, FULL)
        return replace(info, padding=padding, projection="cubemap" if layout == 0 else f"cubemap layout {layout}")
    return info


def _at(names: tuple[str, ...], index: int, otherwise: str) -> str:
    return names[index] if index < len(names) else otherwise


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
