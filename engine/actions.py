"""Actions: keys held for a number of frames, ``"w-40,wd-20,none-10"``, the same grammar everywhere."""

from __future__ import annotations

from collections.abc import Sequence

from unreel.engine.errors import UserError

NONE = "none"


def canonical(keys: str) -> str:
    """A key set without order or case: ``"DW"`` and ``"wd"`` are one."""
    text = keys.strip().lower()
    return NONE if text in ("", NONE) else "".join(sorted(set(text)))


def parse_actions(text: str, known: Sequence[str]) -> list[tuple[str, int]]:
    """``[(keys, frames), ...]``, keys spelt as in ``known``. Bare keys (``"wd"``) are held for one frame.

    Raises:
        UserError: an entry that is not KEYS-FRAMES, keys the model does not know, or frames below 1.
    """
    spelling = {canonical(k): k for k in known}
    parsed = []
    for entry in text.split(","):
        keys, dash, count = entry.strip().rpartition("-")
        if not dash:
            keys, count = entry.strip(), "1"
        if not count.isdigit() or int(count) < 1:
            raise UserError(f"an action is KEYS-FRAMES with 1 frame or more, as in w-40; got {entry.strip()!r}")
        if canonical(keys) not in spelling:
            raise UserError(f"this model knows the actions {', '.join(known)}; got {keys!r}")
        parsed.append((spelling[canonical(keys)], int(count)))
    return parsed
