"""What a panorama event carries: one face of one window, or a strip of it that changed when a neighbour was made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unreel.engine.errors import UserError
from unreel.modalities.media.frames import Frames
from unreel.modalities.panorama.cube import FACES


@dataclass(frozen=True)
class FacePatch:
    """``frames`` uint8 (T, height, width, 3) of one face, their top left pixel at row ``top``, column ``left`` of it.

    A whole face begins at 0, 0. ``camera`` is (roll, pitch, yaw, fov_x, fov_y) in degrees of the given view at the
    window's last frame, None where none is given. `UserError` for a face of no name or frames of another form.
    """

    face: str
    frames: Frames
    top: int = 0
    left: int = 0
    camera: tuple[float, float, float, float, float] | None = None

    def __post_init__(self) -> None:
        if self.face not in FACES or len(self.face) != 1:
            raise UserError(f"a face is one of {', '.join(FACES)}, got {self.face!r}")
        shape: tuple[int, ...] = tuple(getattr(self.frames, "shape", ()))
        if len(shape) != 4 or shape[3] != 3 or 0 in shape or self.frames.dtype != np.uint8:
            raise UserError(f"a patch is uint8 frames (time, height, width, 3), got {shape} of {_dtype(self.frames)}")
        if self.top < 0 or self.left < 0:
            raise UserError(f"a patch lies inside its face, got top {self.top} and left {self.left}")

    @property
    def height(self) -> int:
        return int(self.frames.shape[1])

    @property
    def width(self) -> int:
        return int(self.frames.shape[2])

    def check(self, size: int) -> None:
        """`UserError` unless the patch lies inside a face of ``size`` x ``size`` pixels."""
        if self.top + self.height > size or self.left + self.width > size:
            raise UserError(
                f"a patch of {self.width}x{self.height} pixels at row {self.top}, column {self.left} "
                f"does not fit a face of {size}x{size}"
            )

    def is_whole(self, size: int) -> bool:
        """Whether this is the whole face, not a strip of it."""
        return (self.top, self.left, self.height, self.width) == (0, 0, size, size)

    def paint(self, face_THWC: Frames) -> None:
        """Writes the patch into its place in the frames (T, size, size, 3) of its face."""
        self.check(min(face_THWC.shape[1:3]))
        face_THWC[:, self.top : self.top + self.height, self.left : self.left + self.width] = self.frames


def _dtype(frames: object) -> str:
    return str(getattr(frames, "dtype", type(frames).__name__))
