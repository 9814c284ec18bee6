"""From what a caller asks of a session to its frozen settings: the card's defaults, a preset, and single options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from unreel.engine import ending, registry
from unreel.engine.card import Card
from unreel.engine.context.storage import Storage
from unreel.engine.errors import UserError
from unreel.engine.guidance import Guidance
from unreel.engine.interfaces import ContextPolicy
from unreel.engine.plan import TimePlan
from unreel.engine.prompt import PromptSwitch
from unreel.engine.sampler.times import Grid
from unreel.engine.schedule import Schedule
from unreel.engine.settings import Settings
from unreel.engine.types import CommitMode

if TYPE_CHECKING:
    from unreel.engine.model import Model


def settled(model: Model, options: Mapping[str, Any], length: int | None) -> Settings:
    """The card's defaults with ``options`` (the overrides of ``Model.session``) laid over them.

    Raises:
        UserError: an option that the model cannot honour.
    """
    card, wish = model.card, {k: v for k, v in options.items() if v is not None}
    context, storage, budget = _context(model, _spec(wish.get("context"), card.context))
    return Settings(
        seed=wish.get("seed", 0),
        plan=_plan(model, length),
        schedule=Schedule(
            wish.get("steps", card.schedule.steps),
            wish.get("offset", card.schedule.offset),
            _commit_mode(wish.get("commit", card.schedule.commit)),
        ),
        sampler=registry.create("sampler", {"class": wish["sampler"]} if "sampler" in wish else _sampler(card)),
        grid=Grid(**_grid(card)),
        context=context,
        reuse=registry.create("reuse", _spec(wish.get("reuse"), card.reuse)),
        guidance=Guidance(wish.get("guidance", card.guidance.scale), card.guidance.drop),
        prompt_switch=PromptSwitch.of(wish.get("prompt_switch", card.prompt_switch)),
        rewind=wish.get("rewind", 16),
        storage=storage,
        budget_bytes=budget,
        decode=wish.get("decode", True),
        ending=ending.asked(model, wish),
        options=dict(wish),
    )


def preset_of(card: Card, name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Those options of a preset that the caller did not give."""
    if name not in card.presets:
        known = ", ".join(card.presets) or "none"
        raise UserError(f"{card.name} has no preset {name!r}: it has {known}")
    preset = card.presets[name]
    unknown = [option for option in preset if option not in given or option == "seed"]
    if unknown:
        raise UserError(f"preset {name!r} of {card.name} sets {', '.join(unknown)}, which no session takes")
    return {option: value for option, value in preset.items() if given[option] is None}


def _context(model: Model, spec: Mapping[str, Any]) -> tuple[ContextPolicy, Storage, int | None]:
    """The policy of a spec, and what every policy takes: ``storage`` and ``budget_bytes``."""
    options = dict(spec)
    storage, budget = Storage(options.pop("storage", "plain")), options.pop("budget_bytes", None)
    kind, horizon = options.get("class"), model.card.context.get("horizon")
    if kind != "full" and horizon is not None and registry.takes("context", kind, "horizon"):
        options.setdefault("horizon", horizon)  # what the model was trained with, whatever the policy
    if model.heads and "static" not in options and registry.takes("context", kind, "static"):
        options["static"] = model.heads
    return registry.create("context", options), storage, budget


def _plan(model: Model, length: int | None) -> Any:
    spec = dict(model.card.plan)
    if spec.pop("class", "time") != "time":
        return registry.create("plan", {**model.card.plan, "length": length})
    frames = int(spec["frames"])
    shape = model.codec.latent_shape(frames, *model.frame_size)
    return TimePlan(frames, tuple(shape[1:]), length)


def _commit_mode(name: str) -> CommitMode:
    """The commit mode called ``name``."""
    try:
        return CommitMode(name)
    except ValueError:
        raise UserError(f"commit must be one of {', '.join(m.value for m in CommitMode)}, got {name!r}") from None


def _spec(wish: str | dict[str, Any] | None, default: dict[str, Any]) -> dict[str, Any]:
    """``"window"``, ``{"class": "window", "recent": 4}`` or, with the card's class, just ``{"recent": 4}``."""
    if wish is None:
        return default
    if isinstance(wish, str):
        return default if wish == default["class"] else {"class": wish}
    return {**default, **wish} if wish.get("class", default["class"]) == default["class"] else wish


_OF_GRID = ("shift", "sigmas", "noise_scale")


def _sampler(card: Card) -> dict[str, Any]:
    return {k: v for k, v in card.sampler.items() if k not in _OF_GRID}


def _grid(card: Card) -> dict[str, Any]:
    try:
        return {k: _numbers(card.sampler[k]) for k in _OF_GRID if k in card.sampler}
    except (TypeError, ValueError) as error:
        raise UserError(f"the sampler of {card.name} has a bad shift, sigmas or noise_scale: {error}") from None


def _numbers(value: Any) -> float | tuple[float, ...] | dict[int, float]:
    if isinstance(value, dict):
        return {int(k): float(v) for k, v in value.items()}
    return tuple(float(v) for v in value) if isinstance(value, list | tuple) else float(value)
