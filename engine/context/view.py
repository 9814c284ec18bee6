"""Views: what one backbone call may look at.

``RowsView`` serves generation: every row sees its session's context, the earlier chunks of its session that
are in the same call, and itself. ``SequenceView`` serves training: whole sequences, block-causal over chunks;
``MaskView`` likewise, for chunks that are no line in time (cube faces).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import torch
from torch import Tensor

from unreel.engine.attention import Attention
from unreel.engine.context.store import Context, placed, query_stride
from unreel.engine.rope import Angles, Rope, rotate
from unreel.engine.types import Chunk

Coords = Callable[[Chunk], Tensor]  # integer coordinates (L, A) of a chunk's tokens
Piece = tuple[Chunk | None, Tensor, list[Tensor]]  # of a chunk (None: of all that is kept): rotated keys, and values
Watch = Callable[[int, tuple[int, ...], Tensor, Tensor], None]  # layer, heads (empty: all), rotated q and keys


@dataclass
class Track:
    """The rows of one session and branch in a call, in plan order, and the context they share.

    ``sees(chunk, earlier, clean)`` narrows what a row may look at; None means everything earlier. ``clean`` are the
    rows that are not denoised but computed for their keys and values.
    ``standins`` are keys and values of in-flight chunks that are not computed in this call (reuse).
    """

    context: Context
    rows: list[tuple[int, Chunk]]
    capture: set[int] = field(default_factory=set)  # rows whose keys and values are wanted afterwards
    sees: Callable[[Chunk, Chunk, bool], bool] | None = None
    standins: Sequence[tuple[Chunk, Sequence[tuple[Tensor, Tensor]]]] = ()
    clean: set[int] = field(default_factory=set)


class RowsView:
    """One call over the rows of any number of tracks. ``captured[row]`` holds (k, v) per layer, unrotated."""

    def __init__(
        self, tracks: Sequence[Track], rope: Rope, coords: Coords, attention: Attention, watch: Watch | None = None
    ) -> None:
        self.tracks = tracks
        self.attention, self.watch = attention, watch
        self.rope, self.coords = rope, coords
        self.captured: dict[int, list[tuple[Tensor, Tensor]]] = {r: [] for t in tracks for r in t.capture}
        self.queries: dict[int, list[Tensor]] = {r: [] for t in tracks if t.context.policy.queries for r in t.capture}
        self._angles: dict[tuple[str, int], Angles] = {}
        alone = watch is not None or len(tracks) == 1  # nothing to compare
        self._runs = [[track] for track in tracks] if alone else [list(run) for _, run in groupby(tracks, _likeness)]
        self.draw: Callable[[int, Tensor], Tensor] | None = None  # for backbones that draw tokens, see `Draws`

    def _at(self, context: Context, chunk: Chunk) -> Angles:
        place = chunk.region, context.offset(chunk.start)
        if place not in self._angles:
            self._angles[place] = self.rope.angles(placed(self.coords(chunk)[:, None, :], place[1]))
        return self._angles[place]

    def attend(self, layer: int, q_RLHD: Tensor, k_RLHD: Tensor, v_RLHD: Tensor) -> Tensor:
        out = torch.empty_like(q_RLHD)
        for tracks in self._runs:
            for track in tracks:
                self._capture(track, q_RLHD, k_RLHD, v_RLHD)
            for index, group in enumerate(tracks[0].context.layers[layer]):
                if len(tracks) > 1:
                    self._attend_together(tracks, layer, index, group.heads, (q_RLHD, k_RLHD, v_RLHD), out)
                else:
                    self._attend_group(tracks[0], layer, index, group.heads, (q_RLHD, k_RLHD, v_RLHD), out)
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
            angles = self._at(track.context, chunk)
            pieces.append((chunk, rotate(k, angles), [v]))
            pieces.sort(key=lambda piece: -1 if piece[0] is None else piece[0].index)
            seen = [p for p in pieces if self._visible(track, row, chunk, p[0])]
            keys = torch.cat([p[1] for p in seen]) if len(seen) > 1 else seen[0][1]
            values = torch.cat([value for p in seen for value in p[2]])
            turned = rotate(q, angles)
            if self.watch is not None:
                self.watch(layer, heads, turned, keys)
            result = self.attention(turned, keys, values)
            if heads:
                out[row][:, pick] = result
            else:
                out[row] = result

    def _attend_together(
        self,
        tracks: Sequence[Track],
        layer: int,
        index: int,
        heads: tuple[int, ...],
        qkv: Sequence[Tensor],
        out: Tensor,
    ) -> None:
        """Tracks of one row each, in consecutive rows, that look at equally many keys: one call of the kernel."""
        first, context, chunk = tracks[0].rows[0][0], tracks[0].context, tracks[0].rows[0][1]
        rows, pick = slice(first, first + len(tracks)), list(heads) if heads else slice(None)
        angles = self._at(context, chunk)
        q, k, v = (x[rows][:, :, pick] for x in qkv)
        k = rotate(k, angles)
        keys, values = [], []
        for row, track in enumerate(tracks):
            if track.context.layers[layer][index].segments:
                keys.append(track.context.rotated(layer, index, q.dtype))
                values += track.context.values(layer, index, q.dtype)
            keys.append(k[row])
            values.append(v[row])
        k, v = (torch.cat(parts).unflatten(0, (len(tracks), -1)) for parts in (keys, values))
        out[rows][:, :, pick] = self.attention(rotate(q, angles), k, v)

    def _past(self, track: Track, layer: int, index: int, pick: Tensor | slice, dtype: torch.dtype) -> list[Piece]:
        """Committed keys (one piece, or one per chunk where the plan is choosy) and stand-ins."""
        context = track.context
        pieces: list[Piece] = []
        group = context.layers[layer][index]
        if group.segments:
            keys, values = context.rotated(layer, index, dtype), context.values(layer, index, dtype)
            if track.sees is None:
                pieces.append((None, keys, values))
            else:
                sizes = [s.tokens for s in group.segments]
                for segment, k, v in zip(group.segments, keys.split(sizes), values, strict=True):
                    pieces.append((segment.chunk, k, [v]))
        for chunk, kv in track.standins:
            k, v = kv[layer]
            pieces.append((chunk, rotate(k[:, pick], self._at(context, chunk)), [v[:, pick]]))
        return pieces

    @staticmethod
    def _visible(track: Track, row: int, chunk: Chunk, other: Chunk | None) -> bool:
        if other is None or other.index == chunk.index:
            return True
        return other.index < chunk.index and (track.sees is None or track.sees(chunk, other, row in track.clean))


def _likeness(track: Track) -> Any:
    """Equal for tracks of one row each that look at equally many keys from the same place in time."""
    chunk, context = track.rows[0][1], track.context
    if len(track.rows) > 1 or track.sees is not None or track.standins:
        return id(track)
    kept = [[(group.heads, sum(s.tokens for s in group.segments)) for group in groups] for groups in context.layers]
    return kept, chunk.region, chunk.shape, context.offset(chunk.start)


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
        return _masked(q_RLHD, k_RLHD, v_RLHD, self.shape, self.angles, self.mask)


class MaskView:
    """Rows are ``samples * rows`` (sample-major), each with coordinates of its own; ``visible_BNN[b, i, j]`` says
    whether row i may look at row j of its sample (itself always). For training where chunks are no line in time.
    """

    def __init__(self, coords_BNLA: Tensor, visible_BNN: Tensor, rope: Rope) -> None:
        samples, rows, tokens, axes = coords_BNLA.shape
        if visible_BNN.shape != (samples, rows, rows):
            raise ValueError(f"visible must be {(samples, rows, rows)}, got {tuple(visible_BNN.shape)}")
        self.shape = (samples, rows * tokens)
        self.angles = rope.angles(coords_BNLA.reshape(samples, rows * tokens, 1, axes))
        visible = visible_BNN | torch.eye(rows, dtype=torch.bool)
        hidden = ~visible.repeat_interleave(tokens, 1).repeat_interleave(tokens, 2)
        self.mask = torch.zeros(hidden.shape).masked_fill(hidden, float("-inf"))[:, None]

    def attend(self, layer: int, q_RLHD: Tensor, k_RLHD: Tensor, v_RLHD: Tensor) -> Tensor:
        return _masked(q_RLHD, k_RLHD, v_RLHD, self.shape, self.angles, self.mask)


def _masked(
    q_RLHD: Tensor, k_RLHD: Tensor, v_RLHD: Tensor, shape: tuple[int, int], angles: Angles, mask: Tensor
) -> Tensor:
    """Attention over whole sequences (samples, tokens) by plain matrix products."""
    q, k, v = (x.reshape(*shape, *x.shape[-2:]) for x in (q_RLHD, k_RLHD, v_RLHD))
    q, k, v = (x.transpose(1, 2) for x in (rotate(q, angles), rotate(k, angles), v))  # (B, H, N, D)
    scores = q @ k.transpose(-1, -2) * q.shape[-1] ** -0.5
    weights = (scores + mask.to(scores.dtype)).softmax(-1).to(v.dtype)
    mixed: Tensor = (weights @ v).transpose(1, 2)
    return mixed.reshape(q_RLHD.shape)
