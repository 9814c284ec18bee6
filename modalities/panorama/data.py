"""Folders of panoramas: reading, naming and splitting them.

A panorama is an equirectangular picture, twice as wide as high (PNG, JPEG or WebP). Beside them may lie
`places.yaml` or `places.json`: ``{file name without ending: name of the kind of place}``, and `held-out.txt`: names
that are not trained on, one a line.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
import yaml
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from unreel.engine.errors import UserError

ENDINGS = (".jpg", ".jpeg", ".png", ".webp")
HEIGHT = 256  # of the panoramas in memory: as fine as a face of 128 pixels

# The panoramas of Poly Haven (CC0) that the shipped model saw, by kind of place; a name of None is trained unnamed.
PLACES = {
    "forest": ("forest_slope", "phalzer_forest_01", "rainforest_trail"),
    "meadow": ("immenstadter_horn", "noon_grass", "rooitou_park", "sunrise"),
    "sky": ("aristea_wreck_puresky", "sky"),
    "sunset": ("dikhololo_night", "kiara_1_dawn", "sunset", "venice", "venice_sunset"),
    "city": ("adams_place_bridge", "leadenhall_market", "st_peters_square_night"),
    "hall": ("autoshop_01", "circus_arena", "dancing_hall", "empty_warehouse_01", "esplanade"),
    "workshop": ("aerodynamics_workshop", "lab", "peppermint_powerplant", "workshop"),
    "room": (
        "brown_photostudio_01",
        "brown_photostudio_02",
        "brown_photostudio_06",
        "christmas_photo_studio_07",
        "lebombo",
        "st_fagans_interior",
        "thatch_chapel",
    ),
    "studio": ("blocky_photo_studio", "studio_small_03", "studio_small_05"),
}
# Not trained on, so that figures can be measured on them; no other picture of the same place is.
HELD_OUT = (
    "empty_warehouse_01",
    "immenstadter_horn",
    "kiara_1_dawn",
    "leadenhall_market",
    "lebombo",
    "rainforest_trail",
    "thatch_chapel",
)


@dataclass(frozen=True)
class Panorama:
    """One picture (3, 256, 512), uint8, and the name of the kind of place it shows (None: not told)."""

    name: str
    picture_3HW: Tensor
    place: str | None


def load_panoramas(folder: Path) -> list[Panorama]:
    """All panoramas of a folder, by name.

    Raises:
        UserError: the folder has none, or one of its pictures is no panorama.
    """
    paths = sorted(p for p in folder.glob("*") if p.suffix.lower() in ENDINGS) if folder.is_dir() else []
    if not paths:
        raise UserError(f"no panoramas in {folder}: expected a folder of pictures twice as wide as high (JPEG, PNG)")
    places = read_places(folder)
    return [Panorama(path.stem, read_panorama(path), places.get(path.stem)) for path in paths]


def read_panorama(path: Path) -> Tensor:
    """An equirectangular picture as uint8 (3, 256, 512).

    Raises:
        UserError: it is not twice as wide as high, or no picture.
    """
    try:
        with Image.open(path) as image:
            pixels = np.array(image.convert("RGB"))
    except (UnidentifiedImageError, OSError) as error:
        raise UserError(f"{path} is no picture that can be read: {error}; take it out of the folder") from None
    picture = torch.from_numpy(pixels).permute(2, 0, 1)
    height, width = picture.shape[1:]
    if width != 2 * height:
        raise UserError(
            f"{path} is no panorama: expected a picture twice as wide as high, got {width}x{height}; take it out"
        )
    shrunk = F.interpolate(
        picture[None].float(), size=(HEIGHT, 2 * HEIGHT), mode="bilinear", antialias=True, align_corners=False
    )
    return shrunk[0].round().clamp(0, 255).byte()


def read_places(folder: Path) -> dict[str, str]:
    """Kinds of place by file name: from `places.yaml` or `places.json` in the folder, else those known of Poly Haven's.

    Raises:
        UserError: the file is no mapping of names to names.
    """
    for name in ("places.yaml", "places.yml", "places.json"):
        path = folder / name
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8")
        try:
            found = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
        except (yaml.YAMLError, json.JSONDecodeError) as error:
            raise UserError(f"{path} cannot be read: {str(error).splitlines()[0]}") from None
        if not isinstance(found, dict) or not all(isinstance(x, str) for pair in found.items() for x in pair):
            raise UserError(f"{path} must map file names without ending to kinds of place, as in `my_garden: meadow`")
        return found
    return {name: place for place, names in PLACES.items() for name in names}


def split(panoramas: list[Panorama], folder: Path) -> tuple[list[Panorama], list[Panorama]]:
    """Those to train on and those held out: named in `held-out.txt`, else the seven of Poly Haven's set.

    Raises:
        UserError: nothing is left to train on.
    """
    listed = folder / "held-out.txt"
    names = listed.read_text(encoding="utf-8").split() if listed.is_file() else HELD_OUT
    train = [p for p in panoramas if p.name not in names]
    if not train:
        raise UserError(f"all {len(panoramas)} panoramas of {folder} are held out: shorten {listed}")
    return train, [p for p in panoramas if p.name in names]
