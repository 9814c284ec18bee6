"""What a panorama session can be sent: a view of the world, where somebody looks, and the kind of place.

A view is ``{"frames": uint8 (N, H, W, 3), "cameras": (N, 4) roll, pitch, yaw, fov_x in degrees}``; one camera serves
all frames. A single frame is a photograph and stays in force; a clip plays once, one frame per frame of the world, from
the window that first obeys it, and may be followed by the next before it ends.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from unreel.engine.errors import UserError
from unreel.engine.types import Chunk
from unreel.modalities.panorama.cube import FACES, axes
from unreel.modalities.panorama.view import shares


class ViewControl:
    """What is known of the world: frames and the cameras that took them."""

    def check(self, value: Any) -> dict[str, Tensor] | None:
        """The view as tensors, with the ``shares`` (N, 6) of the faces that each frame covers; None takes it away.

        Raises:
            UserError: something else than frames and cameras, or counts that do not fit.
        """
        if value is None:
            return None
        if not isinstance(value, Mapping) or set(value) != {"frames", "cameras"}:
            raise UserError("a view is {'frames': uint8 (N, H, W, 3), 'cameras': (N, 4) roll, pitch, yaw, fov_x}")
        frames_NHWC = torch.as_tensor(value["frames"])
        if frames_NHWC.ndim != 4 or frames_NHWC.shape[-1] != 3 or frames_NHWC.dtype != torch.uint8:
            raise UserError(f"a view's frames are uint8 (N, H, W, 3), got {frames_NHWC.dtype} {_shape(frames_NHWC)}")
        if 0 in frames_NHWC.shape:
            raise UserError(f"a view needs at least one frame, got {_shape(frames_NHWC)}")
        cameras = torch.as_tensor(value["cameras"], dtype=torch.float32)
        cameras = cameras[None] if cameras.ndim == 1 else cameras
        if cameras.ndim != 2 or cameras.shape[1] != 4 or not bool(cameras.isfinite().all()):
            raise UserError(f"cameras are finite numbers (N, 4): roll, pitch, yaw, fov_x; got {_shape(cameras)}")
        bad = [fov for fov in cameras[:, 3].tolist() if not 0 < fov < 180]
        if bad:
            raise UserError(f"a field of view lies between 0 and 180 degrees, both excluded; got {bad[0]:g}")
        if len(cameras) not in (1, len(frames_NHWC)):
            raise UserError(f"a view has one camera per frame, or one for all: {len(frames_NHWC)} frames came with "
                            f"{len(cameras)} cameras")  # fmt: skip
        cameras = cameras.expand(len(frames_NHWC), 4).contiguous()
        return {"frames": frames_NHWC, "cameras": cameras, "shares": shares(cameras, *frames_NHWC.shape[1:3])}


class GazeControl:
    """Where somebody looks: [yaw, pitch] in degrees, more numbers (roll, fov) are ignored. None looks nowhere."""

    def check(self, value: Any) -> list[float] | None:
        """Raises UserError for anything but two or more finite numbers."""
        if value is None:
            return None
        numbers = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else []
        if len(numbers) < 2 or not all(isinstance(n, int | float) and math.isfinite(n) for n in numbers):
            raise UserError(f"camera takes [yaw, pitch] in degrees, as in [90, 0]; got {value!r}")
        return [float(n) for n in numbers[:2]]


def faced(gaze: Sequence[float]) -> str:
    """The face that somebody looking at (yaw, pitch) in degrees looks at."""
    yaw, pitch = (math.radians(angle) for angle in gaze)
    ray = (-math.sin(yaw) * math.cos(pitch), math.sin(pitch), math.cos(yaw) * math.cos(pitch))
    return FACES[int((axes()[:, 0] @ torch.tensor(ray, dtype=torch.float64)).argmax())]


class PlaceCondition:
    """The named kind of place a world is: one of ``names``, told as its number; not told is ``len(names)``."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        if not self.names:
            raise UserError("a place condition needs a list of names")

    def check(self, value: Any) -> str:
        """Raises UserError for a name that the model does not know."""
        if value not in self.names:
            raise UserError(f"place is one of {', '.join(self.names)}; got {value!r}")
        return str(value)

    def encode(self, value: str | None, chunk: Chunk, since: int) -> Tensor:
        return self.null(chunk) if value is None else torch.tensor(self.names.index(value))

    def null(self, chunk: Chunk) -> Tensor:
        return torch.tensor(len(self.names))


def _shape(tensor: Tensor) -> tuple[int, ...]:
    return tuple(tensor.shape)
