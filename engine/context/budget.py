"""Byte budgets: how many tokens fit, who gets how many, and the last resort when nothing else helped.

The arithmetic is plain Python; only ``fit`` touches a context, by dropping whole chunks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from unreel.engine.errors import UserError

if TYPE_CHECKING:
    from unreel.engine.context.store import Context


def shares(wanted: Sequence[float], limits: Sequence[int], total: int, grain: int = 1) -> list[int]:
    """``total`` tokens dealt out in proportion to ``wanted``, in multiples of ``grain``, never above ``limits``.

    Largest remainders get what rounding leaves; less than ``total`` is dealt where grains or limits allow no more.
    """
    whole, given, left = sum(wanted), [0] * len(wanted), total
    if sum(limits) <= total:
        return list(limits)
    exact = [min(w / whole * total, limit) if whole > 0 else 0.0 for w, limit in zip(wanted, limits, strict=True)]
    for i, share in enumerate(exact):
        given[i] = limits[i] if share >= limits[i] else int(share) // grain * grain
        left -= given[i]
    for i in sorted(range(len(exact)), key=lambda i: (given[i] - exact[i], -i)):
        extra = min(grain, limits[i] - given[i])
        if 0 < extra <= left and wanted[i] > 0:
            given[i] += extra
            left -= extra
    return given


def fit(context: Context, budget: int) -> None:
    """Drop whole chunks until the context holds no more than ``budget`` bytes: oldest first, the very first last.

    Policies size themselves to the budget; this is for those that cannot (``full``, ``window``) and for what
    remains of rounding. The newest chunk always stays.

    Raises:
        UserError: the newest chunk alone is larger than the budget.
    """
    order = sorted(context.chunks)
    while context.bytes > budget:
        if len(order) < 2:
            raise UserError(
                f"budget_bytes {budget} is less than what one chunk leaves ({context.bytes} bytes): allow more"
            )
        _drop(context, order.pop(1 if len(order) > 2 else 0))


def _drop(context: Context, index: int) -> None:
    for layer, groups in enumerate(context.layers):
        context.layers[layer] = tuple(
            type(group)(group.heads, tuple(s for s in group.segments if s.chunk.index != index)) for group in groups
        )
