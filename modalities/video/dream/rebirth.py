"""What `dream` learns of being eaten: the sea empties, and the player begins again at one place, home.

In the game the player begins anywhere along the bottom. A place that nothing foretells comes out as many faint players,
which the rest of the training teaches to bring out. So windows with births elsewhere are left out; births at home are
learnt only where they are certain, in contexts that have lost the player for a chunk or longer; and second players,
faint or not, come into contexts and are gone in what is asked for.

Letters: B sequences, T frames, C chunks of two frames, P pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from unreel.modalities.video.dream.forcing import widened

HOME_X, NEAR = 32.0, 2.0  # pixels from the left, and how far off still counts
HOME_Y = 57.3
BOX = (slice(50, 64), slice(24, 41))  # rows and columns in which a player at home lies, with room around it
GHOSTS = 2, 0.45  # how often a second player may come into a window, and with what chance each time


def lost(
    frames_BT3PP: Tensor, player_BTPP: Tensor, born: Sequence[int], backdrop: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Context frames without their player (where it really is: ``player``) from some frame on to that of its birth,
    after which it is faint in half of the windows: who is alone is to come out, however faint.

    ``born`` (B,) are those frames, all first frames of chunks. Also which chunks (B, C) can be foretold (1, else 0):
    not those that show the player after it was taken away.
    """
    frames, counts = frames_BT3PP.clone(), torch.ones(len(frames_BT3PP), frames_BT3PP.shape[1] // 2)
    wide = widened(player_BTPP[:, :, None].float(), 2)
    for i, at in enumerate(born):
        begin = _below(at - 1, generator)  # for a whole chunk at least: who only fades comes back where it was
        frames[i, begin:at] = torch.lerp(frames[i, begin:at], backdrop, wide[i, begin:at])
        counts[i, begin // 2 + 1 : at // 2] = 0.0
        paleness = max(0.0, 1.8 * float(torch.rand((), generator=generator)) - 0.9)
        frames[i, at:] = torch.lerp(frames[i, at:], backdrop, wide[i, at:] * paleness)
    return frames, counts


def haunted(
    frames_BT3PP: Tensor, player_BTPP: Tensor, corner: tuple[int, int], generator: torch.Generator
) -> Tensor:
    """Context frames of which some have a second player or two, faint or not, from some frame on, moving as the first.

    They come at home or anywhere. ``corner`` (y, x) is where the frames lie in the world, in pixels.
    """
    frames, (times, chance) = frames_BT3PP.clone(), GHOSTS
    for i, film in enumerate(frames_BT3PP):
        for _ in range(times):
            begin = 2 + _below(film.shape[0] - 2, generator)
            ys, xs = np.nonzero(player_BTPP[i, begin].numpy())
            if float(torch.rand((), generator=generator)) < chance and len(ys):
                y, x = _place(film.shape[-1], corner, generator)
                shift = round(y - ys.mean()), round(x - xs.mean())
                mask = moved(widened(player_BTPP[i, begin:, None].float()[None], 1)[0], *shift)
                strength = torch.rand((), generator=generator) ** 1.5  # faint ones are how it begins
                frames[i, begin:] = torch.lerp(frames[i, begin:], moved(film[begin:], *shift), mask * strength)
    return frames


def _place(side: int, corner: tuple[int, int], generator: torch.Generator) -> tuple[float, float]:
    """Home, half of the time if it lies in the picture, or anywhere: (y, x)."""
    home = HOME_Y - corner[0], HOME_X - corner[1]
    if float(torch.rand((), generator=generator)) < 0.5 and all(0 < at < side for at in home):
        return home
    return _below(side, generator), _below(side, generator)


def moved(maps_TCPP: Tensor, dy: int, dx: int) -> Tensor:
    """Maps shifted down and to the right; what comes in is zero."""
    height, width = maps_TCPP.shape[-2:]
    shifted = torch.zeros_like(maps_TCPP)
    shifted[..., max(0, dy) : height + min(0, dy), max(0, dx) : width + min(0, dx)] = maps_TCPP[
        ..., max(0, -dy) : height - max(0, dy), max(0, -dx) : width - max(0, dx)
    ]
    return shifted


def _below(end: int, generator: torch.Generator) -> int:
    return int(torch.randint(end, (), generator=generator))
