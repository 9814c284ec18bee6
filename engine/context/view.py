"""Views: what one backbone call may look at.

``RowsView`` serves generation: every row sees its session's context, the earlier chunks of its session that
are in the same call, and itself. ``SequenceView`` serves training: whole sequences, block-causal over chunks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from unreel.engine.attention import Attention
from unreel.engine.context.store import Context, placed, query_stride
from unreel.engine.rope import Angles, Rope, rotate
from unreel.engine.types import Chunk

Watch = Callable[[int, tuple[int, ...], Tensor, Tensor], None]  # layer, heads (empty: all), rotated q and keys


@dataclass
class Track:
    """The rows of one session and branch in a call, in plan order, and the context they share.

    ``sees(chunk, earlier)`` narrows what a row may look at; None means everything earlier.
    ``standins`` are keys and values of in-flight chunks that are not computed in this call (reuse).
    """

    context: Context
    rows: list[tuple[int, Chunk]]
    capture: set[int] = field(default_factory=set)  # rows whose keys and values are wanted afterwards
    sees: Callable[[Chunk, Chunk], bool] | None = None
    standins: Sequence[tuple[Chunk, Sequence[tuple[Tensor, Tensor]]]] = ()


class RowsView:
    """One call over the rows of any number of tracks. ``captured[row]`` holds (k, v) per layer, unrotated."""

    def __init__(
        self, tracks: Sequence[Track], rope: Rope, coords_LA: Tensor, attention: Attention, watch: Watch | None = None
    ) -> None:
        self.tracks = tracks
        self.attention, self.watch = attention, watch
        self.rope = rope
        self.coords = coords_LA[:, None, :]
        self.captured: dict[int, list[tuple[Tensor, Tensor]]] = {r: [] for t in tracks for r in t.capture}
        self.queries: dict[int, list[Tensor]] = {r: [] for t in tracks if t.context.policy.queries for r in t.capture}
        self._angles: dict[int, Angles] = {}

    def _at(self, time: int) -> Angles:
        if time not in self._angles:
            self._angles[time] = self.rope.angles(placed(self.coords, time))
        return self._angles[time]

    def attend(self, layer: int, q_RLHD: Tensor, k_RLHD: Tensor, v_RLHD: Tensor) -> Tensor:
        out = torch.empty_like(q_RLHD)
        for track in self.tracks:
            self._capture(track, q_RLHD, k_RLHD, v_RLHD)
            for index, group in enumerate(track.context.layers[layer]):
                self._attend_group(track, layer, index, group.heads, (q_RLHD, k_RLHD, v_RLHD), out)
        return out

    def _capture(self, track: Track, q: Tensor, k: Tensor, v: Tensor) -> None:
        for row in track.capture:
            self.captured[row].append((k[row].clone(), v[row].clone()))
            if row in self.queries:
                stride = query_stride(q.shape[1], track.context.policy.queries)
                self.queries[row].append(q[row, ::stride].clone())

    def _attend_group(
        self, track: Track, layer: int, index: int, heads: tuple[int, ...], qkv: Sequence[Tensor], out: Tensor
    ) -> None:
        pick: Tensor | slice = torch.tensor(heads, device=out.device) if heads else slice(None)
        pieces = self._past(track, layer, index, pick, qkv[0].dtype)
        for row, chunk in track.rows:
            q, k, v = (x[row][:, pick] for x in qkv)
            angles = self._at(track.context.offset(chunk.start))
            pieces.append((chunk, rotate(k, angles), v))
            pieces.sort(key=lambda piece: -1 if piece[0] is None else piece[0].index)
            seen = [p for p in pieces if self._visible(track, chunk, p[0])]
            keys = torch.cat([p[1] for p in seen]) if len(seen) > 1 else seen[0][1]
            values = torch.cat([p[2] for p in seen]) if len(seen) > 1 else seen[0][2]
            turned = rotate(q, angles)
            if self.watch is not None:
                self.watch(layer, heads, turned, keys)
            result = self.attention(turned, keys, values)
            if heads:
                out[row][:, pick] = result
            else:
                out[row] = result

    def _past(
        self, track: Track, layer: int, index: int, pick: Tensor | slice, dtype: torch.dtype
    ) -> list[tuple[Chunk | None, Tensor, Tensor]]:
        """Committed keys (one piece, or one per chunk where the plan is choosy) and stand-ins."""
        context = track.context
        pieces: list[tuple[Chunk | None, Tensor, Tensor]] = []
        group = context.layers[layer][index]
        if group.segments:
            keys, values = context.rotated(layer, index, dtype)
            if track.sees is None:
                pieces.append((None, keys, values))
            else:
                sizes = [s.tokens for s in group.segments]
                for segment, k, v in zip(group.segments, keys.split(sizes), values.split(sizes), strict=True):
                    pieces.append((segment.chunk, k, v))
        for chunk, kv in track.standins:
            k, v = kv[layer]
            pieces.append((chunk, rotate(k[:, pick], self._at(context.offset(chunk.start))), v[:, pick]))
        return pieces

    @staticmethod
    def _visible(track: Track, chunk: Chunk, other: Chunk | None) -> bool:
        if other is None or other.index == chunk.index:
            return True
        return other.index < chunk.index and (track.sees is None or track.sees(chunk, other))


class SequenceView:
    """Rows are ``sequences * chunks`` (sequence-major); a chunk sees itself and the chunks before it.

    Plain matrix products instead of a fused kernel: at a few hundred tokens they train faster on CPUs.
    """

    def __init__(
        self, sequences: int, chunks: int, coords_LA: Tensor, rope: Rope, span: int, window: int | None = None
    ) -> None:
        tokens = coords_LA.shape[0]
        self.shape = (sequences, chunks * tokens)
        whole = torch.cat([placed(coords_LA, c * span) for c in range(chunks)])
        self.angles = rope.angles(whole[:, None, :])
        index = torch.arange(chunks).repeat_interleave(tokens)
        hidden = index[None, :] > index[:, None]
        if window is not None:
            hidden |= index[:, None] - index[None, :] > window
        self.mask = torch.zeros(hidden.shape).masked_fill(hidden, float("-inf"))

    def attend(self, layer: int, q_RLHD: Tensor, k_RLHD: Tensor, v_RLHD: Tensor) -> Tensor:
        q, k, v = (x.reshape(*self.shape, *x.shape[-2:]) for x in (q_RLHD, k_RLHD, v_RLHD))
        q, k = rotate(q, self.angles), rotate(k, self.angles)
        q, k, v = (x.transpose(1, 2) for x in (q, k, v))  # (B, H, N, D)
        scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
        weights = (scores + self.mask.to(scores.dtype)).softmax(-1).to(v.dtype)
        mixed: Tensor = (weights @ v).transpose(1, 2)
        return mixed.reshape(q_RLHD.shape)
