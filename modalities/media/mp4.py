"""MP4 files, written chunk by chunk: H.264, yuv420p, BT.709, limited range.

While frames come, ``NAME.mp4.part`` is a fragmented MP4: when ``write`` returns, all frames but the last are on disk
and playable (a frame's length is known when the next one comes), so even a killed process leaves a film. ``close``
copies the packets into a plain MP4 with its index in front (it starts at once in a browser) and moves that to
``NAME.mp4`` in one step.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.video.reformatter import Interpolation

from unreel.modalities.media.colour import tag_709, to_yuv709
from unreel.modalities.media.frames import Frames, enlarge
from unreel.modalities.media.spherical import SphericalInfo, write_spherical
from unreel.modalities.media.writer import FrameWriter

FRAGMENTED = {"movflags": "frag_every_frame+empty_moov+default_base_moof", "flush_packets": "1"}
# zerolatency: a frame leaves the encoder in the call it came with, and there are no B frames.
ENCODER = {"preset": "veryfast", "tune": "zerolatency"}


class Mp4Writer(FrameWriter):
    """An MP4 file. ``crf`` is x264's quality: 0 lossless, 18 visually clean, 51 worst.

    ``spherical`` tells players that the film surrounds the viewer; written at every end but a kill.
    Sizes that are odd after scaling (yuv420p needs even ones) get one more row or column, a copy of the last.
    Encoding uses one thread: it takes about a millisecond per frame and the cores belong to the model.
    """

    suffixes: tuple[str, ...] = (".mp4", ".m4v", ".mov")
    codec: str = "libx264"
    encoder: Mapping[str, str] = ENCODER

    def __init__(
        self,
        path: str | os.PathLike[str],
        fps: float,
        scale: int | None = None,
        crf: int = 18,
        spherical: SphericalInfo | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(path, fps, scale, **kwargs)
        self.spherical = spherical
        self.rate = Fraction(self.fps).limit_denominator(1001)
        self.crf = crf
        self._container: Any = None
        self._stream: Any = None

    def _open(self, height: int, width: int) -> None:
        assert self.scale is not None, "the scale is known before _open"
        self._container = av.open(str(self.part), "w", format="mp4", options=FRAGMENTED)
        stream = self._container.add_stream(self.codec, rate=self.rate, options={**self.encoder, "crf": str(self.crf)})
        stream.height, stream.width = (side * self.scale + side * self.scale % 2 for side in (height, width))
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.thread_count = 1
        context.gop_size = max(1, round(self.fps * 2))  # a seek lands within two seconds
        tag_709(context)
        self._stream = stream

    def _write(self, frame_HWC: Frames) -> None:
        self._container.mux(self._stream.encode(self._to_yuv(frame_HWC)))

    def _to_yuv(self, frame_HWC: Frames) -> av.VideoFrame:
        """RGB to BT.709 limited range; a whole factor is enlarged by nearest pixel in the same pass."""
        scale = self.scale or 1
        if (frame_HWC.shape[0] * scale) % 2 or (frame_HWC.shape[1] * scale) % 2:
            frame_HWC = _pad_even(enlarge(frame_HWC, scale))
            scale = 1
        method = Interpolation.POINT if scale > 1 else Interpolation.BICUBIC  # bicubic only halves the chroma here
        return to_yuv709(frame_HWC, self._stream.width, self._stream.height, method)

    def _finish(self, keep: bool) -> None:
        self._container.mux(self._stream.encode())
        self._container.close()
        if self.spherical is not None:
            write_spherical(self.part, self.spherical)
        if not keep:
            return
        final = self.path.with_name(self.path.name + ".final.part")
        try:
            self._remux(str(self.part), str(final))
            os.replace(final, self.path)
            self.part.unlink()
        finally:
            final.unlink(missing_ok=True)

    def _remux(self, source: str, target: str) -> None:
        """A plain MP4 with its index in front from the fragmented one."""
        copy_packets(source, target, "mp4", self.rate, {"movflags": "faststart"})
        if self.spherical is not None:
            write_spherical(target, self.spherical)


def _pad_even(frame_HWC: Frames) -> Frames:
    """The frame with its last row or column repeated where the size is odd."""
    height, width, _ = frame_HWC.shape
    return np.pad(frame_HWC, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")


def copy_packets(
    source: str,
    target: str,
    kind: str,
    rate: Fraction,
    options: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
) -> None:
    """The video of ``source``, ``rate`` frames per second, in a new container; ``metadata`` are tags of its track."""
    with av.open(source) as fragments, av.open(target, "w", format=kind, options=options or {}) as plain:
        stream = fragments.streams.video[0]
        copy = plain.add_stream_from_template(stream)
        copy.metadata.update(metadata or {})
        for packet in fragments.demux(stream):
            if packet.dts is not None:
                packet.duration = packet.duration or round(1 / (rate * packet.time_base))  # not all codecs tell
                packet.stream = copy
                plain.mux(packet)
