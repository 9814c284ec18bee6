"""What the commands need of rigs: a mesh in, a rigged file out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from unreel.engine.errors import UserError
from unreel.engine.model import Model
from unreel.modalities.media.works import Note, Order
from unreel.modalities.rig.maker import RigMaker
from unreel.modalities.rig.subject import subject_of
from unreel.modalities.skeleton.document import load_document
from unreel.modalities.skeleton.gltf import is_rigged, read_rig
from unreel.modalities.skeleton.meshfile import load_mesh
from unreel.modalities.skeleton.rig import Rig

WAYS = ("keep", "replace")


def inputs(model: Model) -> list[str]:
    return ["mesh", "rig", *model.conditions]


def order(model: Model, inputs: Mapping[str, Any], note: Note) -> Order:
    """A mesh is asked for, and for one that is rigged already, what to do about that."""
    if "mesh" not in inputs:
        raise UserError(f"{model.name} needs a mesh, as in -i mesh=creature.glb")
    path, way = Path(str(inputs["mesh"])), inputs.get("rig")
    if way not in (None, *WAYS):
        raise UserError(f"rig is keep or replace, for a mesh that is rigged already; got {way!r}")
    found = rig_in(path)
    if found is not None and way is None:
        raise UserError(
            f"{path} is rigged already, with {len(found.skeleton)} joints: say -i rig=keep to write it as it is, or "
            "-i rig=replace for a new skeleton"
        )
    if found is not None and way == "keep":
        for text in found.notes:
            note(text)
        return Order(film={"kept": found}, things="joints")
    mesh = load_mesh(path)
    subject = subject_of(mesh)
    for text in mesh.notes:
        note(text)
    controls = {name: inputs[name] for name in model.conditions if name in inputs}
    film = {"mesh": replace(mesh, notes=()), "subject": subject}
    return Order({**controls, "mesh": subject}, film=film, things="joints")


def rig_in(path: Path) -> Rig | None:
    """The rig of a file that has one."""
    if path.suffix.lower() not in (".glb", ".gltf"):
        return None
    document = load_document(path)
    return read_rig(document) if is_rigged(document) else None


def maker(path: Path, model: Model, order: Order, fps: float) -> RigMaker:
    return RigMaker(path, model, fps, **order.film)
