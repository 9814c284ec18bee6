"""A mesh file of any common kind read as a `Mesh`: GLB and glTF by our own reader, everything else through trimesh."""

from __future__ import annotations

import io
import os
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from PIL import Image

from unreel.engine.errors import UserError
from unreel.modalities.skeleton.document import Document, damaged, load_document
from unreel.modalities.skeleton.gltf import is_rigged, read_rig
from unreel.modalities.skeleton.materials import Looks, encode_picture, plain_material, read_looks
from unreel.modalities.skeleton.mesh import Mesh, Part, clean_part, make_mesh, unit_guess
from unreel.modalities.skeleton.primitives import moved, read_mesh

SUFFIXES = (".glb", ".gltf", ".obj", ".ply", ".stl", ".off", ".3mf", ".dae")
LARGEST = 20_000_000  # faces
SIZES = (1e-6, 1e9)  # of the longest side, in any unit: float32 places and their areas stay numbers


def load_mesh(source: str | os.PathLike[str] | bytes, suffix: str | None = None) -> Mesh:
    """The mesh of a file, its scene graph flattened into world space; ``suffix`` says what ``bytes`` are (".glb").

    Parts keep materials, normals and texture coordinates. An already rigged glTF comes in the pose it was bound in
    and a note says so (`read_rig` gives the rig). ``notes`` also say what was left out, that the mesh is flat or not
    watertight, and what unit its size suggests. Raises UserError, one line, when there is nothing to work with.
    """
    name = "the mesh" if isinstance(source, bytes) else Path(source).name
    kind = (suffix or ("" if isinstance(source, bytes) else Path(source).suffix)).lower()
    if kind not in SUFFIXES:
        raise UserError(
            f"{name} is of a kind that unreel does not read ({kind or 'no suffix'}); give {', '.join(SUFFIXES)}"
        )
    if kind in (".glb", ".gltf"):
        document = load_document(source, name)
        with damaged(name):
            mesh = _rigged(document) if is_rigged(document) else _static(document)
    else:
        mesh = _through_trimesh(source, kind[1:], name)
    if len(mesh.faces) > LARGEST:
        raise UserError(f"{name} has {len(mesh.faces):,} faces, more than {LARGEST:,}; decimate it first")
    return replace(mesh, notes=(*mesh.notes, *remarks(mesh)))


def _rigged(document: Document) -> Mesh:
    rig = read_rig(document, clips=False)
    note = f"already rigged with {len(rig.skeleton)} joints; the mesh is taken in the pose it was bound in"
    return replace(rig.mesh, notes=(note, *rig.notes))


def _static(document: Document) -> Mesh:
    """All meshes of the scene, each part carried into the world by its node."""
    notes: list[str] = []
    parts = []
    for node in document.shown:
        if "mesh" in document.entries("nodes")[node]:
            parts += [moved(read.part, document.globals[node]) for read in read_mesh(document, node, notes)]
    return make_mesh(parts, read_looks(document), notes, document.name)


def remarks(mesh: Mesh) -> list[str]:
    """What a user may want to know about a mesh: flat, open, many faces, a size that suggests another unit."""
    found = []
    sides = np.sort(np.ptp(mesh.bounds.astype(np.float64), axis=0))
    if sides[2] <= 0:
        raise UserError("the mesh is a single point; give a surface")
    if not SIZES[0] <= sides[2] <= SIZES[1]:
        raise UserError(
            f"the longest side of the mesh is {sides[2]:g}, and {SIZES[0]:g} to {SIZES[1]:g} can be worked with; "
            "scale it, and take out vertices that lie astray"
        )
    if sides[0] < 1e-4 * sides[2]:
        found.append("the mesh is flat: joints will lie in its plane")
    unit, factor = unit_guess(float(sides[2]))
    if unit != "metres":
        found.append(
            f"its longest side is {sides[2]:g}: probably {unit}; scale by {factor:g} for metres"
            if factor != 1
            else f"its longest side is only {sides[2]:g}: probably {unit}"
        )
    if len(mesh.faces) > 200_000:
        found.append(f"{len(mesh.faces):,} faces: a decimated copy goes to the model, the output keeps them all")
    elif not _watertight(mesh):
        found.append("the surface is not closed or not manifold; that is fine for a rig")
    return found


