"""Which tokens of a context always stay, and how many more a byte budget lets a bank hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from unreel.engine.context.storage import Storage
from unreel.engine.context.store import Context, Segment
from unreel.engine.errors import UserError


@dataclass(frozen=True)
class Structure:
    """Latent frames kept by place: the first ``sink`` of the world and the ``recent`` newest ones."""

    sink: int
    recent: int

    def __post_init__(self) -> None:
        if self.sink < 0 or self.recent < 1:
            raise UserError(f"a context keeps sink >= 0 and recent >= 1 frames, got {self.sink} and {self.recent}")


@dataclass(frozen=True)
class Parts:
    """A group's segments by place. Together they hold every token once."""

    sink: tuple[Segment, ...]
    middle: tuple[Segment, ...]
    recent: tuple[Segment, ...]

    @property
    def fixed_bytes(self) -> int:
        """Of what always stays; queries go when the bank has been chosen."""
        return sum(s.without_queries().bytes for s in (*self.sink, *self.recent))


def split(segments: Sequence[Segment], world: tuple[int, int], structure: Structure, slots: int) -> Parts:
    """Cut segments into sink, middle and recent tokens; whole ones are passed on as they are, without a copy.

    ``world`` is its first latent frame and the first that is not there yet. ``slots`` are a chunk's time slots, of one
    or more frames each; one is kept if any of its frames is. Tokens that were picked head by head came out of a middle
    and stay there.
    """
    old, new = world[0] + structure.sink, world[1] - structure.recent
    sink: list[Segment] = []
    middle: list[Segment] = []
    recent: list[Segment] = []
    for segment in segments:
        start, stop = segment.chunk.start, segment.chunk.start + segment.chunk.frames
        if segment.coords_NHA.shape[1] > 1 or (start >= old and stop <= new):
            middle.append(segment)
        elif stop <= old:
            sink.append(segment)
        elif start >= max(old, new):
            recent.append(segment)
        else:
            _cut(segment, old, new, slots, (sink, middle, recent))
    return Parts(tuple(sink), tuple(middle), tuple(recent))


def _cut(segment: Segment, old: int, new: int, slots: int, into: Sequence[list[Segment]]) -> None:
    """Deal out the tokens of a chunk that lies across a border: frames before ``old``, from ``new`` on, and between."""
    frames = segment.chunk.frames / slots
    first = segment.chunk.start + segment.coords_NHA[:, 0, 0].long() * frames
    in_sink = first < old
    in_recent = ~in_sink & (first + frames > new)
    for part, mask in zip(into, (in_sink, ~in_sink & ~in_recent, in_recent), strict=True):
        if bool(mask.all()):
            part.append(segment)
        elif bool(mask.any()):
            part.append(segment.pick(mask.nonzero()[:, 0]))


def bank_tokens(context: Context, parts: Sequence[tuple[Parts, int]], wanted: int | None, grain: int) -> int | None:
    """Tokens per head that every bank may hold: ``wanted``, or fewer if the budget asks for it. None: no limit.

    ``parts`` are all head groups of all layers, each with the number of its heads that have a bank (0: none).
    """
    heads = sum(count for _, count in parts)
    if context.budget is None or heads == 0:
        return wanted
    room = context.budget - sum(p.fixed_bytes for p, _ in parts)
    sample = next(s for p, _ in parts for s in (*p.recent, *p.sink, *p.middle))
    fits = max(0, int(room / (heads * token_bytes(sample, context.storage, grain))))
    fits = fits // grain * grain
    return fits if wanted is None else min(wanted, fits)


def token_bytes(segment: Segment, storage: Storage, grain: int) -> float:
    """Bytes of one picked token in one head: key, value, coordinates, and its share of the scales."""
    width, axes = segment.k_NHD.shape[2], segment.coords_NHA.shape[2]
    scales = 2 * 2 * width / grain if storage.kind == "int8" else 0.0
    return 2 * width * segment.k_NHD.element_size() + 2 * axes + scales
