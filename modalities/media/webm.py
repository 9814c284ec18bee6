"""WebM files, written chunk by chunk: VP9, yuv420p, BT.709, limited range.

Made as mp4.py makes an MP4: while frames come ``NAME.webm.part`` is a fragmented MP4 with VP9 in it, playable at any
time, and the end copies its packets into a WebM. That detour also carries spherical metadata: PyAV cannot give it to
libavformat's muxer, but the sv3d box that we write into the MP4 is read by libavformat as side data of the stream and
comes out as Matroska's own Projection element. The tag of version 1 is written beside it.
"""

from __future__ import annotations

import os
from typing import Any

from unreel.modalities.media import ebml
from unreel.modalities.media.mp4 import Mp4Writer, copy_packets
from unreel.modalities.media.projection import SphericalInfo, to_xml

# No look-ahead and no hidden frames: a frame leaves the encoder in the call it came with.
ENCODER = {"deadline": "realtime", "cpu-used": "6", "lag-in-frames": "0", "auto-alt-ref": "0", "b": "0"}


class WebmWriter(Mp4Writer):
    """A WebM file. ``crf`` is libvpx's quality: 4 best, 63 worst."""

    suffixes = (".webm",)
    codec, encoder = "libvpx-vp9", ENCODER

    def __init__(
        self,
        path: str | os.PathLike[str],
        fps: float,
        scale: int | None = None,
        crf: int = 20,
        spherical: SphericalInfo | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(path, fps, scale, crf, spherical, **kwargs)

    def _remux(self, source: str, target: str) -> None:
        xml = to_xml(self.spherical) if self.spherical is not None and 1 in self.spherical.versions else None
        copy_packets(source, target, "webm", self.rate, metadata={ebml.V1_TAG: xml} if xml else None)
