"""Finding models: shipped ones by name, any other by its folder, those of other packages by entry point."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from unreel import hub
from unreel.engine import registry
from unreel.engine.card import Card, read_card
from unreel.engine.errors import UserError
from unreel.engine.model import Model, load_model
from unreel.modalities.media.works import Works
from unreel.modalities.video.wan import published

_PARTS = {
    ("codec", "fold"): "unreel.modalities.video.codec:FoldCodec",
    ("codec", "wan-vae"): "unreel.modalities.video.wan.vae:WanCodec",
    ("condition", "umt5"): "unreel.modalities.video.wan.text:PromptCondition",
    ("backbone", "dream"): "unreel.modalities.video.dream.net:DreamNet",
    ("ending", "player"): "unreel.modalities.video.dream.ending:PlayerEnding",
    ("plan", "cube"): "unreel.modalities.panorama.plan:CubePlan",
    ("codec", "faces"): "unreel.modalities.panorama.codec:FaceCodec",
    ("condition", "place"): "unreel.modalities.panorama.controls:PlaceCondition",
    ("backbone", "panorama"): "unreel.modalities.panorama.net:PanoramaNet",
    ("codec", "motion"): "unreel.modalities.motion.codec:MotionCodec",
    ("condition", "words"): "unreel.modalities.motion.words:WordsCondition",
    ("condition", "body"): "unreel.modalities.motion.controls:BodyCondition",
    ("condition", "path"): "unreel.modalities.motion.controls:PathCondition",
    ("backbone", "motion"): "unreel.modalities.motion.net:MotionNet",
    ("codec", "world"): "unreel.modalities.world.codec:WorldCodec",
    ("codec", "dino"): "unreel.modalities.world.dino:DinoCodec",
    ("backbone", "world"): "unreel.modalities.world.net:WorldNet",
    ("plan", "joints"): "unreel.modalities.rig.plan:JointPlan",
    ("codec", "joints"): "unreel.modalities.rig.codec:JointCodec",
    ("sampler", "joints"): "unreel.modalities.rig.sampler:JointSampler",
    ("backbone", "rig"): "unreel.modalities.rig.net:RigNet",
}
for (_kind, _name), _target in _PARTS.items():
    registry.register(_kind, _name, _target)


def _shipped() -> dict[str, Path]:
    folder = Path(str(files("unreel.configs"))) / "models"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def _plugged() -> dict[str, Callable[[], Path]]:
    return {entry.name: entry.load for entry in entry_points(group="unreel.models")}


def _known(name: str) -> bool:
    return name in _shipped() or name in _plugged()


def models() -> dict[str, Card]:
    """The cards of all models that can be loaded by name."""
    cards = {name: read_card(path) for name, path in _shipped().items()}
    for name, folder in _plugged().items():
        cards[name] = read_card(Path(folder()) / "model.yaml")
    return cards


def locate(name_or_path: str | Path) -> tuple[Path, Path]:
    """The card and the weights folder of a model.

    Raises:
        UserError: neither a known name nor a folder with a ``model.yaml``.
    """
    shipped, plugged = _shipped(), _plugged()
    name = str(name_or_path)
    if name in shipped:
        modality = read_card(shipped[name]).modality
        return shipped[name], Path(str(files(f"unreel.modalities.{modality}"))) / "weights"
    folder = Path(plugged[name]()) if name in plugged else Path(name_or_path)
    if (folder / "model.yaml").is_file():
        return folder / "model.yaml", folder
    if folder.is_dir():
        raise UserError(f"{folder} holds no model.yaml: a model is a folder with model.yaml and *.safetensors")
    known = ", ".join([*shipped, *plugged]) or "none"
    raise UserError(f"unknown model {name!r}: known are {known}; any other is given as the path of its folder")


def works(model: Model) -> Works:
    """What the model's modality offers to the commands.

    Raises:
        UserError: a modality that this installation does not know.
    """
    name = f"unreel.modalities.{model.card.modality}.works"
    if not model.card.modality.isidentifier() or find_spec(name) is None:
        raise UserError(f"{model.name} is of the modality {model.card.modality!r}, which is not installed")
    module: Any = import_module(name)
    return module  # type: ignore[no-any-return]


def load(name_or_path: str | Path, *, device: str | None = None, dtype: str | None = None) -> Model:
    """Load a model by name (``"dream"``) or from a folder with ``model.yaml`` and ``*.safetensors``.

    Published checkpoints (docs/checkpoints.md) are loaded as they are, from a file, a folder, or as ``owner/name`` from
    the Hugging Face hub.

    Args:
        device: ``cpu`` or ``cuda``; by default whatever there is.
        dtype: ``float32``, ``bfloat16`` or ``float16``; by default what the device multiplies fastest.

    Raises:
        UserError: no such model, a broken card, or weights that are cut off, pickled or of another shape.
    """
    path = Path(name_or_path)
    if not _known(str(name_or_path)):
        path = hub.fetch(str(name_or_path)) if hub.is_repository(name_or_path) else path
        if published.is_published(path):
            return published.load(path, device, dtype)
        name_or_path = path
    card, weights = locate(name_or_path)
    return load_model(card, weights, device=device, dtype=dtype)
