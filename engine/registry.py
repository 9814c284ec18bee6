"""Names to parts. Packages outside add theirs through entry points, or by calling ``register``.

``unreel.policies`` entry points are named ``KIND.NAME`` (``context.mine = "package.module:Class"``);
``unreel.models`` entry points name a model and point at a function that returns its folder.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from unreel.engine.errors import UserError

_PARTS: dict[str, dict[str, str | Callable[..., Any]]] = {
    "backbone": {
        "patch-dit": "unreel.engine.backbone.dit:PatchDiT",
        "wan": "unreel.engine.backbone.wan:WanBackbone",
    },
    "sampler": {
        "euler": "unreel.engine.sampler.euler:Euler",
        "renoise": "unreel.engine.sampler.renoise:Renoise",
        "multistep": "unreel.engine.sampler.multistep:Multistep",
        "unipc": "unreel.engine.sampler.unipc:UniPC",
        "categorical": "unreel.engine.sampler.categorical:Categorical",
    },
    "context": {
        "full": "unreel.engine.context.window:Full",
        "window": "unreel.engine.context.window:SinkWindow",
        "span": "unreel.engine.context.window:SpanWindow",
        "importance-redundancy": "unreel.engine.context.importance:ImportanceRedundancy",
        "heads": "unreel.engine.context.heads:Heads",
        "hybrid": "unreel.engine.context.heads:Hybrid",
    },
    "reuse": {
        "none": "unreel.engine.reuse.base:Never",
        "flowcache": "unreel.engine.reuse.flowcache:FlowCache",
        "timestep": "unreel.engine.reuse.timestep:Timestep",
        "teacache": "unreel.engine.reuse.teacache:TeaCache",
    },
    "condition": {
        "action": "unreel.engine.conditions:ActionCondition",
        "text": "unreel.engine.conditions:TextCondition",
    },
    "codec": {},
    "ending": {},
    "plan": {},
}


def register(kind: str, name: str, part: str | Callable[..., Any]) -> None:
    """Make ``name`` known; ``part`` is a class, or ``"module:attribute"`` to be imported when first used."""
    if kind not in _PARTS:
        raise ValueError(f"kinds are {', '.join(_PARTS)}, got {kind!r}")
    _PARTS[kind][name] = part


def names(kind: str) -> list[str]:
    """All known names of a kind, entry points included."""
    outside = (e.name.partition(".") for e in entry_points(group="unreel.policies"))
    return sorted({*_PARTS[kind], *(n for k, _, n in outside if k == kind)})


def find(kind: str, name: str) -> Callable[..., Any]:
    """The class behind a name.

    Raises:
        UserError: nothing of that kind has this name; the message lists those that exist.
    """
    part = _PARTS[kind].get(name)
    if part is None:
        for entry in entry_points(group="unreel.policies", name=f"{kind}.{name}"):
            part = entry.load()
    if part is None:
        raise UserError(f"unknown {kind} {name!r}: known are {', '.join(names(kind))}")
    if isinstance(part, str):
        module, _, attribute = part.partition(":")
        part = getattr(import_module(module), attribute)
        _PARTS[kind][name] = part
    assert not isinstance(part, str)
    return part


def takes(kind: str, name: Any, option: str) -> bool:
    """Whether the part called ``name`` has this option."""
    return isinstance(name, str) and option in inspect.signature(find(kind, name)).parameters


def create(kind: str, spec: Mapping[str, Any]) -> Any:
    """Build a part from ``{"class": name, **options}``.

    Raises:
        UserError: unknown class, unknown option, or an option that the part refuses.
    """
    options = dict(spec)
    name = options.pop("class", None)
    if not isinstance(name, str):
        raise UserError(f"a {kind} needs `class: NAME`, one of {', '.join(names(kind))}; got {dict(spec)}")
    part = find(kind, name)
    accepted = inspect.signature(part).parameters
    open_ended = [p for p, v in accepted.items() if v.kind in (v.VAR_KEYWORD, v.VAR_POSITIONAL)]
    unknown = [o for o in options if o not in accepted and not open_ended]
    if unknown:
        raise UserError(f"{kind} {name!r} has no option {', '.join(unknown)}; it has {', '.join(accepted)}")
    missing = [p for p, v in accepted.items() if v.default is v.empty and p not in (*options, *open_ended)]
    if missing:
        raise UserError(f"{kind} {name!r} needs {', '.join(missing)}")
    try:
        return part(**options)
    except TypeError as error:
        raise UserError(f"{kind} {name!r} cannot be built from {options}: {error}") from None
