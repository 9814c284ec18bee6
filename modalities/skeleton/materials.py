"""How the parts of a mesh look: glTF materials with their textures, kept as they came, images byte for byte."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from PIL import Image

from unreel.modalities.skeleton.document import Document, resolve

Entry = dict[str, Any]

MAGIC = (
    (b"\x89PNG", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"RIFF", "image/webp"),
    (b"\xabKTX 20", "image/ktx2"),
)


@dataclass(frozen=True, eq=False)
class Picture:
    """An encoded image and what glTF calls its kind."""

    data: bytes
    mime: str
    name: str = ""


@dataclass(frozen=True, eq=False)
class Looks:
    """glTF entries that refer to each other by place: materials -> textures -> samplers and images."""

    materials: tuple[Entry, ...] = ()
    textures: tuple[Entry, ...] = ()
    samplers: tuple[Entry, ...] = ()
    images: tuple[Picture, ...] = ()

    def colour(self, material: int | None) -> tuple[float, float, float, float]:
        """The base colour factor of a material, linear RGBA; white without one."""
        if material is None:
            return (1.0, 1.0, 1.0, 1.0)
        factors = self.materials[material].get("pbrMetallicRoughness", {}).get("baseColorFactor", (1, 1, 1, 1))
        red, green, blue, alpha = (float(value) for value in factors)
        return red, green, blue, alpha

    def picture(self, material: int | None) -> Picture | None:
        """The base colour texture of a material, if it has one in a form that Pillow reads."""
        if material is None:
            return None
        info = self.materials[material].get("pbrMetallicRoughness", {}).get("baseColorTexture")
        source = self.textures[info["index"]].get("source") if info else None
        return None if source is None or self.images[source].mime == "image/ktx2" else self.images[source]

    def only(self, used: Iterable[int]) -> tuple[Looks, dict[int, int]]:
        """The looks of some materials with nothing spare, and where each material went."""
        materials = sorted(set(used))
        kept = [copy.deepcopy(self.materials[index]) for index in materials]
        infos = [info for material in kept for info in texture_infos(material)]
        textures = sorted({info["index"] for info in infos})
        for info in infos:
            info["index"] = textures.index(info["index"])
        entries = [copy.deepcopy(self.textures[index]) for index in textures]
        samplers = sorted({entry["sampler"] for entry in entries if "sampler" in entry})
        sources = sorted({holder["source"] for entry in entries for holder in _sources(entry)})
        for entry in entries:
            if "sampler" in entry:
                entry["sampler"] = samplers.index(entry["sampler"])
            for holder in _sources(entry):
                holder["source"] = sources.index(holder["source"])
        looks = Looks(
            tuple(kept),
            tuple(entries),
            tuple(self.samplers[index] for index in samplers),
            tuple(self.images[index] for index in sources),
        )
        return looks, {old: new for new, old in enumerate(materials)}

    def with_looks(self, other: Looks) -> tuple[Looks, int]:
        """These looks followed by those of ``other``, and the place of its first material."""
        textures, samplers, images = len(self.textures), len(self.samplers), len(self.images)
        materials = copy.deepcopy(list(other.materials))
        entries = copy.deepcopy(list(other.textures))
        for info in (info for material in materials for info in texture_infos(material)):
            info["index"] += textures
        for entry in entries:
            if "sampler" in entry:
                entry["sampler"] += samplers
            for holder in _sources(entry):
                holder["source"] += images
        looks = Looks(
            (*self.materials, *materials),
            (*self.textures, *entries),
            (*self.samplers, *other.samplers),
            (*self.images, *other.images),
        )
        return looks, len(self.materials)


def texture_infos(material: Entry) -> list[Entry]:
    """Every reference to a texture in a material, those of extensions too; the dicts themselves, not copies."""
    found = []
    for key, value in material.items():
        if isinstance(value, dict):
            if key.endswith("Texture") and isinstance(value.get("index"), int):
                found.append(value)
            else:
                found += texture_infos(value)
    return found


def _sources(texture: Entry) -> list[Entry]:
    """What in a texture names an image: itself, and the extensions for other kinds of image."""
    extensions = texture.get("extensions", {})
    return [entry for entry in (texture, *extensions.values()) if isinstance(entry, dict) and "source" in entry]


def read_looks(document: Document) -> Looks:
    """All materials of a glTF file."""
    images = []
    for entry in document.entries("images"):
        data = document.view(entry["bufferView"]) if "bufferView" in entry else None
        data = resolve(entry["uri"], document.folder, document.name) if data is None else data
        images.append(Picture(data, mime_of(data, entry.get("mimeType", "image/png")), entry.get("name", "")))
    for key, target in (("textures", "samplers"), ("textures", "images")):
        for entry in document.entries(key):
            field = "sampler" if target == "samplers" else "source"
            if field in entry:
                document.item(target, entry[field])
    for material in document.entries("materials"):
        for info in texture_infos(material):
            document.item("textures", info["index"])
    return Looks(
        tuple(document.entries("materials")),
        tuple(document.entries("textures")),
        tuple(document.entries("samplers")),
        tuple(images),
    )


def mime_of(data: bytes, otherwise: str) -> str:
    """The kind of an encoded image, told from its first bytes."""
    return next((mime for magic, mime in MAGIC if data.startswith(magic)), otherwise)


def bare_png(data: bytes) -> bytes:
    """A PNG without what it says about gamma, colour space and pixel shape: glTF ignores it, its validator reports it.

    Pixels stay as they are, byte for byte; so does everything that is no PNG.
    """
    if not data.startswith(b"\x89PNG\r\n\x1a\n"):
        return data
    kept, at = [data[:8]], 8
    while at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        if data[at + 4 : at + 8] not in (b"gAMA", b"cHRM", b"iCCP", b"sRGB", b"pHYs"):
            kept.append(data[at : at + 12 + length])
        at += 12 + length
    return b"".join(kept)


def plain_material(colour: Iterable[float], name: str = "", texture: int | None = None) -> Entry:
    """A matt material of one linear RGBA colour, or of a texture times that colour."""
    red, green, blue, alpha = (float(value) for value in colour)
    pbr: Entry = {"baseColorFactor": [red, green, blue, alpha], "metallicFactor": 0.0, "roughnessFactor": 0.9}
    if texture is not None:
        pbr["baseColorTexture"] = {"index": texture}
    material: Entry = {"pbrMetallicRoughness": pbr, "doubleSided": True}
    return material | ({"name": name} if name else {}) | ({"alphaMode": "BLEND"} if alpha < 1 else {})


def encode_picture(image: Image.Image, name: str = "") -> Picture:
    """A Pillow image as PNG."""
    out = BytesIO()
    image.save(out, "PNG")
    return Picture(out.getvalue(), "image/png", name)
