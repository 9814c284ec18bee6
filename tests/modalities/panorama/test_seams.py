"""Blending makes both sides of every seam meet, whatever the faces disagree about and whichever came first."""

from __future__ import annotations

from itertools import combinations, permutations

import pytest
import torch
from torch import Tensor

from unreel.engine.errors import UserError
from unreel.modalities.panorama import seams
from unreel.modalities.panorama.cubemap import FACES, NEIGHBOURS, crop_faces, pad_faces, rays
from unreel.modalities.panorama.seams import blend, changed, is_settled, share

SIZE, PAD = 32, 4


def disagreeing(seed: int = 0) -> dict[str, Tensor]:
    """Canvases of a smooth world, each face a different shade too bright or dark, its padding included."""
    directions = torch.stack([rays(face, SIZE) for face in FACES]).permute(0, 3, 1, 2)[None]
    canvases = pad_faces(directions, PAD)[0] * 0.2
    shades = torch.randn(6, 3, 1, 1, generator=torch.Generator().manual_seed(seed))
    return {face: (canvases[index] + shades[index])[None] for index, face in enumerate(FACES)}


def steps(canvases: dict[str, Tensor]) -> tuple[float, float]:
    """The largest step across a seam, and the largest inside the strips beside it, over all faces and edges."""
    faces = torch.stack([blend(face, canvases, PAD)[0] for face in FACES])[None]
    padded = pad_faces(faces, PAD)[0]
    inner = slice(PAD, PAD + SIZE)
    across, inside = 0.0, 0.0
    for lines in (padded[..., inner], padded[..., inner, :].transpose(-1, -2)):
        step = lines.diff(dim=-2).abs()
        across = max(across, float(step[..., [PAD - 1, -PAD], :].max()))
        inside = max(
            inside, float(step[..., PAD : 2 * PAD - 1, :].max()), float(step[..., -2 * PAD + 1 : -PAD, :].max())
        )
    return across, inside


def test_both_sides_of_all_seams_meet() -> None:
    for seed in range(4):
        canvases = disagreeing(seed)
        across, inside = steps(canvases)
        raw = torch.stack([crop_faces(canvases[face], PAD)[0] for face in FACES])[None]
        unblended = pad_faces(raw, 1)[0, :, :, :2, 1:-1].diff(dim=-2).abs().max()
        assert float(unblended) > 1
        assert across < 1.05 * inside


def test_a_share_from_0_only_swaps_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fault of which the blending here is free; the test above would see it."""
    monkeypatch.setattr(seams, "share", lambda pad, start: (torch.arange(pad) + 0.5) / pad)
    across, inside = steps(disagreeing())
    assert across > 2 * inside


def test_a_face_that_knows_its_neighbours_gives_way_to_them() -> None:
    """Later faces repeat in their padding what is made there, as they are told it; even shares leave half the step."""
    canvases = disagreeing(3)
    raw = torch.stack([crop_faces(canvases[face], PAD)[0] for face in FACES])[None]
    known = pad_faces(raw, PAD)[0]
    for later, face in enumerate(FACES):
        for edge, (other, _, _) in NEIGHBOURS[face].items():
            if FACES.index(other) < later:
                rows, columns = {
                    "top": (slice(0, PAD), slice(PAD, -PAD)),
                    "bottom": (slice(-PAD, None), slice(PAD, -PAD)),
                    "left": (slice(PAD, -PAD), slice(0, PAD)),
                    "right": (slice(PAD, -PAD), slice(-PAD, None)),
                }[edge]
                canvases[face][..., rows, columns] = known[later][..., rows, columns]
    seam = {}
    for order in ("", FACES):
        faces = torch.stack([blend(face, canvases, PAD, order)[0] for face in FACES])[None]
        seam[order] = pad_faces(faces, 1)[0, ..., :2, 2 * PAD : -2 * PAD].diff(dim=-2).abs().mean()
    assert seam[FACES] < 0.75 * seam[""]


def test_along_one_seam_the_share_runs_from_a_half_to_one() -> None:
    ones, zeros = torch.ones(1, 1, SIZE + 2 * PAD, SIZE + 2 * PAD), torch.zeros(1, 1, SIZE + 2 * PAD, SIZE + 2 * PAD)
    for face, edges in NEIGHBOURS.items():
        for edge, (other, _, _) in edges.items():
            made = blend(face, {face: ones, other: zeros}, PAD)[0, 0]
            lines = {"top": made, "bottom": made.flip(0), "left": made.T, "right": made.T.flip(0)}[edge]
            assert torch.allclose(lines[:PAD], share(PAD)[:, None].expand(PAD, SIZE))
            assert torch.equal(lines[PAD:], torch.ones(SIZE - PAD, SIZE))
    assert share(1000)[0] == pytest.approx(0.5, abs=1e-3)
    assert share(1000)[-1] == pytest.approx(1, abs=1e-3)


def test_neighbours_that_agree_change_nothing() -> None:
    faces = torch.rand(2, 6, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(3))
    padded = pad_faces(faces, PAD)
    canvases = {face: padded[:, index] for index, face in enumerate(FACES)}
    for index, face in enumerate(FACES):
        assert torch.allclose(blend(face, canvases, PAD), faces[:, index], atol=1e-6)


def test_three_faces_weigh_the_same_where_they_meet() -> None:
    size, pad = 256, 128  # fine enough to stand for the corner point itself
    canvases = {face: torch.zeros(1, 6, size + 2 * pad, size + 2 * pad) for face in FACES}
    for index, face in enumerate(FACES):
        canvases[face][:, index] = 1
    for face, edges in NEIGHBOURS.items():
        made = blend(face, canvases, pad)[0]
        assert torch.allclose(made.sum(0), torch.ones(size, size))
        for (y, up), (x, side) in [
            ((0, "top"), (0, "left")),
            ((-1, "bottom"), (-1, "right")),
            ((0, "top"), (-1, "right")),
        ]:
            for name in (face, edges[up][0], edges[side][0]):
                assert float(made[FACES.index(name), y, x]) == pytest.approx(1 / 3, abs=0.01)


def test_what_changes_is_told_and_the_order_does_not_matter() -> None:
    canvases = disagreeing()
    final = {face: blend(face, canvases, PAD) for face in FACES}
    for order in list(permutations(FACES))[::97]:
        shown: dict[str, Tensor] = {}
        made: dict[str, Tensor] = {}
        for face in order:
            made[face] = canvases[face]
            shown[face] = crop_faces(canvases[face], PAD).clone()
            for name, top, left, pixels in changed(face, made, PAD):
                height, width = pixels.shape[-2:]
                assert {height, width} == {PAD, SIZE}
                shown[name][..., top : top + height, left : left + width] = pixels
        assert all(torch.equal(shown[face], final[face]) for face in FACES)


def test_only_made_neighbours_have_strips() -> None:
    canvases = disagreeing()
    told = [strip.face for strip in changed("R", {face: canvases[face] for face in "FRL"}, PAD)]
    assert told == ["R", "F"]  # L is opposite
    assert [strip.face for strip in changed("U", canvases, PAD)] == ["U"] * 4 + list("FRBL")
    assert changed("F", {"F": canvases["F"]}, PAD) == []


def test_a_face_is_settled_with_its_last_neighbour() -> None:
    for count in range(6):
        for made in map(set, combinations(FACES, count)):
            assert is_settled("U", made) == ({"U", "F", "R", "B", "L"} <= made)


def test_strips_may_not_overlap_their_opposites() -> None:
    with pytest.raises(UserError, match="at most 4"):
        blend("F", {"F": torch.zeros(1, 3, 18, 18)}, 5)
