"""H.264 for live streams: Annex B with parameter sets in every IDR, and the same packed into fMP4 fragments.

x264 `ultrafast` + `zerolatency`: a frame leaves the encoder in the call it came with. PyAV's own MP4 muxer would
withhold the last frame of every burst, so the fragments come from `fmp4.py`.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.frame import PictureType

from unreel.modalities.media.colour import tag_709, to_yuv709
from unreel.modalities.media.frames import Frames
from unreel.streaming.media import fmp4
from unreel.streaming.media.base import Encoded
from unreel.streaming.protocol import Media

OPTIONS = {"preset": "ultrafast", "tune": "zerolatency", "crf": "19"}
KEY_EVERY_S = 2.0  # seconds between IDRs nobody asked for
SMALL = 128  # pixels; smaller frames are doubled, so that halved chroma (4:2:0) still has every pixel's colour


class H264Encoder:
    """Annex B, one access unit per frame, yuv420p BT.709. Odd sizes get one more row or column."""

    format = "h264"

    def __init__(self, height: int, width: int, fps: float) -> None:
        self.scale = 2 if height < SMALL else 1
        self.height, self.width = (side * self.scale + side * self.scale % 2 for side in (height, width))
        self.fps = fps
        self.rate = Fraction(fps).limit_denominator(1001)
        self.count = 0
        self.since_key = 0
        self.codec = ""
        self._context = self._open()

    def _open(self) -> VideoCodecContext:
        context = av.CodecContext.create("libx264", "w")
        context.width, context.height, context.pix_fmt = self.width, self.height, "yuv420p"
        context.framerate, context.time_base = self.rate, 1 / self.rate
        context.thread_count, context.gop_size = 1, 100_000  # IDRs are asked for, never left to chance
        tag_709(context)
        context.options = dict(OPTIONS)
        return context

    def units(self, frames_THWC: Frames, key: bool) -> tuple[list[bytes], bool]:
        """One Annex B access unit per frame, and whether the first is an IDR."""
        key = key or self.count == 0 or self.since_key >= KEY_EVERY_S * self.fps
        units = []
        for index, frame_HWC in enumerate(frames_THWC):
            frame = self._to_yuv(frame_HWC)
            frame.pts = self.count
            frame.pict_type = PictureType.I if key and index == 0 else PictureType.NONE
            packets = self._context.encode(frame)
            assert len(packets) == 1, f"zerolatency gives one packet per frame, got {len(packets)}"
            units.append(bytes(packets[0]))
            self.count += 1
        self.since_key = len(units) if key else self.since_key + len(units)
        if key and units:
            self.codec = fmp4.codec_string(units[0])
        return units, key

    def encode(self, frames_THWC: Frames, key: bool) -> Encoded:
        units, key = self.units(frames_THWC, key)
        return Encoded(b"".join(units), tuple(map(len, units)), key)

    def describe(self) -> tuple[Media, bytes]:
        media = Media(
            format="h264", mime="video/h264", codec=self.codec, width=self.width, height=self.height, fps=self.fps
        )
        return media, b""

    def _to_yuv(self, frame_HWC: Frames) -> av.VideoFrame:
        if self.scale > 1:
            frame_HWC = frame_HWC.repeat(self.scale, axis=0).repeat(self.scale, axis=1)
        height, width, _ = frame_HWC.shape
        if (height, width) != (self.height, self.width):
            frame_HWC = np.pad(frame_HWC, ((0, self.height - height), (0, self.width - width), (0, 0)), mode="edge")
        return to_yuv709(frame_HWC, self.width, self.height)


class Fmp4Encoder(H264Encoder):
    """The same, one `moof`+`mdat` per chunk: for Media Source Extensions, players and files."""

    def __init__(self, height: int, width: int, fps: float) -> None:
        super().__init__(height, width, fps)
        self.track: Any = None

    def encode(self, frames_THWC: Frames, key: bool) -> Encoded:
        first = self.count
        units, key = self.units(frames_THWC, key)
        if self.track is None:
            self.track = fmp4.Track(self.width, self.height, self.rate, units[0])
        data = self.track.fragment(units, first, key)
        return Encoded(data, (len(data),), key)

    def describe(self) -> tuple[Media, bytes]:
        assert self.track is not None, "describe comes after the first chunk"
        init = self.track.init
        media = Media(
            format="fmp4", mime=f'video/mp4; codecs="{self.codec}"', codec=self.codec,
            width=self.width, height=self.height, fps=self.fps, bytes=len(init),
        )  # fmt: skip
        return media, init
