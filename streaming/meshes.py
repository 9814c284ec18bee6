"""``POST /v1/meshes``: a mesh to be rigged, or a rig to be moved, as what a session is about.

The file never touches the disk: it is read from memory, so that nothing in it can name another file, and what it
would unpack to is counted before it is read. What stays is the mesh, for some minutes, under a secret.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from starlette.datastructures import UploadFile

from unreel.engine.errors import UserError
from unreel.engine.model import Model
from unreel.modalities.skeleton.document import Document, damaged, load_document
from unreel.streaming.present import Shape, manner
from unreel.streaming.uploads import bounded
from unreel.streaming.views import Views

SUFFIXES = (".glb", ".obj", ".ply", ".stl")
WAYS = ("", "replace")
ENTRIES = 16_000_000  # vertices, their attributes and indices of a GLB, all counted
JOINTS = 1024


def router(views: Views, models: Mapping[str, Model], largest: int) -> APIRouter:
    """``largest`` is how many bytes an upload may have."""
    routes = APIRouter()
    turn = asyncio.Semaphore(1)  # reading takes a core

    @routes.post("/v1/meshes")
    async def create(request: Request) -> Response:
        async with bounded(request, largest).form(max_files=1, max_fields=4, max_part_size=8192) as form:
            name = str(form.get("model") or _default(models))
            if name not in models:
                raise HTTPException(400, f"models here: {', '.join(models)}; got {name[:64]!r}")
            file, way = form.get("file"), str(form.get("rig") or "")
            try:
                if not isinstance(file, UploadFile):
                    raise UserError(f"an upload needs a part called file: {', '.join(SUFFIXES)}")
                suffix = PurePosixPath(file.filename or "").suffix.lower()
                async with turn:
                    shape = await asyncio.to_thread(read, models[name], await file.read(), suffix, way)
            except UserError as error:
                raise HTTPException(400, str(error)[:300]) from None
        about = {"object": "mesh", "model": name, "expires_in_s": views.keep_s, **shape.about}
        return JSONResponse({"id": views.put(name, {"shape": shape}), **about}, 201)

    return routes


def _default(models: Mapping[str, Model]) -> str:
    """The first model that takes meshes."""
    return next((name for name, one in models.items() if manner(one.card.modality).takes), next(iter(models)))


def read(model: Model, data: bytes, suffix: str, way: str = "") -> Shape:
    """The shape of an upload, as the model's modality takes it.

    Raises:
        UserError: a file that is of no use, in one line.
    """
    kind = manner(model.card.modality)
    if kind.shape is None:
        raise UserError(f"{model.name} takes no mesh")
    if suffix not in SUFFIXES:
        raise UserError(f"the file is called something.{'|'.join(one[1:] for one in SUFFIXES)}, got {suffix[:16]!r}")
    if way not in WAYS:
        raise UserError(f"rig is replace, for a mesh that is rigged already; got {way[:32]!r}")
    if suffix == ".glb":
        document = load_document(data, "the file")
        with damaged("the file"):
            check_amount(document)
    return kind.shape(model, data, suffix, way)


def check_amount(document: Document) -> None:
    """UserError for a GLB that would unpack to more than a server has room for."""
    below = [child for node in document.entries("nodes") for child in node.get("children", ())]
    if len(below) != len(set(below)):
        raise UserError("the file is damaged: a node of it hangs on two others; export it again")
    total = 0
    for node in document.entries("nodes"):
        for primitive in document.item("meshes", node["mesh"])["primitives"] if "mesh" in node else ():
            used: list[Any] = [*primitive.get("attributes", {}).values(), primitive.get("indices")]
            total += sum(int(document.item("accessors", one)["count"]) for one in used if one is not None)
    if total > ENTRIES:
        raise UserError(f"the file is too large to be served: {total:,} numbers of {ENTRIES:,}; decimate it first")
    for skin in document.entries("skins"):
        if len(skin["joints"]) > JOINTS:
            raise UserError(f"a skin has at most {JOINTS} joints here, got {len(skin['joints'])}")