def _watertight(mesh: Mesh) -> bool:
    """Whether every edge, with vertices at the same place counted as one, has exactly two faces."""
    low, high = mesh.bounds
    _, place = np.unique(np.round((mesh.positions - low) / (high - low).max(), 6), axis=0, return_inverse=True)
    faces = place.reshape(-1)[mesh.faces]
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), 1)
    _, count = np.unique(edges[:, 0] * np.int64(len(place)) + edges[:, 1], return_counts=True)
    return bool((count == 2).all())


def _through_trimesh(source: str | os.PathLike[str] | bytes, kind: str, name: str) -> Mesh:
    """trimesh's scene, flattened; its vertices stay in order (nothing merged)."""
    if not isinstance(source, bytes) and not Path(source).is_file():
        raise UserError(f"there is no file {source}; give one of {', '.join(SUFFIXES)}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            file: Any = io.BytesIO(source) if isinstance(source, bytes) else os.fspath(source)
            scene = trimesh.load_scene(file, file_type=kind, process=False, maintain_order=True)
    except Exception as error:  # each format fails in its own way; the user needs one line
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UserError(f"{name} cannot be read as {kind.upper()} ({reason}); export it again, best as .glb") from None
    notes: list[str] = []
    parts, looks = [], Looks()
    for node in scene.graph.nodes_geometry:
        matrix, geometry = scene.graph[node]
        shape = scene.geometry[geometry]
        if not isinstance(shape, trimesh.Trimesh):
            notes.append(f"{geometry}: points or lines, left out")
            continue
        more, colours, uv = _look(shape.visual, str(geometry))
        looks, material = looks.with_looks(more)
        normals = np.asarray(shape.vertex_normals, np.float32) if "vertex_normals" in shape._cache.cache else None
        with np.errstate(over="ignore"):  # what is no float32 becomes infinite, and is left out
            positions = np.asarray(shape.vertices, np.float32)
        part = Part(
            positions,
            np.asarray(shape.faces, np.int64),
            normals,
            () if uv is None else (uv,),
            colours,
            material,
            str(geometry),
        )
        cleaned = clean_part(part, notes)
        parts += [] if cleaned is None else [moved(cleaned[0], np.asarray(matrix))]
    return make_mesh(parts, looks, notes, name)


def _look(visual: Any, name: str) -> tuple[Looks, np.ndarray | None, np.ndarray | None]:
    """One material, vertex colours (N, 4) and texture coordinates (N, 2) of what trimesh says of a surface."""
    uv = getattr(visual, "uv", None)
    material = getattr(visual, "material", None)
    if material is None:
        has = visual is not None and visual.kind == "vertex"
        colours = _linear(np.asarray(visual.vertex_colors)) if has else None
        return Looks((plain_material((1.0,) * 4 if has else (0.6, 0.6, 0.6, 1.0), name),)), colours, None
    image = getattr(material, "baseColorTexture", None) or getattr(material, "image", None)
    factor = getattr(material, "baseColorFactor", None)
    factor = material.main_color if factor is None and image is None else factor
    colour = (1.0,) * 4 if factor is None else _linear(np.asarray(factor))
    uv = None if uv is None or not len(uv) else np.where(np.isfinite(uv), uv, 0).astype(np.float32)
    if uv is not None:
        uv = np.stack([uv[:, 0], 1 - uv[:, 1]], 1)  # trimesh counts v from below, glTF from above
    if not isinstance(image, Image.Image) or uv is None:
        return Looks((plain_material(colour, name),)), None, uv
    looks = Looks((plain_material(colour, name, texture=0),), ({"source": 0},), (), (encode_picture(image, name),))
    return looks, None, uv


def _linear(colour: np.ndarray) -> np.ndarray:
    """sRGB bytes or floats (..., 3 or 4) as linear RGBA floats."""
    value = colour.astype(np.float32) / (255 if colour.dtype.kind in "iu" else 1)
    if value.shape[-1] == 3:
        value = np.concatenate([value, np.ones_like(value[..., :1])], -1)
    rgb = value[..., :3]
    value[..., :3] = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return value
