"""Frames as GIF, animated WebP or a sequence of PNG files, each written as the frames come."""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import IO, Any

import av
import imageio.v3 as imageio
import numpy as np
from PIL import GifImagePlugin, Image

from unreel.engine.errors import UserError
from unreel.modalities.media.frames import Frames, enlarge
from unreel.modalities.media.writer import FrameWriter


class GifWriter(FrameWriter):
    """An endlessly looping GIF, 256 colours chosen for every frame. An unfinished one plays in most viewers.

    GIF counts time in hundredths of a second; delays are rounded so that the whole film keeps its length.
    Above 50 frames per second viewers slow it down, so that is an error.
    """

    suffixes = (".gif",)

    def __init__(self, path: str | os.PathLike[str], fps: float, scale: int | None = None) -> None:
        if fps > 50:
            raise UserError(f"a GIF plays at most 50 frames per second, got {fps}; lower the fps or write an .mp4")
        super().__init__(path, fps, scale)
        self._file: IO[bytes] | None = None

    def _open(self, height: int, width: int) -> None:
        self._file = self.part.open("wb")

    def _write(self, frame_HWC: Frames) -> None:
        assert self._file is not None, "_open comes first"
        image = Image.fromarray(frame_HWC).quantize(256, dither=Image.Dither.NONE)
        if self.scale and self.scale > 1:
            image = image.resize((image.width * self.scale, image.height * self.scale), Image.Resampling.NEAREST)
        if self.frames == 0:
            self._file.writelines(GifImagePlugin.getheader(image, info={"loop": 0})[0])
        delay = round((self.frames + 1) * 100 / self.fps) - round(self.frames * 100 / self.fps)
        self._file.writelines(
            GifImagePlugin.getdata(image, (0, 0), duration=delay * 10, include_color_table=True, disposal=1)
        )
        self._file.flush()

    def _finish(self, keep: bool) -> None:
        assert self._file is not None, "_open comes first"
        self._file.write(b";")
        self._file.close()
        if keep:
            os.replace(self.part, self.path)


class WebpWriter(FrameWriter):
    """An endlessly looping WebP: lossless when pixels are enlarged (that is smaller, too), else quality 90.

    The format begins with the length of the whole, so the compressed frames wait in memory and an
    unfinished file does not play.
    """

    suffixes = (".webp",)

    def __init__(self, path: str | os.PathLike[str], fps: float, scale: int | None = None) -> None:
        super().__init__(path, fps, scale)
        self._container: Any = None
        self._stream: Any = None

    def _open(self, height: int, width: int) -> None:
        assert self.scale is not None, "the scale is known before _open"
        options = {"lossless": "1"} if self.scale > 1 else {"quality": "90"}
        self._container = av.open(str(self.part), "w", format="webp", options={"loop": "0"})
        rate = Fraction(self.fps).limit_denominator(1001)
        self._stream = self._container.add_stream("libwebp_anim", rate=rate, options=options)
        self._stream.height, self._stream.width = height * self.scale, width * self.scale
        self._stream.pix_fmt = "bgra"

    def _write(self, frame_HWC: Frames) -> None:
        pixels = np.ascontiguousarray(enlarge(frame_HWC, self.scale or 1))
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="bgra", threads=1)
        self._container.mux(self._stream.encode(frame))

    def _finish(self, keep: bool) -> None:
        self._container.mux(self._stream.encode())
        self._container.close()
        if keep:
            os.replace(self.part, self.path)


class PngWriter(FrameWriter):
    """One PNG per frame: ``dream.png`` becomes ``dream-00000.png``, ``dream-00001.png``, ... Each is whole or absent.

    Frames are stored as they are: ``scale`` None means 1 here. ``fps`` is checked, but PNG has no place for it.
    Files of an earlier, longer run are not removed.
    """

    suffixes = (".png",)

    def __init__(self, path: str | os.PathLike[str], fps: float, scale: int | None = None) -> None:
        super().__init__(path, fps, scale or 1)

    def frame_path(self, number: int) -> Path:
        """Where frame ``number`` (from 0) goes."""
        return self.path.with_name(f"{self.path.stem}-{number:05d}.png")

    def _open(self, height: int, width: int) -> None:
        pass

    def _write(self, frame_HWC: Frames) -> None:
        imageio.imwrite(self.part, enlarge(frame_HWC, self.scale or 1), extension=".png")
        os.replace(self.part, self.frame_path(self.frames))

    def _finish(self, keep: bool) -> None:
        self.part.unlink(missing_ok=True)
