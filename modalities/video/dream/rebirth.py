"""What `dream` learns of being eaten: the sea empties, and the player begins again at one place, home.

In the game the player begins anywhere along the bottom. A place that nothing foretells comes out as many faint players,
which the rest of the training teaches to bring out, so only births at home are learnt from, and contexts are spoilt in
ways whose outcome is certain: a player that is lost is born again at once, a faint second one at home goes away, and
what is left of the sea before a birth goes away too. So a half-made decision is taken, one way or the other.

Letters: B sequences, T frames, C chunks of two frames, P pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unreel.modalities.video.dream.forcing import widened
from unreel.modalities.video.dream.measure import player_mask, player_place

if TYPE_CHECKING:
    from unreel.modalities.video.dream.data import Shard

HOME_X, NEAR = 32.0, 2.0  # pixels from the left, and how far off still counts
BOX = (slice(50, 64), slice(24, 41))  # rows and columns in which a player at home lies, with room around it
LOST, LEFTOVER, GHOST = 0.8, 0.5, 0.4  # shares of the windows (with a birth; with a birth; without) that are spoilt so


def births(shard: Shard) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where (stream, time) episodes begin at home, and how many have begun elsewhere by each time (stream, time)."""
    streams, times = np.nonzero(shard.first)
    at_home = abs(player_place(shard.frames[streams, times])[:, 0] - HOME_X) <= NEAR
    elsewhere = np.zeros(shard.first.shape, np.int64)
    elsewhere[streams[~at_home], times[~at_home]] = 1
    return np.stack((streams[at_home], times[at_home]), 1), elsewhere.cumsum(1)


def home_layer(newborn_NPPC: NDArray[np.uint8], backdrop_3PP: Tensor) -> tuple[Tensor, Tensor]:
    """The player at home as pixels (3, P, P) in [-1, 1] and its mask (1, P, P): of frames in which it was just born."""
    count = len(newborn_NPPC)
    if not count:
        return backdrop_3PP, torch.zeros_like(backdrop_3PP[:1])
    places = player_place(newborn_NPPC)[:, 0]
    middle = newborn_NPPC[int(np.argmin(abs(places - HOME_X)))]
    mask = torch.from_numpy(player_mask(middle[None]))
    return torch.from_numpy(middle).movedim(-1, 0).float() / 127.5 - 1.0, widened(mask[:, None].float(), 2)[0]


def spoilt(
    frames_BT3PP: Tensor, player_BTPP: Tensor, born: Sequence[int], backdrop: Tensor,
    home: tuple[Tensor, Tensor], generator: torch.Generator,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Context frames spoilt as said above, and which chunks (B, C) can be foretold from them (1, else 0).

    ``player`` is where the real one is, ``born`` the frame of each window in which it is born, -1 for none;
    ``home`` is what `home_layer` gave, cut to the frames.
    """
    frames, counts = frames_BT3PP.clone(), torch.ones(len(frames_BT3PP), frames_BT3PP.shape[1] // 2)
    wide = widened(player_BTPP[:, :, None].float(), 2)
    picture, mask = home
    for i, at in enumerate(born):
        if at < 0:
            if _chance(GHOST, generator):
                begin = 2 + _below(frames.shape[1] - 2, generator)
                frames[i, begin:] = torch.lerp(frames[i, begin:], picture, mask * torch.rand((), generator=generator))
        elif at % 2 == 0 and _chance(LOST, generator):
            begin = _below(at - 1, generator)  # for a whole chunk at least: who only fades comes back where it was
            frames[i, begin:at] = torch.lerp(frames[i, begin:at], backdrop, wide[i, begin:at])
            counts[i, begin // 2 + 1 : at // 2] = 0.0
        elif _chance(LEFTOVER, generator):
            strength = torch.rand((), generator=generator) / 2
            frames[i, at:] = torch.lerp(frames[i, at:], frames[i, at - 1], strength)
    return frames, counts


def _chance(share: float, generator: torch.Generator) -> bool:
    return float(torch.rand((), generator=generator)) < share


def _below(end: int, generator: torch.Generator) -> int:
    return int(torch.randint(end, (), generator=generator))
