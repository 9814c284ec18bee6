"""Impressions of places: what a world begins at when no view of it is given.

A network that has seen few panoramas for an hour invents grey. So it keeps a small soft picture (a quarter of its
resolution) of every panorama it learned from, with its kind of place; a world without a view begins at one of them,
turned by quarters and mirrored, as a world with a view begins at its draft. Nobody tells the six faces which: the noise
of the first one picks, and every later call recognizes it by what is made already and by its own state.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unreel.modalities.panorama.cube import FACES, pad_faces
from unreel.modalities.panorama.draft import GUESS

SHRINK = 4  # pixels of a face for one of an impression
DOUBT = 0.15  # how far what is made may be from an impression, as a standard deviation of colours


def impression(faces_T63SS: Tensor) -> Tensor:
    """Faces (T, 6, 3, S, S) as they are remembered: a quarter of their size."""
    return F.avg_pool2d(faces_T63SS.flatten(0, 1), SHRINK).unflatten(0, (-1, 6))


def remembered(small_M63ss: Tensor, canvas: int) -> Tensor:
    """Impressions as drafts: padded canvases (M, 6, 4, P, P), RGB times mask, and mask."""
    pad = (canvas - SHRINK * small_M63ss.shape[-1]) // 2 // SHRINK
    soft = _enlarged(pad_faces(small_M63ss, pad).flatten(0, 1), canvas).unflatten(0, (-1, 6))
    mask = torch.ones_like(soft[:, :, :1])
    return torch.cat((soft, mask), 2) * torch.cat((mask, mask, mask, GUESS * mask), 2)


def _enlarged(small_R3ss: Tensor, canvas: int) -> Tensor:
    return F.interpolate(small_R3ss, size=(canvas, canvas), mode="bilinear", align_corners=False)


def turned(faces_M63ss: Tensor) -> Tensor:
    """Worlds turned to the left by none, one, two and three quarters, and all that mirrored: (8 M, 6, 3, s, s)."""
    around, up, down = faces_M63ss[:, :4], faces_M63ss[:, 4], faces_M63ss[:, 5]
    turns = [
        torch.cat((around.roll(-k, 1), up.rot90(-k, (-2, -1))[:, None], down.rot90(k, (-2, -1))[:, None]), 1)
        for k in range(4)
    ]
    whole = torch.cat(turns)
    other = [FACES.index(face) for face in "FLBRUD"]
    return torch.cat((whole, whole[:, other].flip(-1)))


class Memory(nn.Module):
    """``count`` impressions for faces of ``size`` pixels padded by ``pad``; ``places`` says which kind each one is."""

    faces_M63ss: Tensor
    places_M: Tensor

    def __init__(self, count: int, size: int, pad: int) -> None:
        super().__init__()
        self.size, self.pad = size, pad
        self.register_buffer("faces_M63ss", torch.zeros(count, 6, 3, size // SHRINK, size // SHRINK))
        self.register_buffer("places_M", torch.zeros(count))
        self._canvases: Tensor | None = None  # of all turns, made when first wanted

    def recall(
        self, pixels_RT3PP: Tensor, times_R: Tensor, view_RT4PP: Tensor, around_RT4PP: Tensor, face_R: Tensor,
        place_R: Tensor,
    ) -> Tensor:  # fmt: skip
        """``around``, with the face of an impression in place of nothing in the rows that know of no view.

        ``pixels`` are the rows' noisy states. Rows that are clean, or given, are left as they are.
        """
        mask, cover = around_RT4PP[:, :, 3].flatten(1), view_RT4PP[:, :, 3].flatten(1)
        drafted = ((mask > 0.1) & (mask < 0.4)).any(1)
        blank = (times_R < 1) & (face_R < len(FACES)) & (cover.amax(1) == 0) & (mask.amin(1) == 0) & ~drafted
        rows = blank.nonzero().flatten().tolist()
        if not rows:
            return around_RT4PP
        out = around_RT4PP.clone()
        for row in rows:
            small = self._nearest(pixels_RT3PP[row], float(times_R[row]), around_RT4PP[row], face_R[row], place_R[row])
            soft = _enlarged(small[None], around_RT4PP.shape[-1])
            draft = torch.cat((soft, torch.full_like(soft[:, :1], GUESS)), 1).to(out.dtype)
            out[row] = torch.where(out[row, :, 3:] > 0, out[row], draft)
        return out

    def _nearest(self, pixels_T3PP: Tensor, time: float, around_T4PP: Tensor, face: Tensor, place: Tensor) -> Tensor:
        """The likeliest canvas (3, p, p) of a face, given its state and what is made around it.

        A state of pure noise says nothing; then what it resembles by chance decides among equals.
        """
        if self._canvases is None:
            self._canvases = pad_faces(turned(self.faces_M63ss.float()), self.pad // SHRINK)
        kinds = self.places_M.repeat(8)
        named = (kinds == place).nonzero().flatten()
        known = self._canvases[:, int(face)]
        known = known[named] if len(named) else known
        state = F.avg_pool2d(pixels_T3PP.float().mean(0), SHRINK)
        sharp = len(pixels_T3PP) * SHRINK**2 / (1 - time) ** 2  # of the pooled noise: one over its variance
        alike = (known * state).sum((1, 2, 3))
        size = known.square().sum((1, 2, 3))
        score = sharp * (time * alike - time**2 * size / 2) + sharp**0.5 * alike / size.clamp(min=1e-6).sqrt()
        colour, mask = around_T4PP.float().mean(0).split((3, 1))
        there = F.avg_pool2d((mask > 0.4).float(), SHRINK)
        made = F.avg_pool2d(colour * (mask > 0.4), SHRINK) / there.clamp(min=1e-6)
        score = score - ((known - made).square() * (there > 0.99)).sum((1, 2, 3)) / (2 * DOUBT**2)
        best: Tensor = known[int(score.argmax())]
        return best
