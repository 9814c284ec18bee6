"""Saving and restoring a session: tensors in safetensors, everything else as JSON in its header.

``pack`` walks plain data (dicts, lists, tuples, dataclasses of the engine) and never pickles.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from unreel.engine.context.store import Context, HeadGroup, Segment
from unreel.engine.errors import UserError
from unreel.engine.session import Session
from unreel.engine.state import Flight, Held, Past, SessionState
from unreel.engine.types import Chunk, Control

if TYPE_CHECKING:
    from unreel.engine.model import Model

FORMAT = "unreel-session-2"
_KINDS: dict[str, Any] = {
    cls.__name__: cls for cls in (Chunk, Control, Flight, Held, HeadGroup, Past, Segment, SessionState)
}


def pack(value: Any, tensors: dict[str, Tensor], seen: dict[int, str]) -> Any:
    """JSON for ``value``; its tensors go into ``tensors``, each once."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, Tensor):
        if id(value) not in seen:
            seen[id(value)] = f"t{len(tensors)}"
            tensors[seen[id(value)]] = value.detach().cpu().clone().contiguous()
        return {"$tensor": seen[id(value)]}
    if isinstance(value, dict):
        return {"$dict": [[pack(k, tensors, seen), pack(v, tensors, seen)] for k, v in value.items()]}
    if isinstance(value, list | tuple):
        return {"$" + type(value).__name__: [pack(v, tensors, seen) for v in value]}
    if isinstance(value, Context):
        return {"$Context": {"layers": pack(list(value.layers), tensors, seen), "world": list(value.world)}}
    given = [f.name for f in dataclasses.fields(value) if f.init]
    return {"$" + type(value).__name__: {name: pack(getattr(value, name), tensors, seen) for name in given}}


def unpack(value: Any, tensors: dict[str, Tensor], session: Session) -> Any:
    """What ``pack`` made of a value, turned back."""
    if not isinstance(value, dict):
        return value
    ((tag, body),) = value.items()
    if tag == "$tensor":
        return tensors[body].to(session.model.device)
    if tag == "$dict":
        return {unpack(k, tensors, session): unpack(v, tensors, session) for k, v in body}
    if tag in ("$list", "$tuple"):
        items = [unpack(v, tensors, session) for v in body]
        return items if tag == "$list" else tuple(items)
    if tag == "$Context":
        rope = session.model.backbone.rope
        layers = unpack(body["layers"], tensors, session)
        begin, end = body["world"]
        return Context(session.settings.context, rope, layers, end, *session.settings.keeping, begin)
    return _KINDS[tag[1:]](**{name: unpack(v, tensors, session) for name, v in body.items()})


def save(session: Session, path: Path) -> None:
    """Write a snapshot. What ``rewind`` could go back to is not part of it.

    Raises:
        UserError: the file cannot be written.
    """
    tensors: dict[str, Tensor] = {}
    seen: dict[int, str] = {}
    header = {
        "model": session.model.name,
        "options": session.settings.options,
        "length": getattr(session.plan, "length", None),
        "state": pack(session.state, tensors, seen),
        "origin": pack(session.origin, tensors, seen),
    }
    meta = {"format": FORMAT, "session": json.dumps(header)}
    try:
        save_file(tensors or {"none": torch.zeros(1)}, path, metadata=meta)
    except (OSError, SafetensorError) as error:
        raise UserError(f"cannot write the snapshot {path}: {error}") from None


def load(model: Model, path: Path) -> Session:
    """The session of a snapshot.

    Raises:
        UserError: not a snapshot, or one of another model.
    """
    try:
        with safe_open(path, framework="pt") as file:
            meta = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except (OSError, SafetensorError) as error:
        raise UserError(f"{path} is not a session snapshot: {error}") from None
    if meta.get("format") != FORMAT:
        raise UserError(f"{path} is not a session snapshot of format {FORMAT}, got {meta.get('format')}")
    header = json.loads(meta["session"])
    if header["model"] != model.name:
        raise UserError(f"{path} is a session of the model {header['model']}, this is {model.name}")
    session = Session(model, model.settings(header["options"], header["length"]))
    session.state = unpack(header["state"], tensors, session)
    session.origin = unpack(header["origin"], tensors, session)
    return session
