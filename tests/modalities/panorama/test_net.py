"""The network of panorama: what it keeps, what it knows, and where its tokens are."""

from __future__ import annotations

import pytest
import torch

from unreel.engine.backbone.conv import fold_pixels
from unreel.engine.context.view import MaskView
from unreel.engine.errors import UserError
from unreel.modalities.panorama.cubemap import FACES, NEIGHBOURS, faces_from_erp, pad_faces
from unreel.modalities.panorama.net import PanoramaNet, face_grid
from unreel.modalities.panorama.panorama.forcing import SparseView

SIZES = {"frames": 2, "size": 16, "pad": 8, "base": 8, "mid": 16, "width": 32, "depth": 2, "heads": 2, "places": 3}


@pytest.fixture
def net() -> PanoramaNet:
    torch.manual_seed(0)
    net = PanoramaNet(**SIZES).eval()
    for one in net.parameters():  # nothing begins as the identity, so that every path shows
        one.data += 0.05 * torch.randn_like(one)
    return net


def condition(net: PanoramaNet, rows: int, known: bool = False) -> dict[str, torch.Tensor]:
    side, frames = net.config.canvas, net.config.frames
    blank = torch.zeros(rows, frames, 4, side, side)
    view = torch.rand(rows, frames, 4, side, side) if known else blank
    view[:, :, 3] = float(known)
    return {"face": torch.arange(rows) % 6, "view": view, "around": blank, "place": torch.zeros(rows).long()}


def placed(net: PanoramaNet, rows: int) -> torch.Tensor:
    shape = (2, 48, net.config.canvas // 4, net.config.canvas // 4)
    return torch.stack([net.coords(shape, FACES[i % 6]) for i in range(rows)])


def test_tokens_on_a_shared_edge_are_at_the_same_point():
    side = 9
    faces = dict(zip(FACES, face_grid(side), strict=True))
    assert faces["F"][4, 4].tolist() == [0, 0, 4]
    assert faces["R"][4, 4].tolist() == [-4, 0, 0]
    for face, edges in NEIGHBOURS.items():
        for edge, (other, theirs, _) in edges.items():
            mine = {tuple(p) for p in _edge(faces[face], edge).tolist()}
            assert mine == {tuple(p) for p in _edge(faces[other], theirs).tolist()}


def _edge(grid: torch.Tensor, edge: str) -> torch.Tensor:
    return {"top": grid[0], "bottom": grid[-1], "left": grid[:, 0], "right": grid[:, -1]}[edge]


def test_coords_are_whole_numbers_and_the_same_for_a_given_face(net: PanoramaNet):
    coords = net.coords((4, 48, 36, 36), "U")
    assert coords.shape == (81, 4)
    assert coords.dtype == torch.long
    assert coords[:, 0].eq(0).all()
    assert coords[:, 2].eq(4).all()
    assert torch.equal(net.coords((4, 48, 36, 36), "U*"), coords)


def test_a_view_that_covers_everything_comes_back_untouched(net: PanoramaNet):
    told = condition(net, 3, known=True)
    torch.nn.init.zeros_(net.leave.weight)  # an untrained head: the known candidate leads
    states = fold_pixels(torch.randn(3, 2, 3, net.config.canvas, net.config.canvas), 4)
    small = {**told, "view": told["view"] * torch.tensor([0.02, 0.02, 0.02, 1.0])[:, None, None]}
    out = net(states * 0, torch.zeros(3), _all(net, 3), small)
    assert torch.equal(out, fold_pixels(small["view"][:, :, :3], 4))


def test_every_row_hears_of_what_it_may_see_only(net: PanoramaNet):
    told, states = condition(net, 3), torch.randn(3, 2, 48, 8, 8)
    visible = torch.zeros(3, 3, dtype=torch.bool)
    visible[2, 0] = True
    view = SparseView(placed(net, 3), visible, net.rope)
    one = net(states, torch.full((3,), 0.3), view, told)
    changed = states.clone()
    changed[1] += 1
    assert torch.equal(net(changed, torch.full((3,), 0.3), view, told)[2], one[2])
    changed[0] += 1
    assert not torch.allclose(net(changed, torch.full((3,), 0.3), view, told)[2], one[2])


def test_sparse_view_is_mask_view():
    from unreel.engine.rope import Rope

    rope = Rope((4, 4, 4, 4))
    coords = torch.randint(-4, 5, (4, 3, 4))
    visible = torch.rand(4, 4) > 0.5
    q, k, v = torch.randn(3, 4, 3, 2, 16).unbind()
    sparse = SparseView(coords, visible, rope).attend(0, q, k, v)
    assert torch.allclose(sparse, MaskView(coords[None], visible[None], rope).attend(0, q, k, v), atol=1e-5)


def test_a_clean_row_is_what_it_is_and_changes_no_other(net: PanoramaNet):
    told, states = condition(net, 3), torch.randn(3, 2, 48, 8, 8)
    times = torch.tensor([0.3, 1.0, 0.6])
    out = net(states, times, _all(net, 3), told)
    assert torch.equal(out[1], states[1])
    assert torch.equal(net(states, torch.ones(3), _all(net, 3), told), states)
    nearly = net(states, torch.tensor([0.3, 1.0 - 1e-7, 0.6]), _all(net, 3), told)
    assert torch.allclose(out[0], nearly[0], atol=1e-4)


def _all(net: PanoramaNet, rows: int) -> SparseView:
    return SparseView(placed(net, rows), torch.ones(rows, rows, dtype=torch.bool), net.rope)


def test_signal_is_what_the_stem_sees_of_the_state(net: PanoramaNet):
    state = torch.randn(2, 48, 8, 8)
    assert net.signal(state).shape == (8, 8, 8)
    assert not torch.equal(net.signal(state), net.signal(state * 0))


def test_sizes_that_do_not_fit_are_an_error():
    with pytest.raises(UserError, match="panorama needs size 20"):
        PanoramaNet(**{**SIZES, "size": 20})


def test_padding_is_where_the_owner_map_says():
    faces = faces_from_erp(torch.rand(1, 3, 32, 64), 16)
    from unreel.modalities.panorama.panorama.forcing import RowMaker

    owner = RowMaker(PanoramaNet(**SIZES)).owner
    assert owner.shape == (6, 32, 32)
    assert owner[0, 16, 16] == 0
    assert owner[0, 0, 16] == FACES.index("U")
    assert owner[4, 16, 0] == FACES.index("L")
    assert pad_faces(faces, 8).shape[-1] == 32
