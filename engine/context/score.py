"""Scores of kept tokens, all exact and linear in their number. Letters as in ``types.py``; S segments, M queries.

importance and redundancy: R-KV (Cai et al. 2025) as FlowCache uses it, without its two faults: the pooling runs over
the real neighbourhood in time, height and width instead of along flattened rows, and redundancy is the closed form
everywhere instead of an N x N matrix.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Extent = tuple[int, ...]  # tokens along each axis of a whole chunk


def extent_of(coords_NHA: Tensor) -> Extent:
    """Size of the grid that a whole chunk's coordinates fill."""
    return tuple(int(n) + 1 for n in coords_NHA.flatten(0, 1).amax(0))


def flat(coords_NHA: Tensor, extent: Extent) -> Tensor:
    """Coordinates as one index into the grid: (N, 1 or H), int64."""
    index = torch.zeros(coords_NHA.shape[:-1], dtype=torch.int64, device=coords_NHA.device)
    for axis, size in enumerate(extent):
        index = index * size + coords_NHA[..., axis].long()
    return index


def importance(q_MHD: Tensor, k_NHD: Tensor) -> Tensor:
    """Mean attention that the queries pay to every key, both rotated: (N, H), adding up to 1 over the keys."""
    logits = torch.einsum("mhd,nhd->hmn", q_MHD.float(), k_NHD.float()) * q_MHD.shape[-1] ** -0.5
    mean: Tensor = logits.softmax(-1).mean(1)
    return mean.T


def redundancy(k_NHD: Tensor) -> Tensor:
    """Softmax over the keys of each key's mean cosine similarity with all others: (N, H).

    With unit keys u, sum_j u_i . u_j = u_i . (sum_j u_j), so no N x N matrix is needed (FlowCache, MAGI-1 port).
    """
    unit = F.normalize(k_NHD.float(), dim=-1)
    count = max(1, unit.shape[0] - 1)
    mean = (torch.einsum("nhd,hd->nh", unit, unit.sum(0)) - 1) / count
    return mean.softmax(0)


def pooled(score_NH: Tensor, coords_NHA: Tensor, extent: Extent, reach: int = 1) -> Tensor:
    """Each score raised to the highest within ``reach`` grid cells along every axis; missing tokens count as 0.

    For one chunk of up to three axes; with more axes the scores come back as they were.
    """
    if not 1 <= len(extent) <= 3 or reach == 0:
        return score_NH
    cells, heads = flat(coords_NHA, extent).expand(-1, score_NH.shape[1]), score_NH.shape[1]
    grid = score_NH.new_zeros(torch.Size(extent).numel(), heads).scatter(0, cells, score_NH)
    volume = grid.T.reshape(1, heads, *(1,) * (3 - len(extent)), *extent)
    kernel = [2 * reach + 1 if size > 1 else 1 for size in volume.shape[2:]]
    highest = F.max_pool3d(volume, kernel, stride=1, padding=[size // 2 for size in kernel])
    return highest.reshape(heads, -1).T.gather(0, cells)


def similarity(k_NHD: Tensor, coords_NHA: Tensor, now_CHD: Tensor, extent: Extent) -> Tensor:
    """Cosine of every key to the key that now lies at its place, mean over heads: (N,). ``now`` is one time slot."""
    place = flat(coords_NHA[..., 1:], extent[1:])[:, 0] if len(extent) > 1 else coords_NHA.new_zeros(len(k_NHD)).long()
    return F.cosine_similarity(k_NHD.float(), now_CHD[place].float(), dim=-1).mean(1)


def tiles(coords: Sequence[Tensor], tile: Sequence[int]) -> Tensor:
    """A number for every token of some segments (N, 1, A), equal where tokens share segment, time slot and tile."""
    keys = []
    for segment, coords_N1A in enumerate(coords):
        cells = coords_N1A[:, 0].long().clone()
        for axis in range(1, cells.shape[1]):
            cells[:, axis] //= tile[min(axis - 1, len(tile) - 1)]
        keys.append(torch.cat([cells.new_full((len(cells), 1), segment), cells], 1))
    numbers: Tensor = torch.unique(torch.cat(keys), dim=0, return_inverse=True)[1]
    return numbers
