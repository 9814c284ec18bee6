"""A tiny decoder in the layout of TAEHV (github.com/madebyollin/taehv, MIT: ``taew2_1.pth``), written anew.

Every latent becomes four frames by convolutions that look one step back in time; the first three frames of a stream
are warm-up and dropped, so that a stream has as many frames as with the VAE. Takes normalised latents and computes
colours in 0..1. Only the decoder's tensors are read.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unreel.engine.errors import UserError
from unreel.engine.weights import fill
from unreel.modalities.video.wan.files import read_weights

WIDTHS = (256, 128, 64, 64)
WARM_UP = 3  # frames of the first latent that are dropped


class MemBlock(nn.Module):
    """A residual block over a frame and the frame before it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv = nn.Sequential(
            nn.Conv2d(2 * width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, x_TCHW: Tensor, before_1CHW: Tensor) -> Tensor:
        past = torch.cat((before_1CHW, x_TCHW[:-1]))
        out: Tensor = F.relu(self.conv(torch.cat((x_TCHW, past), 1)) + x_TCHW)
        return out


class Grow(nn.Module):
    """One frame to ``factor`` frames."""

    def __init__(self, width: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.conv = nn.Conv2d(width, width * factor, 1, bias=False)

    def forward(self, x_TCHW: Tensor) -> Tensor:
        grown: Tensor = self.conv(x_TCHW)
        return grown.unflatten(1, (self.factor, -1)).flatten(0, 1)


class TinyDecoder(nn.Module):
    """``decoder.N`` are numbered as in the published file."""

    def __init__(self, channels: int = 16, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        a, b, c, d = widths
        layers: list[nn.Module] = [nn.Identity(), nn.Conv2d(channels, a, 3, padding=1), nn.ReLU()]
        for width, wider, factor in ((a, b, 1), (b, c, 2), (c, d, 2)):
            layers += [MemBlock(width) for _ in range(3)]
            layers += [nn.Upsample(scale_factor=2), Grow(width, factor)]
            layers += [nn.Conv2d(width, wider, 3, padding=1, bias=False)]
        self.decoder = nn.Sequential(*layers, nn.ReLU(), nn.Conv2d(d, 3, 3, padding=1))

    def step(self, latents_TCHW: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Pixels (T, 3, H, W) in -1..1 of the next latents, and the last frame that each block saw."""
        x, after = 3 * torch.tanh(latents_TCHW / 3), {}
        for index, layer in enumerate(self.decoder):
            if isinstance(layer, MemBlock):
                seen = x[-1:].clone()
                x = layer(x, state.get(str(index), torch.zeros_like(seen)))
                after[str(index)] = seen
            else:
                x = layer(x)
        return (x.clamp(0, 1) * 2 - 1)[0 if state else WARM_UP :], after


def load_tiny(path: Path) -> TinyDecoder:
    """The decoder of a TAEHV file.

    Raises:
        UserError: it is none, or not one of Wan 2.1.
    """
    tensors = {n: t for n, t in read_weights(path).items() if n.startswith("decoder.")}
    convs = [tensors.get(f"decoder.{i}.weight") for i in (1, 8, 14, 20)]
    if any(w is None or w.dim() != 4 for w in convs):
        raise UserError(f"{path} is no TAEHV decoder of Wan 2.1: expected convolutions decoder.1, .8, .14 and .20")
    decoder = TinyDecoder(convs[0].shape[1], tuple(w.shape[0] for w in convs if w is not None))  # type: ignore[union-attr]
    fill(decoder, tensors, path)
    return decoder.eval().requires_grad_(False)
