"""What is made already around a face that is to be made: its own past, and its neighbours' edges."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import pixel_shuffle

from unreel.engine.state import Past
from unreel.engine.types import Chunk
from unreel.modalities.panorama.cube import FACES, NEIGHBOURS, pad_face
from unreel.modalities.panorama.seams import blend

PRESENT, BEFORE = 1.0, 0.5  # what the mask says of pixels of this window, and of the last frame of the one before


def beside(face: str) -> set[str]:
    """The four faces that share an edge with this one."""
    return {name for name, _, _ in NEIGHBOURS[face].values()}


def around(chunk: Chunk, past: Mapping[int, Past], size: int, pad: int, fold: int) -> Tensor:
    """The canvas (T, 4, P, P) of a face before it is made: RGB in [-1, 1] and the mask; 0 where nothing is made.

    Inside: the face's last frame of the window before, held. In the padding: what the neighbours show there, of this
    window where they are made, else of the window before.
    """
    frames, near = chunk.frames, (chunk.region, *beside(chunk.region))
    faces = torch.zeros(frames, 6, 4, size, size)
    own = torch.zeros(frames, 4, size, size)
    inner = slice(pad, pad + size)
    before: dict[str, Tensor] = {}
    for other in sorted(past.values(), key=lambda one: one.chunk.index):
        if other.chunk.given:
            continue
        if other.chunk.start == chunk.start and other.chunk.region in near:
            picture = _canvas(other.clean, fold)[..., inner, inner]
            faces[:, FACES.index(other.chunk.region)] = _marked(picture, PRESENT)
        elif other.chunk.start == chunk.start - frames:
            before[other.chunk.region] = _canvas(other.clean[-1:], fold)
    for face in set(before).intersection(near):  # as it was shown: mended along its seams, or these would come back
        last = _marked(blend(face, before, pad, "".join(before)), BEFORE).expand(frames, -1, -1, -1)
        if face == chunk.region:
            own = last
        elif not bool(faces[0, FACES.index(face), 3, 0, 0]):
            faces[:, FACES.index(face)] = last
    canvas = pad_face(faces, chunk.region, pad)
    canvas[..., pad : pad + size, pad : pad + size] = own
    return canvas


def _canvas(clean_TCHW: Tensor, fold: int) -> Tensor:
    """Finished states as canvases (T, 3, P, P)."""
    return pixel_shuffle(clean_TCHW.float(), fold).clamp(-1, 1)


def _marked(picture_T3SS: Tensor, mark: float) -> Tensor:
    """A picture and its mark: (T, 4, S, S)."""
    return torch.cat((picture_T3SS, torch.full_like(picture_T3SS[:, :1], mark)), 1)
