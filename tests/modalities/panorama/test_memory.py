"""Impressions of places: how they turn, and how a world without a view finds one."""

from __future__ import annotations

import torch

from unreel.modalities.panorama.cubemap import FACES, faces_from_erp, pad_faces
from unreel.modalities.panorama.draft import GUESS
from unreel.modalities.panorama.memory import Memory, impression, remembered, turned


def world(seed: int = 0, size: int = 16) -> torch.Tensor:
    erp = torch.rand(1, 3, 4, 8, generator=torch.Generator().manual_seed(seed))
    smooth = torch.nn.functional.interpolate(erp, size=(64, 128), mode="bicubic")
    return faces_from_erp(smooth.clamp(0, 1) * 2 - 1, size)


def test_turned_worlds_are_whole():
    """A turned or mirrored cube has the same seams: what neighbours show is still what lies beyond an edge."""
    erp = torch.rand(1, 3, 4, 8).repeat_interleave(16, 2).repeat_interleave(16, 3)
    erp = torch.nn.functional.avg_pool2d(torch.cat((erp[..., -8:], erp, erp[..., :8]), -1), 9, 1, 4)[..., 8:-8]
    worlds = turned(faces_from_erp(erp, 16))
    assert worlds.shape == (8, 6, 3, 16, 16)
    for k in range(4):
        assert torch.allclose(worlds[k : k + 1], faces_from_erp(erp.roll(-32 * k, -1), 16), atol=1e-5)
    mirrored = faces_from_erp(erp.flip(-1), 16)
    assert torch.allclose(worlds[4:5], mirrored, atol=1e-5)


def test_an_impression_is_a_draft():
    faces = world(size=32)
    canvases = remembered(impression(faces), 48)
    assert canvases.shape == (1, 6, 4, 48, 48)
    assert canvases[:, :, 3].eq(GUESS).all()
    assert (canvases[:, :, :3] - pad_faces(faces, 8)).abs().mean() < 0.05


def filled(count: int = 3) -> Memory:
    memory = Memory(count, 32, 8)
    memory.faces_M63ss.copy_(torch.cat([impression(world(seed, 32)) for seed in range(count)]))
    memory.places_M.copy_(torch.arange(count))
    return memory


def told(face: str, place: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    blank = torch.zeros(1, 2, 4, 48, 48)
    return blank, blank.clone(), torch.tensor([FACES.index(face)]), torch.tensor([place])


def test_noise_picks_an_impression_of_the_place_and_its_state_keeps_it():
    memory = filled()
    picked = set()
    for seed in range(6):
        noise = torch.randn(1, 2, 3, 48, 48, generator=torch.Generator().manual_seed(seed))
        around = memory.recall(noise, torch.zeros(1), *told("F", 1))
        assert around[:, :, 3].eq(GUESS).all()
        for t in (0.05, 0.4, 0.9):
            state = (1 - t) * noise + t * around[:, :, :3]
            assert torch.equal(memory.recall(state, torch.tensor([t]), *told("F", 1)), around)
        picked.add(round(float(around[0, 0, :3].mean()), 4))
    assert len(picked) > 1  # several turns of one impression
    faces = remembered(turned(memory.faces_M63ss[1:2]), 48)[:, 0, :3]
    assert ((faces - around[0, 0, :3]).abs().mean((1, 2, 3)) < 1e-5).any()


def test_a_neighbour_that_is_made_decides():
    memory = filled()
    canvases = remembered(turned(memory.faces_M63ss), 48)
    truth = canvases[13]  # impression 1, turned once, mirrored
    noise, (view, around, face, place) = torch.randn(1, 2, 3, 48, 48), told("R", 3)  # a place that nobody named
    around[:, :, :3, :, :8] = truth[1, :3, :, :8]  # F is made: the left padding of R
    around[:, :, 3, 8:-8, :8] = 1.0
    found = memory.recall(noise, torch.zeros(1), view, around, face, place)
    assert torch.equal(found[0, 0, :3, 8:-8, 8:], truth[1, :3, 8:-8, 8:])
    assert torch.equal(found[..., 8:-8, :8], around[..., 8:-8, :8])


def test_who_knows_of_a_view_or_is_clean_remembers_nothing():
    memory = filled()
    view, around, face, place = told("F", 0)
    noise = torch.randn(1, 2, 3, 48, 48)
    assert memory.recall(noise, torch.ones(1), view, around, face, place) is around
    assert memory.recall(noise, torch.zeros(1), view, around, face + 6, place) is around
    assert memory.recall(noise, torch.zeros(1), view + 0.1, around, face, place) is around
    around[:, :, 3, 0, 0] = GUESS
    assert memory.recall(noise, torch.zeros(1), view, around, face, place) is around
