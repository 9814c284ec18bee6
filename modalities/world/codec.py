"""Frames to compact features and back, and what else the features tell: segmentation and depth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unreel.engine.errors import UserError
from unreel.engine.netfile import load_net, save_net
from unreel.modalities.media.frames import Frames, check_frames
from unreel.modalities.world.network import CELL, CLASSES, HEADS, CodecConfig, WorldCodecNet

BATCH = 64  # frames that go through the network at once


class WorldCodec:
    """Latents (T, C, h, w), float32, of mean 0 and variance 1; 8 pixels a cell, one latent a frame, no memory.

    ``outputs`` are what `read` can make of latents, ``axes`` the names of each one's axes after time, and ``classes``
    the meanings of a segmentation's numbers. It computes in float32 whatever the model does.

    Args:
        weights: a safetensors file that `save_codec` wrote; without it ``sizes`` of a network with random weights.
    """

    outputs: tuple[str, ...] = tuple(HEADS)
    axes: Mapping[str, tuple[str, ...]] = {
        "rgb": ("height", "width", "colour"), "segmentation": ("height", "width"), "depth": ("height", "width"),
    }  # fmt: skip
    classes: tuple[str, ...] = CLASSES

    def __init__(self, weights: str | None = None, sizes: Mapping[str, int] | None = None) -> None:
        if weights is not None:
            self.net = load_codec(Path(weights))
        else:
            with torch.random.fork_rng():
                torch.manual_seed(0)
                self.net = WorldCodecNet(CodecConfig(**(sizes or {})))
        self.net.requires_grad_(False).eval()

    @classmethod
    def of(cls, net: WorldCodecNet) -> WorldCodec:
        """The codec of a network, in float32 and not to be trained any more; the network itself is left alone."""
        codec = cls(sizes=asdict(net.config))
        codec.net.load_state_dict(net.state_dict())
        return codec

    def bind(self, device: str, dtype: torch.dtype) -> None:
        """Put the network where the model is."""
        self.net.to(device)

    def latent_shape(self, frames: int, height: int, width: int) -> tuple[int, ...]:
        """Shape (T, C, h, w) of the latents of so many frames; UserError when a cell does not divide the size."""
        if height % CELL or width % CELL:
            raise UserError(f"frame height and width must be multiples of {CELL} (a cell), got {height}x{width}")
        return frames, self.net.config.channels, height // CELL, width // CELL

    def encode(self, media: Frames) -> Tensor:
        """Latents of uint8 frames (T, H, W, 3). UserError for anything else."""
        frames_THWC = check_frames(np.asarray(media), None)
        self.latent_shape(*frames_THWC.shape[:3])
        with torch.no_grad():
            parts = torch.from_numpy(np.ascontiguousarray(frames_THWC)).split(BATCH)
            return torch.cat([self.net.encode(to_pixels(part).to(self.net.mean.device)) for part in parts]).contiguous()

    def new_state(self) -> dict[str, Tensor]:
        """The state before the first chunk: nothing."""
        return {}

    def decode(self, latents: Tensor, state: dict[str, Tensor]) -> tuple[Frames, dict[str, Tensor]]:
        """Frames (T, H, W, 3) of latents (T, C, h, w)."""
        frames_THWC: Frames = np.asarray(self.read("rgb", latents), dtype=np.uint8)
        return frames_THWC, state

    def read(self, name: str, latents: Tensor) -> NDArray[np.uint8] | NDArray[np.float32]:
        """One output of latents (T, C, h, w) on any device.

        ``rgb``: uint8 (T, H, W, 3). ``segmentation``: uint8 (T, H, W), numbers of ``classes``. ``depth``: float32
        (T, H, W) in steps of the game's depth buffer, along the viewing direction.

        Raises:
            UserError: a name that is not in ``outputs``, or latents of another shape.
        """
        if name not in self.outputs:
            raise UserError(f"this codec reads {', '.join(self.outputs)}; got {name!r}")
        if latents.ndim != 4 or latents.shape[1] != self.net.config.channels:
            raise UserError(
                f"expected latents (time, {self.net.config.channels}, height, width), got {tuple(latents.shape)}"
            )
        with torch.inference_mode():
            parts = latents.detach().to(self.net.mean.device, torch.float32).split(BATCH)
            return np.concatenate([self._read(name, part) for part in parts])

    def _read(self, name: str, latents: Tensor) -> NDArray[np.uint8] | NDArray[np.float32]:
        found = self.net.head(name, self.net.features(self.net.raw(latents))).float().cpu()
        if name == "rgb":
            pixels = ((found + 1.0) * 127.5).round_().clamp_(0, 255).to(torch.uint8)
            return pixels.movedim(1, -1).contiguous().numpy()
        return found.argmax(1).to(torch.uint8).numpy() if name == "segmentation" else found[:, 0].exp().numpy()


def to_pixels(frames_NHWC: Tensor) -> Tensor:
    """uint8 frames (N, H, W, 3) as pixels (N, 3, H, W) in -1..1."""
    return frames_NHWC.movedim(-1, 1).float() / 127.5 - 1.0


def save_codec(net: WorldCodecNet, path: Path, *, half: bool = False) -> None:
    """Write the network and its sizes; its numbers in float16 if ``half`` (it computes in float32 all the same)."""
    save_net(net, path, "world codec", half=half)


def load_codec(path: Path) -> WorldCodecNet:
    """The network that `save_codec` wrote.

    Raises:
        UserError: the file is not there, or is none.
    """
    return load_net(path, "world codec", lambda sizes: WorldCodecNet(CodecConfig(**sizes)))
