"""What is made already around a face that is to be made: its own past, and its neighbours' edges."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import pixel_shuffle

from unreel.engine.state import Past
from unreel.engine.types import Chunk
from unreel.modalities.panorama.cube import FACES, NEIGHBOURS, pad_face

PRESENT, BEFORE = 1.0, 0.5  # what the mask says of pixels of this window, and of the last frame of the one before


def beside(face: str) -> set[str]:
    """The four faces that share an edge with this one."""
    return {name for name, _, _ in NEIGHBOURS[face].values()}


def around(chunk: Chunk, past: Mapping[int, Past], size: int, pad: int, fold: int) -> Tensor:
    """The canvas (T, 4, P, P) of a face before it is made: RGB in [-1, 1] and the mask; 0 where nothing is made.

    Inside: the face's last frame of the window before, held. In the padding: what the neighbours show there, of this
    window where they are made, else of the window before.
    """
    frames = chunk.frames
    faces = torch.zeros(frames, 6, 4, size, size)
    own = torch.zeros(frames, 4, size, size)
    for other in past.values():
        face = other.chunk.region
        if other.chunk.given or face not in (chunk.region, *beside(chunk.region)):
            continue
        if other.chunk.start == chunk.start:
            faces[:, FACES.index(face)] = _marked(other, slice(None), PRESENT, size, pad, fold)
        elif other.chunk.start == chunk.start - frames:
            last = _marked(other, slice(-1, None), BEFORE, size, pad, fold).expand(frames, -1, -1, -1)
            if face == chunk.region:
                own = last
            elif not bool(faces[0, FACES.index(face), 3, 0, 0]):
                faces[:, FACES.index(face)] = last
    canvas = pad_face(faces, chunk.region, pad)
    canvas[..., pad : pad + size, pad : pad + size] = own
    return canvas


def _marked(past: Past, frames: slice, mark: float, size: int, pad: int, fold: int) -> Tensor:
    """The picture of a finished face without its padding, and its mark: (T, 4, S, S)."""
    picture = pixel_shuffle(past.clean[frames], fold)[..., pad : pad + size, pad : pad + size].clamp(-1, 1)
    return torch.cat((picture, torch.full_like(picture[:, :1], mark)), 1)
