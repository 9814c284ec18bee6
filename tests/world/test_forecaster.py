"""modalities/world/forecaster.py: many futures in one batch are what each would be alone; bad input is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import unreel
from unreel import Forecaster, UserError
from unreel.engine.model import Model

Make = Callable[..., Model]
CLIP = np.random.default_rng(0).integers(0, 255, (9, 8, 8, 3), dtype=np.uint8)
ALIKE = 1e-5  # largest difference of float32 latents of order 1 between a batch and a run alone


@pytest.mark.parametrize(
    "changes", [{}, {"schedule": {"steps": 4, "commit": "with-next"}}, {"context": {"class": "full"}}]
)
def test_many_futures_in_a_batch_are_what_each_is_alone(make_fake: Make, changes: dict[str, Any]) -> None:
    model = make_fake(**changes)
    forecaster = Forecaster(model)
    root = forecaster.encode(CLIP)
    before = {n: past.clean.clone() for n, past in root.session.state.past.items()}
    keys = [t.clone() for c in root.session.state.contexts.values() for t in c.tensors]
    together = forecaster.forecast(root, "d-3,w-5", horizon=7, samples=5, seed=4)
    for seed, latents in zip(together.seeds, together.latents, strict=True):
        alone = model.session(seed=seed, start=CLIP[-8:], actions="d-3,w-5", decode=False)
        made = torch.cat([event.payload for event in alone.stream(chunks=4)])[:7]
        torch.testing.assert_close(latents, made, atol=ALIKE, rtol=0)
    assert len(set(together.seeds)) == 5
    assert (together.latents[0] - together.latents[1]).abs().max() > 0.01
    after = root.session.state.past
    assert after.keys() == before.keys()
    assert all(torch.equal(after[n].clean, clean) for n, clean in before.items())
    held = [t for c in root.session.state.contexts.values() for t in c.tensors][: len(keys)]
    assert all(torch.equal(a, b) for a, b in zip(held, keys, strict=True))


def test_small_batches_and_one_large_one_make_the_same(fake: Model) -> None:
    one = Forecaster(fake).forecast(CLIP, "w-4", 4, 5)
    turns = Forecaster(fake, batch=2).forecast(CLIP, "w-4", 4, 5)
    torch.testing.assert_close(one.latents, turns.latents, atol=ALIKE, rtol=0)


def test_futures_that_keep_the_past_share_it_to_the_end(make_fake: Make) -> None:
    model = make_fake(context={"class": "window", "sink": 0, "recent": 3})
    kept = Forecaster(model, keep_past=True)
    together = kept.forecast(CLIP, "d-12", horizon=12, samples=8)
    root = kept.encode(CLIP)
    alone = kept.forecast(root, "d-12", horizon=12, samples=1)
    assert alone.seeds == together.seeds[:1]
    torch.testing.assert_close(alone.latents[0], together.latents[0], atol=ALIKE, rtol=0)
    plain = Forecaster(model).forecast(CLIP, "d-12", horizon=12, samples=8)
    past, last = together.observed_bytes, together.contexts[-1]
    chunk = past // 3
    assert last.total == past + 8 * chunk, "the observed chunks once, and one chunk of each future"
    assert plain.contexts[-1].total > 3 * last.total
    assert (plain.latents - together.latents).abs().max() > 1e-3, "another context, another film"
    assert root.session.settings.context == model.session().settings.context, "the root is as it was"


@pytest.mark.parametrize("context", [{"class": "full"}, {"storage": "int8"}, {"budget_bytes": 10**6}])
def test_only_a_plain_window_can_keep_the_past(fake: Model, context: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="keep_past replaces"):
        Forecaster(fake, context=context, keep_past=True)


def test_every_sample_may_have_actions_of_its_own(fake: Model) -> None:
    forecaster = Forecaster(fake)
    ids = np.array([[1, 1, 1], [4, 4, 4], [1, 1, 1]])
    many = forecaster.forecast(CLIP, ids, 3, 3)
    same = forecaster.forecast(CLIP, ["w", "w", "w"], 3, 3)
    assert torch.allclose(many.latents[[0, 2]], same.latents[[0, 2]], atol=ALIKE)
    assert (many.latents[1] - same.latents[1]).abs().max() > 0.01
    assert many.actions is not None
    assert many.actions.tolist() == ids.tolist()


def test_the_past_is_held_once(fake: Model) -> None:
    many = Forecaster(fake).forecast(CLIP, None, 2, 6)
    assert many.observed_bytes > 0
    assert many.context.total < many.context.apart
    assert many.context.shared >= many.observed_bytes


def test_a_step_moves_every_branch_under_its_own_action(fake: Model) -> None:
    forecaster = Forecaster(fake)
    root = forecaster.encode(CLIP)
    left, right, again = root.fork(1), root.fork(1), root.fork(1)
    made = forecaster.step([left, right], ["a", "d"])
    assert made["rgb"].shape == (2, 2, 8, 8, 3)
    assert not torch.equal(made.latents[0], made.latents[1])
    alone = forecaster.step(again, "a")
    torch.testing.assert_close(alone.latents[0], made.latents[0], atol=ALIKE, rtol=0)
    two = forecaster.step([left, right], np.array([[1, 2, 3, 4], [4, 4, 4, 4]]), frames=4)
    assert two.latents.shape[1] == 4
    assert [branch.chunk for branch in (left, right, again, root)] == [7, 7, 5, 4]


def test_branches_with_and_without_a_commit_to_make_come_into_step(fake: Model) -> None:
    forecaster = Forecaster(fake)
    old, other = forecaster.encode(CLIP), forecaster.encode(CLIP, seed=2)
    forecaster.step([old, other], "w")
    young = other.fork()  # which has made the commit that `old` has yet to make
    calls: list[int] = []
    handle = fake.backbone.register_forward_pre_hook(lambda _, given: calls.append(len(given[0])))
    made = forecaster.step([old, young], ["d", "d"])
    handle.remove()
    assert calls == [1, 2, 2, 2, 2]
    torch.testing.assert_close(made.latents[1], forecaster.step(other, "d").latents[0], atol=ALIKE, rtol=0)


def test_observations_may_be_a_clip_a_list_or_a_trajectory(fake: Model, tmp_path: Path) -> None:
    forecaster = Forecaster(fake)
    whole = forecaster.forecast(CLIP, None, 2, 1).latents
    assert torch.equal(forecaster.forecast(list(CLIP), None, 2, 1).latents, whole)
    assert torch.equal(forecaster.forecast({"observations": CLIP}, None, 2, 1).latents, whole)
    assert torch.equal(forecaster.forecast(fake.codec.encode(CLIP), None, 2, 1).latents, whole)
    told = forecaster.forecast({"observations": CLIP, "actions": ["w"] * 8}, None, 2, 1).latents
    assert not torch.equal(told, whole)
    film = unreel.export([CLIP[..., :1, :1, :].repeat(64, 1).repeat(64, 2)], tmp_path / "film.mp4", fps=10)
    with pytest.raises(UserError, match="expected 8x8"):
        forecaster.encode(film.path)
    assert forecaster.encode(film.path, fit="crop").chunk == 4


@pytest.mark.parametrize(
    ("observations", "options", "told"),
    [
        (CLIP[:1], {}, "needs 2 frames"),
        (CLIP.astype(np.float32), {}, "uint8 frames"),
        (CLIP[:, :4], {}, "expected 8x8"),
        (CLIP[0], {}, "uint8 frames"),
        ([CLIP[0], CLIP[1, :4]], {}, "differ in shape"),
        ("nowhere.mp4", {}, "does not exist"),
        ({"frames": CLIP}, {}, "'observations'"),
        ({"observations": CLIP, "actions": ["w"] * 3}, {}, "9 or 8 actions"),
        (torch.zeros(4, 3, 2, 2), {}, "latents"),
        (CLIP, {"samples": 0}, "samples must be"),
        (CLIP, {"samples": 2.0}, "samples must be"),
        (CLIP, {"horizon": 0}, "horizon must be"),
        (CLIP, {"actions": "jump-9"}, "knows the actions"),
        (CLIP, {"actions": [7, 7]}, "actions 0 to 4, got 7"),
        (CLIP, {"actions": [0.5, 0.5]}, "names or whole numbers"),
        (CLIP, {"actions": "w-3", "horizon": 5}, "horizon is 5 frames and the actions last 3"),
        (CLIP, {"actions": np.zeros((2, 9), int), "samples": 3}, "for 3 samples"),
    ],
)  # fmt: skip
def test_bad_input_is_one_clear_line(fake: Model, observations: Any, options: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told) as fault:
        Forecaster(fake).forecast(observations, **options)
    assert "\n" not in str(fault.value)


def test_bad_steps_and_models_are_refused(fake: Model, make_fake: Make) -> None:
    forecaster = Forecaster(fake)
    root = forecaster.encode(CLIP)
    with pytest.raises(UserError, match="whole chunks of 2 frames"):
        forecaster.step(root, "w", frames=3)
    with pytest.raises(UserError, match="each of 1 branches"):
        forecaster.step(root, ["w", "d"])
    with pytest.raises(UserError, match="batch must be"):
        Forecaster(fake, batch=0)
    with pytest.raises(UserError, match="steps"):
        Forecaster(fake, steps=0)
    with pytest.raises(UserError, match="cannot be forecast with"):
        Forecaster(make_fake(modality="motion"))


def test_a_forecast_that_is_stopped_keeps_what_was_made(fake: Model) -> None:
    forecaster = Forecaster(fake, batch=2)
    assert Forecaster(fake).forecast(CLIP, None, 8, 2, note=lambda frames: frames >= 8)["rgb"].shape[:2] == (2, 4)
    seen: list[int] = []
    kept = forecaster.forecast(CLIP, None, 4, 5, note=lambda frames: seen.append(frames) or len(seen) == 3)
    assert (len(kept), kept.horizon, seen) == (2, 4, [4, 8, 12])
