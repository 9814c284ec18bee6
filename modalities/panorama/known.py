"""What a canvas shows before anything is drawn on it: what is seen, what is made, and a guess for the rest.

Letters: R rows, T frames of a window, P pixels of the padded canvas a side. Nothing here is learned.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

BLIND = 0.03  # a difference of colours (of 2) that is not worth mending


class Known(NamedTuple):
    """What a canvas shows already: colours with and without the given view; where they are more than a guess; and
    where the guess is a draft's."""

    seen_RT3PP: Tensor
    before_RT3PP: Tensor
    sure_RT1PP: Tensor
    draft_RT1PP: Tensor


def what_is_known(view_RT4PP: Tensor, around_RT4PP: Tensor) -> Known:
    """Layers, best first: the view of this frame, of other frames, what is made already, the draft, its surroundings.

    The draft is made to meet what is known: the difference between the two, where both are there, is spread smoothly
    over the canvas and added to it (as in Poisson image editing, Perez et al. 2003, by a pyramid instead of a solver).
    Where there is no draft either, what is known is spread itself. The view's colours come multiplied by their
    coverage. A canvas of which nothing is known is 0.
    """
    colour, cover = view_RT4PP.split((3, 1), 2)
    made, mask = around_RT4PP.split((3, 1), 2)
    there, guessed = (mask > 0.4).float(), ((mask > 0.1) & (mask < 0.4)).float()
    if cover.any() and there.any():
        made = made + there * adapted(colour.mean(1), cover.mean(1), (there * made).mean(1), there.mean(1))[:, None]
    total = cover.sum(1, keepdim=True)
    ever = colour.sum(1, keepdim=True) / total.clamp(min=0.01)
    ever_there = (total / 0.5).clamp(max=1)
    layered = colour + (1 - cover) * (ever_there * ever + (1 - ever_there) * there * made)
    sure = cover + (1 - cover) * (ever_there + (1 - ever_there) * there)
    draft = extended((guessed * made).mean(1), guessed.mean(1))  # on under what replaces it
    weight = sure.mean(1)
    guess = (draft + extended(layered.mean(1) - weight * draft, weight))[:, None]
    before = there * made + (1 - there) * guess
    return Known(layered + (1 - sure) * guess, before, sure, (1 - sure) * guessed)


def adapted(view_R3PP: Tensor, cover_R1PP: Tensor, made_R3PP: Tensor, there_R1PP: Tensor) -> Tensor:
    """What to add to what is made (R, 3, P, P), so that it meets the view: nothing where it does, nothing far away.

    Where a view uncovers what was only imagined, the two differ at its border; the difference fades out over a twelfth
    of the canvas. Differences below BLIND count as none, so what is known stays as it is.
    """
    both = cover_R1PP * there_R1PP
    apart = extended(there_R1PP * view_R3PP - cover_R1PP * made_R3PP, both)
    size = view_R3PP.shape[-2:]
    near = F.interpolate(F.adaptive_avg_pool2d(cover_R1PP, 12), size=size, mode="bilinear", align_corners=False)
    return F.softshrink(apart, BLIND) * (2 * near).clamp(max=1)


def extended(colour_R3PP: Tensor, weight_R1PP: Tensor) -> Tensor:
    """Weighted colours spread smoothly over a whole canvas: pull-push (Gortler et al. 1996, section 6).

    ``colour`` comes multiplied by ``weight``. A canvas of which nothing is known stays 0.
    """
    levels, both = [], torch.cat((colour_R3PP, weight_R1PP), 1)
    while True:
        levels.append(both)
        side = both.shape[-1]
        step = next((k for k in (2, 3) if side % k == 0), side)
        if side == 1:
            break
        both = F.avg_pool2d(both, step)
        both = both * (1 / both[:, 3:].clamp(min=0.25)).clamp(min=1)  # a quarter known is as good as known
    filled = levels[-1][:, :3] / levels[-1][:, 3:].clamp(min=1e-3)
    for level in reversed(levels[:-1]):
        colour, weight = level.split((3, 1), 1)
        filled = F.interpolate(filled, size=level.shape[-2:], mode="bilinear", align_corners=False)
        filled = colour + (1 - weight) * filled
    return filled
