"""Another encoder behind the codec interface: features of a frozen DINOv2 (Oquab et al. 2023) from a local folder.

For world models that forecast such features (VFMF, DINO-WM). None is shipped: train a network on these latents, and a
head for what is to be read off them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unreel.engine.errors import UserError
from unreel.modalities.media.frames import Frames, check_frames

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, 0..1, as DINOv2 was trained
BATCH = 16  # frames that go through the network at once


class DinoCodec:
    """Latents (T, C, h, w), float32: patch features of ``layers`` (from 1; the last by default), each normalised by the
    network's own last norm, one after the other in C; a cell is a patch.

    ``folder`` is what ``transformers`` saves of a ``Dinov2Model``. There is no way back to pixels: `decode` shows the
    first three channels as colours.

    Raises:
        UserError: no such folder, another kind of model, or layers that it does not have.
    """

    outputs: tuple[str, ...] = ("features",)
    axes: Mapping[str, tuple[str, ...]] = {"features": ("channel", "row", "column")}
    classes: tuple[str, ...] = ()

    def __init__(self, folder: str, layers: Sequence[int] = ()) -> None:
        try:
            from transformers import Dinov2Model
        except ImportError:
            raise UserError("DINOv2 features need the package transformers: pip install transformers") from None
        if not (Path(folder) / "config.json").is_file():
            raise UserError(f"there is no config.json in {folder}: give the folder of a saved Dinov2Model")
        try:
            self.net: Any = Dinov2Model.from_pretrained(folder, local_files_only=True, use_safetensors=True)
        except (OSError, ValueError, RuntimeError) as error:
            raise UserError(f"{folder} is no Dinov2Model: {' '.join(str(error).split())[:200]}") from None
        config = self.net.config
        if config.model_type != "dinov2":
            raise UserError(f"{folder} holds a {config.model_type}, expected a dinov2")
        self.layers = tuple(layers) or (config.num_hidden_layers,)
        if not all(1 <= layer <= config.num_hidden_layers for layer in self.layers):
            raise UserError(f"this DINOv2 has layers 1 to {config.num_hidden_layers}, got {list(self.layers)}")
        self.patch, self.channels = int(config.patch_size), int(config.hidden_size) * len(self.layers)
        self.net.requires_grad_(False).eval()

    def bind(self, device: str, dtype: torch.dtype) -> None:
        """Put the network where the model is; it stays in float32."""
        self.net.to(device, torch.float32)

    def latent_shape(self, frames: int, height: int, width: int) -> tuple[int, ...]:
        """Shape (T, C, h, w) of the latents of so many frames; UserError when a patch does not divide the size."""
        if height % self.patch or width % self.patch:
            raise UserError(f"frame height and width must be multiples of {self.patch} (a patch), got {height}x{width}")
        return frames, self.channels, height // self.patch, width // self.patch

    def encode(self, media: Frames) -> Tensor:
        """Latents of uint8 frames (T, H, W, 3). UserError for anything else."""
        frames_THWC = check_frames(np.asarray(media), None)
        self.latent_shape(*frames_THWC.shape[:3])
        with torch.no_grad():
            parts = torch.from_numpy(np.ascontiguousarray(frames_THWC)).split(BATCH)
            return torch.cat([self._encode(part) for part in parts])

    def _encode(self, frames_NHWC: Tensor) -> Tensor:
        scale, shift = (torch.tensor(numbers)[:, None, None] for numbers in (STD, MEAN))
        pixels = (frames_NHWC.movedim(-1, 1).float() / 255 - shift) / scale
        states = self.net(pixels.to(self.net.device), output_hidden_states=True).hidden_states
        features = [self.net.layernorm(states[layer])[:, 1:] for layer in self.layers]  # without the class token
        rows, columns = (size // self.patch for size in frames_NHWC.shape[1:3])
        return torch.cat(features, -1).transpose(1, 2).unflatten(2, (rows, columns)).contiguous()

    def new_state(self) -> dict[str, Tensor]:
        """The state before the first chunk: nothing."""
        return {}

    def decode(self, latents: Tensor, state: dict[str, Tensor]) -> tuple[Frames, dict[str, Tensor]]:
        """False colours (T, H, W, 3): the first three channels, two standard deviations each way, a patch a square."""
        shown = (latents[:, :3].float() / 4 + 0.5).clamp(0, 1).mul(255).round().to(torch.uint8).movedim(1, -1).cpu()
        frames = shown.numpy().repeat(self.patch, 1).repeat(self.patch, 2)
        return np.ascontiguousarray(frames), state

    def read(self, name: str, latents: Tensor) -> NDArray[np.float32]:
        """``features``: the latents (T, C, h, w) as they are. UserError for another name."""
        if name not in self.outputs:
            raise UserError(f"this codec reads {', '.join(self.outputs)}; got {name!r}")
        return latents.detach().float().cpu().numpy()
