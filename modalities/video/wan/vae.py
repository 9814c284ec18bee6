"""The causal Wan VAE of diffusers as a codec: one latent at a time, its tails in a dict that the session owns.

The first latent of a stream is one frame, every later one four. diffusers keeps the tails of its causal convolutions
in a list that it passes to ``decoder(...)``; here that list is made from the session's state and turned back into it,
so nothing is kept in the module and any number of streams can share it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unreel.engine.errors import UserError
from unreel.modalities.media.frames import Frames
from unreel.modalities.video.wan.files import read_weights

REPEAT = "Rep"  # diffusers' mark of an upsampler that has seen exactly one latent


class WanCodec:
    """Latents (T, C, H, W), normalised as the transformer sees them, to frames and back.

    ``path`` is a diffusers folder or ``Wan2.1_VAE.pth``; ``tiny`` a TAEHV file that decodes instead of it (faster,
    coarser). With ``tiny`` alone there is nothing to encode a start with.
    """

    frames_per_latent = 4
    first_frames = 1

    def __init__(self, path: str | None = None, tiny: str | None = None, channels: int = 16) -> None:
        if path is None and tiny is None:
            raise UserError("the codec wan-vae needs `path` (a VAE) or `tiny` (a TAEHV file)")
        self.vae: Any = None if path is None else load_vae(Path(path))
        self.tiny: Any = None
        if tiny is not None:
            from unreel.modalities.video.wan.tiny import load_tiny

            self.tiny = load_tiny(Path(tiny))
        self.channels = channels if self.vae is None else self.vae.config.z_dim
        self.scale = 8 if self.vae is None else int(self.vae.spatial_compression_ratio)
        self.bind("cpu", torch.float32)

    def bind(self, device: str, dtype: torch.dtype) -> None:
        """Move to where the model is. Off CUDA it stays float32: its convolutions gain nothing from less."""
        self.device = torch.device(device)
        self.dtype = dtype if self.device.type == "cuda" else torch.float32
        for module in (self.vae, self.tiny):
            if module is not None:
                module.to(self.device)
                if next(module.parameters()).dtype != self.dtype:
                    module.to(self.dtype)
        if self.vae is not None:
            self._mean, self._deviation = self._statistics()

    def latent_shape(self, frames: int, height: int, width: int) -> tuple[int, ...]:
        """Shape (T, C, H, W) of so many latent frames; UserError for a size the transformer cannot cut into patches."""
        cell = 2 * self.scale
        if height % cell or width % cell:
            raise UserError(f"frame height and width must be multiples of {cell}, got {height}x{width}")
        return frames, self.channels, height // self.scale, width // self.scale

    def encode(self, media: Frames) -> Tensor:
        """Latents of uint8 frames (T, H, W, 3): the last 1 + 4n of them, one latent for the first, one for each 4."""
        if self.vae is None:
            raise UserError("a start needs the whole VAE; this model has a decoder (tiny) only")
        frames_THWC = torch.as_tensor(media)
        count = 1 + (len(frames_THWC) - 1) // 4 * 4
        x = frames_THWC[-count:].permute(3, 0, 1, 2)[None].to(self.device, self.dtype) / 127.5 - 1.0
        tails: list[Any] = [None] * sum(1 for _ in self.vae.encoder.modules())
        with torch.inference_mode():
            pieces = [x[:, :, :1], *(x[:, :, 1:].split(4, dim=2) if count > 1 else ())]
            out = torch.cat([self.vae.encoder(p, feat_cache=tails, feat_idx=[0]) for p in pieces], dim=2)
            mean = self.vae.quant_conv(out)[:, : self.channels]
        latents: Tensor = ((mean - self._mean) / self._deviation)[0].transpose(0, 1).float()
        return latents

    def new_state(self) -> dict[str, Tensor]:
        """Before the first latent: nothing."""
        return {}

    def decode(self, latents: Tensor, state: dict[str, Tensor]) -> tuple[Frames, dict[str, Tensor]]:
        """Frames (T, H, W, 3) of latents in stream order, and the tails after them."""
        x = latents.to(self.device, self.dtype)
        with torch.inference_mode():
            pixels_TCHW, state = self.tiny.step(x, state) if self.tiny is not None else self._step(x, state)
            pixels = ((pixels_TCHW.float() + 1.0) * 127.5).round_().clamp_(0, 255).to(torch.uint8)
        return pixels.permute(0, 2, 3, 1).contiguous().cpu().numpy(), state

    def _step(self, latents_TCHW: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        z = self.vae.post_quant_conv(latents_TCHW.transpose(0, 1)[None] * self._deviation + self._mean)
        tails = _tails(state, sum(1 for _ in self.vae.decoder.modules()))
        pixels = []
        for t in range(z.shape[2]):
            first = not state and t == 0
            out = self.vae.decoder(z[:, :, t : t + 1], feat_cache=tails, feat_idx=[0], first_chunk=first)
            pixels.append(out[0].transpose(0, 1))
        return torch.cat(pixels), _state(tails, z)

    def _statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation of the VAE's latents, per channel."""
        config = self.vae.config
        mean, deviation = (
            torch.tensor(x, device=self.device, dtype=self.dtype).view(1, -1, 1, 1, 1)
            for x in (config.latents_mean, config.latents_std)
        )
        return mean, deviation


def _tails(state: dict[str, Tensor], places: int) -> list[Any]:
    """The list that diffusers wants. An empty tensor stands for its mark."""
    tails: list[Any] = [None] * places
    for name, tensor in state.items():
        tails[int(name)] = tensor if tensor.numel() else REPEAT
    return tails


def _state(tails: list[Any], like: Tensor) -> dict[str, Tensor]:
    kept = {str(i): tail for i, tail in enumerate(tails) if tail is not None}
    return {name: like.new_zeros(0) if isinstance(tail, str) else tail.clone() for name, tail in kept.items()}


def load_vae(path: Path) -> Any:
    """diffusers' AutoencoderKLWan from its folder, or from an original ``Wan2.1_VAE.pth`` of any width.

    Raises:
        UserError: diffusers is not installed, or the file is no Wan 2.1 VAE.
    """
    try:
        import diffusers
    except ImportError:
        raise UserError("the Wan VAE needs diffusers: pip install 'unreel[wan]'") from None
    kind: Any = diffusers.AutoencoderKLWan
    if path.is_dir():
        vae = kind.from_pretrained(path, local_files_only=True, low_cpu_mem_usage=False)
    else:
        vae = _original(kind, dict(read_weights(path)), path)
    return vae.eval().requires_grad_(False)


def _original(kind: Any, tensors: dict[str, Tensor], path: Path) -> Any:
    from diffusers.loaders import single_file_utils

    renamed: Any = single_file_utils
    if "encoder.conv1.weight" not in tensors or "conv2.weight" not in tensors:
        raise UserError(f"{path} is no Wan 2.1 VAE: it has no encoder.conv1 and conv2")
    vae = kind(base_dim=tensors["encoder.conv1.weight"].shape[0], z_dim=tensors["conv2.weight"].shape[0])
    try:
        vae.load_state_dict(renamed.convert_wan_vae_to_diffusers(tensors))
    except (RuntimeError, KeyError) as error:
        raise UserError(f"{path} is no Wan 2.1 VAE: {' '.join(str(error).split())[:200]}") from None
    return vae
