"""What a view shows: of a window, of the windows to come, and laid together."""

from __future__ import annotations

import torch

from tests.panorama import clip
from tests.worlds import smooth_erp
from unreel.engine.state import Held
from unreel.modalities.panorama.controls import ViewControl
from unreel.modalities.panorama.cube import pad_faces
from unreel.modalities.panorama.cubemap import faces_from_erp, view_from_erp
from unreel.modalities.panorama.draft import GUESS, joined
from unreel.modalities.panorama.view import look, shares, stitch


def turning(frames: int = 9) -> tuple[Held, torch.Tensor]:
    """A camera that turns by 160 degrees through a smooth world, and the world's faces (1, 6, 3, 32, 32)."""
    erp = 2 * smooth_erp(64) - 1
    cameras = torch.tensor([[0.0, 0.0, 20.0 * n, 90.0] for n in range(frames)])
    pictures = view_from_erp(erp.expand(frames, -1, -1, -1), cameras, 48, 64)
    frames_NHWC = ((pictures + 1) * 127.5).round().clamp(0, 255).byte().movedim(1, -1)
    return Held(ViewControl().check({"frames": frames_NHWC, "cameras": cameras}), 0), faces_from_erp(erp, 32)


def test_a_clip_laid_together_is_the_world_where_it_looked() -> None:
    view, world = turning()
    whole = stitch(view, 0, 2, 8, 32, 4)
    truth = pad_faces(world, 4)[0]
    seen = whole[:, 3] > 0.5
    assert float(seen[1].float().mean()) > 0.7  # R: the camera turned past it
    assert not bool(seen[3, 4:-4, 4:-4].any())  # L: never in sight
    error = (whole[:, :3] - truth).abs().amax(1)[seen]
    assert float(error.quantile(0.95)) < 0.06
    assert float(stitch(view, 0, 2, 1, 32, 4)[2, 3, 4:-4, 4:-4].sum()) == 0  # one window ahead: not turned yet


def test_what_is_seen_sooner_lies_on_top() -> None:
    two = clip(2)
    two["frames"][0], two["frames"][1] = 255, 0
    whole = stitch(Held(ViewControl().check(two), 0), 0, 2, 1, 16, 4)
    assert torch.equal(whole[0, :3, 10:14, 10:14], torch.ones(3, 4, 4))


def test_what_will_be_seen_replaces_the_draft_with_a_soft_edge() -> None:
    seen, guess = torch.zeros(6, 4, 40, 40), torch.zeros(6, 4, 40, 40)
    seen[0, :, :, 20:] = 1.0
    guess[:, 3] = GUESS
    both = joined(seen, guess)
    row = both[0, 0, 20]
    assert row[:20].abs().max() == 0
    assert row[-1] == 1.0
    assert bool((row[20:30].diff() >= 0).all())
    assert 0 < float(row[24]) < 1
    assert bool((both[:, 3] == GUESS).all())
    alone = joined(seen, torch.zeros_like(guess))
    assert torch.equal(alone[0, 0], seen[0, 0])
    assert torch.equal(alone[:, 3], GUESS * seen[:, 3])


def test_the_shares_of_faces_are_those_of_the_canvases() -> None:
    cameras = torch.tensor([[0.0, 0.0, 0.0, 90.0], [20.0, 30.0, 100.0, 70.0], [0.0, 85.0, 0.0, 100.0]])
    pictures = torch.zeros(3, 48, 64, 3, dtype=torch.uint8)
    found = shares(cameras, 48, 64)
    for n in range(3):
        view = Held(ViewControl().check({"frames": pictures[n : n + 1], "cameras": cameras[n : n + 1]}), 0)
        canvas = look(view, 0, 1, 32, 4).canvas
        assert canvas is not None
        drawn = canvas[:, 0, 3, 4:-4, 4:-4].float().mean((1, 2))
        assert torch.allclose(found[n], drawn, atol=0.04)
