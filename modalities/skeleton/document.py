"""A glTF file as it is: its JSON, its buffers, and the numbers its accessors stand for.

The JSON stays a plain dict, so that whatever a file says about its materials survives as it was. (A KayKit character
has 8,800 accessors: as dataclasses it takes 8 s to read, as plain JSON 0.05 s.)
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from unreel.engine.errors import UserError
from unreel.modalities.skeleton.kinematics import local_matrices
from unreel.modalities.skeleton.rotations import Floats

COMPONENTS = {5120: np.int8, 5121: np.uint8, 5122: np.int16, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
PACKED = {
    "KHR_draco_mesh_compression": "Draco",
    "EXT_meshopt_compression": "meshopt",
    "KHR_meshopt_compression": "meshopt",
}

LARGEST = 100_000_000  # entries of one accessor

Numbers = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Document:
    """The JSON of a glTF file and its buffers in order; ``name`` is for messages."""

    name: str
    json: dict[str, Any]
    buffers: tuple[bytes, ...]
    folder: Path | None = None  # where separate files lie; None when there is no such place

    def entries(self, key: str) -> list[dict[str, Any]]:
        """A top-level list such as "nodes"; empty when the file has none."""
        found: list[dict[str, Any]] = self.json.get(key, [])
        return found

    def item(self, key: str, index: int) -> dict[str, Any]:
        """One entry of a top-level list, or UserError."""
        entries = self.entries(key)
        if not isinstance(index, int) or not 0 <= index < len(entries):
            raise UserError(
                f"{self.name} is damaged: it speaks of {key}[{index}] and has {len(entries)}; export it again"
            )
        return entries[index]

    def view(self, index: int) -> bytes:
        """The bytes of a buffer view."""
        view = self.item("bufferViews", index)
        start, length = view.get("byteOffset", 0), view["byteLength"]
        self.item("buffers", view["buffer"])
        data: bytes = self.buffers[view["buffer"]][start : start + length]
        if len(data) < length:
            raise UserError(
                f"{self.name} is cut short: bufferViews[{index}] ends behind the data; copy or export it again"
            )
        return data

    def raw(self, index: int) -> Numbers:
        """The components of an accessor as stored (count, width); a copy, sparse changes made."""
        accessor = self.item("accessors", index)
        count, width = accessor["count"], WIDTHS[accessor["type"]]
        if not 0 <= count <= LARGEST:
            raise UserError(f"{self.name} is damaged: accessors[{index}] has {count} entries; export it again")
        kind = np.dtype(COMPONENTS[accessor["componentType"]]).newbyteorder("<")
        if "bufferView" in accessor:
            values = self._strided(index, accessor["bufferView"], accessor.get("byteOffset", 0), count, width, kind)
        else:
            values = np.zeros((count, width), kind)
        if "sparse" in accessor:
            sparse = accessor["sparse"]
            where, change = sparse["indices"], sparse["values"]
            spot = np.dtype(COMPONENTS[where["componentType"]]).newbyteorder("<")
            at = self._strided(index, where["bufferView"], where.get("byteOffset", 0), sparse["count"], 1, spot)[:, 0]
            new = self._strided(index, change["bufferView"], change.get("byteOffset", 0), sparse["count"], width, kind)
            if len(at) and at.max() >= count:
                raise UserError(
                    f"{self.name} is damaged: accessors[{index}] changes entries it has not; export it again"
                )
            values[at] = new
        return values

    def _strided(self, index: int, view: int, offset: int, count: int, width: int, kind: np.dtype[Any]) -> Numbers:
        data = self.view(view)
        step = width * kind.itemsize
        stride = self.entries("bufferViews")[view].get("byteStride", step)
        if count and offset + stride * (count - 1) + step > len(data):
            raise UserError(f"{self.name} is damaged: accessors[{index}] reads behind its buffer view; export it again")
        if stride == step:
            return np.frombuffer(data, kind, count * width, offset).reshape(count, width).copy()
        bytes_at = np.ndarray((count, step), np.uint8, data, offset, (stride, 1))
        return np.ascontiguousarray(bytes_at).view(kind).reshape(count, width)

    def numbers(self, index: int) -> Floats:
        """The values of an accessor as float32 (count, width), normalised integers made into 0..1 or -1..1."""
        values = self.raw(index)
        accessor = self.entries("accessors")[index]
        floats: Floats = values.astype(np.float32)
        if accessor.get("normalized") and values.dtype.kind in "iu":
            floats = np.maximum(floats / np.float32(np.iinfo(values.dtype).max), np.float32(-1))
        return floats

    def matrices(self, index: int) -> Floats:
        """The matrices (count, 4, 4) of a MAT4 accessor, for column vectors."""
        return self.numbers(index).reshape(-1, 4, 4).transpose(0, 2, 1)

    @cached_property
    def parents(self) -> list[int]:
        """The parent of every node, -1 for none."""
        parents = [-1] * len(self.entries("nodes"))
        for index, node in enumerate(self.entries("nodes")):
            for child in node.get("children", ()):
                self.item("nodes", child)
                parents[child] = index
        return parents

    @cached_property
    def order(self) -> list[int]:
        """All nodes, parents first; UserError when they hang on each other in a circle."""
        order = [node for node, parent in enumerate(self.parents) if parent < 0]
        for node in order:
            order.extend(self.entries("nodes")[node].get("children", ()))
        if len(order) != len(self.parents):
            raise UserError(f"{self.name} is damaged: its nodes hang on each other in a circle; export it again")
        return order

    @cached_property
    def shown(self) -> list[int]:
        """The nodes of the scene that opens first, parents first; of all scenes when the file names none."""
        scenes = self.entries("scenes")
        if not scenes:
            return self.order
        roots = set(self.item("scenes", self.json.get("scene", 0)).get("nodes", ()))
        inside = set()
        for node in self.order:
            if node in roots or self.parents[node] in inside:
                inside.add(node)
        return [node for node in self.order if node in inside]

    def local(self, node: int) -> tuple[Floats, Floats, Floats]:
        """Translation (3,), rotation (4,) and scale (3,) of a node; of one with a matrix see `matrix`."""
        entry = self.entries("nodes")[node]
        return (
            np.asarray(entry.get("translation", (0, 0, 0)), np.float64),
            np.asarray(entry.get("rotation", (0, 0, 0, 1)), np.float64),
            np.asarray(entry.get("scale", (1, 1, 1)), np.float64),
        )

    def matrix(self, node: int) -> Floats:
        """The local matrix (4, 4) of a node."""
        entry = self.entries("nodes")[node]
        if "matrix" in entry:
            return np.asarray(entry["matrix"], np.float64).reshape(4, 4).T
        matrix: Floats = local_matrices(*self.local(node))
        return matrix

    @cached_property
    def globals(self) -> Floats:
        """World matrices (nodes, 4, 4) as the file stands, without animation."""
        found = np.zeros((len(self.parents), 4, 4))
        for node in self.order:
            above = self.parents[node]
            found[node] = self.matrix(node) if above < 0 else found[above] @ self.matrix(node)
        return found


@contextmanager
def damaged(name: str) -> Iterator[None]:
    """Turns what reading a wrong entry raises into one line for the user."""
    try:
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # what comes of it is checked
            yield
    except UserError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError) as error:
        reason = " ".join(repr(error).split())[:120]
        raise UserError(f"{name} is damaged: an entry is missing or wrong ({reason}); export it again") from None


def load_document(source: str | os.PathLike[str] | bytes, name: str | None = None) -> Document:
    """The document of a .glb or .gltf file (with its .bin files and data URIs), or of the bytes of one.

    Raises UserError when it cannot be read, is damaged or packs its geometry in a way that we do not unpack.
    """
    if isinstance(source, bytes):
        data, folder, name = source, None, name or "the glTF data"
    else:
        path = Path(source)
        name = name or path.name
        folder = path.parent
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise UserError(f"there is no file {path}; give a .glb or .gltf") from None
        except OSError as error:
            raise UserError(f"{path} cannot be read ({error.strerror}); give a .glb or .gltf file") from None
    if not data:
        raise UserError(f"{name} is empty; copy or export it again")
    text, binary = _split(data, name)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{name} is no glTF file: its JSON does not parse ({error}); export it again") from None
    asset = content.get("asset") if isinstance(content, dict) else None
    if not isinstance(asset, dict) or not str(asset.get("version", "")).startswith("2"):
        raise UserError(f"{name} is no glTF 2 file: expected asset.version 2.x; export it as glTF 2.0 (.glb)")
    with damaged(name):
        for extension, packing in PACKED.items():
            if extension in content.get("extensionsRequired", ()):
                raise UserError(
                    f"{name} is packed with {packing}, which unreel does not unpack; export it uncompressed"
                )
        entries = content.get("buffers", [])
        buffers = tuple(_buffer(entry, None if i else binary, folder, name) for i, entry in enumerate(entries))
    return Document(name, content, buffers, folder)


def _split(data: bytes, name: str) -> tuple[bytes, bytes | None]:
    """The JSON and the binary chunk of a GLB; a text file is all JSON."""
    if data[:4] != b"glTF":
        if data[:40].startswith(b"version https://git-lfs"):
            raise UserError(f"{name} is a Git LFS pointer, not the file; fetch it with `git lfs pull`")
        return data, None
    if len(data) < 20 or struct.unpack_from("<I", data, 4)[0] != 2:
        raise UserError(f"{name} is no GLB of version 2; export it as glTF 2.0 (.glb)")
    at, text, binary = 12, None, None
    while at + 8 <= len(data):
        length, kind = struct.unpack_from("<I4s", data, at)
        chunk = data[at + 8 : at + 8 + length]
        if len(chunk) < length:
            raise UserError(f"{name} is cut short: expected {at + 8 + length} bytes, got {len(data)}; copy it again")
        if kind == b"JSON" and text is None:
            text = chunk
        elif kind == b"BIN\0" and binary is None:
            binary = chunk
        at += 8 + length
    if text is None:
        raise UserError(f"{name} is a GLB without its JSON; copy or export it again")
    return text, binary


def _buffer(entry: dict[str, Any], binary: bytes | None, folder: Path | None, name: str) -> bytes:
    """The bytes of one buffer: the binary chunk, a data URI or a file beside."""
    if "uri" not in entry:
        if binary is None and entry.get("byteLength"):
            raise UserError(f"{name} lacks its binary chunk; copy or export it again")
        return binary or b""
    return resolve(entry["uri"], folder, name)


def resolve(uri: str, folder: Path | None, name: str) -> bytes:
    """What a URI in a glTF file stands for: inline data, or a file in the same folder or below."""
    if uri.startswith("data:"):
        try:
            return base64.b64decode(uri.partition(",")[2], validate=True)
        except (binascii.Error, ValueError):
            raise UserError(f"{name} holds inline data that is no base64; export it again") from None
    if folder is None:
        raise UserError(f"{name} needs {uri!r} beside it; send a .glb, which holds everything in one file")
    path = (folder / unquote(uri)).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise UserError(f"{name} points out of its folder ({uri!r}); put its files beside it or export a .glb")
    try:
        return path.read_bytes()
    except OSError:
        raise UserError(
            f"{name} needs {uri!r} beside it and that cannot be read; copy it too or export a .glb"
        ) from None
