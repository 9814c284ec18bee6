"""From what a client wishes for to what a session is started with. Pure."""

from __future__ import annotations

from typing import Any

from unreel.engine.errors import UserError
from unreel.streaming.present import Shape, manner
from unreel.streaming.protocol import Configure, ModelInfo
from unreel.streaming.views import Views


def options_of(wish: Configure) -> dict[str, Any]:
    """What ``Model.session`` is given, the preset's name included."""
    options = {"seed": wish.seed, "steps": wish.steps, "start": wish.start, "actions": wish.actions}
    options["restart"] = wish.restart
    return {**{k: v for k, v in options.items() if v is not None}, "preset": wish.preset}


def first_controls(info: ModelInfo, views: Views, place: str | None, view: str | None) -> tuple[tuple[str, Any], ...]:
    """What a new session is sent first.

    Raises:
        UserError: something this model is not sent, or a view that is not there.
    """
    wishes = {"place": place, "view": view}
    wanted = [kind for kind, value in wishes.items() if value is not None]
    for kind in wanted:
        if kind not in info.controls:
            raise UserError(f"{info.name} takes no {kind}")
    return tuple((kind, views.get(view, info.name) if kind == "view" else wishes[kind]) for kind in wanted)


def shape_of(info: ModelInfo, views: Views, mesh: str | None) -> Shape | None:
    """The mesh or rig that a new session is about.

    Raises:
        UserError: one is needed, or not taken, or not there.
    """
    kind = manner(info.modality)
    if mesh is None:
        if kind.takes == "surface":
            raise UserError(f'{info.name} needs a mesh: upload one with POST /v1/meshes, or give mesh "example"')
        return None
    if not kind.takes:
        raise UserError(f"{info.name} takes no mesh")
    if mesh == "example":
        if kind.example is None:
            raise UserError(f"{info.name} has no example; upload a rig with POST /v1/meshes")
        return kind.example()
    kept = views.get(mesh, info.name, "mesh", "/v1/meshes")
    assert kept is not None, "there is a name"
    shape: Shape = kept["shape"]
    return shape
