"""What a training step shows the network: the rows of one window of a world, with what generation would know.

Rows, in this order: *given* rows (the projected view of this window, and sometimes of the next), *history* rows (faces
of the window before), *made* rows (faces of this window that came earlier in a random order), and *noisy* rows, each
of which sees just what its place in the order would let it see. Only noisy rows are decoded and learned from (their
clean twins are rows of their own, as in diffusion forcing, Chen et al. 2024).

Letters: R rows, T frames, S pixels of a face a side, P of a padded canvas, L tokens, H heads, D head width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from unreel.engine.backbone.conv import fold_pixels
from unreel.engine.rope import Rope, rotate
from unreel.modalities.panorama.cubemap import FACES, NEIGHBOURS, crop_faces, pad_faces
from unreel.modalities.panorama.draft import drafted
from unreel.modalities.panorama.known import Known, what_is_known
from unreel.modalities.panorama.net import Encoded, PanoramaNet


class SparseView:
    """Attention where row i sees itself and the rows j with ``visible[i, j]``: a View for one training pass.

    The same as the engine's MaskView, but hidden rows cost nothing.
    """

    def __init__(self, coords_RLA: Tensor, visible_RR: Tensor, rope: Rope) -> None:
        self.angles = rope.angles(coords_RLA[:, :, None, :])
        seen = visible_RR | torch.eye(len(visible_RR), dtype=torch.bool)
        self.seen = [row.nonzero().flatten().tolist() for row in seen]

    def attend(self, layer: int, q_RLHD: Tensor, k_RLHD: Tensor, v_RLHD: Tensor) -> Tensor:
        q, k = rotate(q_RLHD, self.angles) * q_RLHD.shape[-1] ** -0.5, rotate(k_RLHD, self.angles)
        queries = q.transpose(1, 2).unbind()
        keys, values = k.permute(0, 2, 3, 1).unbind(), v_RLHD.transpose(1, 2).unbind()
        mixed = []
        for query, seen in zip(queries, self.seen, strict=True):
            scores = query @ torch.cat([keys[j] for j in seen], -1)
            mixed.append(scores.softmax(-1) @ torch.cat([values[j] for j in seen], -2))
        return torch.stack(mixed).transpose(1, 2)


@dataclass(frozen=True)
class Scene:
    """A piece of a world: the last frame of a window gone by, then one or two windows; views of these and the next.

    ``faces`` (1 + n*T, 6, 3, S, S); ``moving`` (1 + n*T, 6, 1, S, S) is 1 where things are; ``views``
    (n*T or more, 6, 4, S, S): RGB times coverage and coverage; what lies beyond its end is not known. ``draft``
    (6, 4, P, P) is a first window's.
    """

    faces: Tensor
    moving: Tensor
    views: Tensor
    place: int
    draft: Tensor | None = None

    def window(self, number: int, frames: int) -> Tensor:
        """Faces (T, 6, 3, S, S) of window ``number``."""
        return self.faces[1 + number * frames : 1 + (number + 1) * frames]

    def view(self, number: int, frames: int, pad: int) -> Tensor:
        """Views (T, 6, 4, P, P) of window ``number``; zeros if there are none."""
        views = self.views[number * frames : (number + 1) * frames]
        side = self.faces.shape[-1] + 2 * pad
        return pad_faces(views, pad) if len(views) == frames else torch.zeros(frames, 6, 4, side, side)


@dataclass(frozen=True)
class Rows:
    """Rows of one call; the last ``noisy`` are to be predicted, as padded canvases ``target`` (noisy, T, 3, P, P)."""

    clean: Tensor  # (R, T, 48, H, W)
    times: Tensor
    condition: dict[str, Tensor]
    coords: Tensor  # (R, L, 4)
    visible: Tensor  # (R, R)
    noisy: int
    target: Tensor
    weight: Tensor  # (noisy, T, 1, P, P)


@dataclass(frozen=True)
class Wish:
    """What the rows of one window are to be: its number (0 or 1), the order of its faces, and what is known.

    ``learn`` are places in the order to predict at ``times``; ``before`` the window before's faces (T, 6, 3, S, S) or
    None in the first; ``last`` its last frame as it is told (1, 6, 4, S, S), with the mask; ``made`` this window's
    faces as they were made (T, 6, 3, S, S); ``earlier`` is to the window before what ``last`` is to this one.
    ``keep`` are the faces of the window before that are attended to, ``given`` those whose view is a row, if covered.
    """

    number: int
    order: tuple[int, ...]
    learn: tuple[int, ...]
    times: Tensor
    before: Tensor | None
    last: Tensor | None
    made: Tensor
    earlier: Tensor | None = None
    keep: tuple[int, ...] = tuple(range(6))
    given: tuple[int, ...] = tuple(range(6))
    ahead: bool = False


class RowMaker:
    """Makes rows out of scenes for a network's sizes."""

    def __init__(self, net: PanoramaNet) -> None:
        self.config = c = net.config
        shape = (c.frames, 3 * c.fold**2, c.canvas // c.fold, c.canvas // c.fold)
        self.coords = torch.stack([net.coords(shape, face) for face in FACES])
        index = torch.arange(6.0)[None, :, None, None, None].expand(1, 6, 1, c.size, c.size)
        self.owner = pad_faces(index, c.pad)[0, :, 0].long()  # (6, P, P): the face that a canvas's pixel is taken from
        self.beside = [{FACES.index(n[0]) for n in NEIGHBOURS[face].values()} for face in FACES]

    def make(self, scene: Scene, wish: Wish) -> Rows:
        """All rows of a wish."""
        c, n = self.config, self.config.frames
        last, earlier = (None if x is None else pad_faces(x, c.pad)[0] for x in (wish.last, wish.earlier))
        made = pad_faces(masked(wish.made, 1.0), c.pad)
        truth = pad_faces(scene.window(wish.number, n), c.pad)
        moving = scene.moving[1 + wish.number * n : 1 + (wish.number + 1) * n]
        moving = pad_faces(torch.maximum(moving, scene.moving[wish.number * n][None]), c.pad)
        view, next_view = (scene.view(wish.number + k, n, c.pad) for k in (0, 1))
        list_: list[tuple[str, int, int, Tensor, Tensor, Tensor]] = []  # kind, face, place, canvas, view, around
        none = truth.new_zeros(n, 4, c.canvas, c.canvas)
        for name, seen in (("given", view), ("ahead", next_view)):
            least = 5e-4 if name == "given" else 0.1
            shares = crop_faces(seen[:, :, 3], c.pad).mean((0, 2, 3))
            covered = [f for f in wish.given if shares[f] > least]
            for f in covered if name == "given" or wish.ahead else []:
                list_.append((name, f, wish.order.index(f), seen[:, f, :3], seen[:, f], none))
        if wish.before is not None:
            past = pad_faces(masked(wish.before, 1.0), c.pad)
            past_view = scene.view(wish.number - 1, n, c.pad) if wish.number else torch.zeros_like(view)
            for f in wish.keep:
                place = wish.order.index(f)
                around = self._around(f, wish.order[:place], past, earlier)
                list_.append(("past", f, place, past[:, f, :3], past_view[:, f], around))
        for place in range(max(wish.learn)):
            f = wish.order[place]
            around = self._around(f, wish.order[:place], made, last)
            around = around if scene.draft is None else drafted(around, scene.draft[f])
            list_.append(("made", f, place, made[:, f, :3], view[:, f], around))
        for place in wish.learn:
            f = wish.order[place]
            around = self._around(f, wish.order[:place], made, last)
            around = around if scene.draft is None else drafted(around, scene.draft[f])
            list_.append(("noisy", f, place, truth[:, f], view[:, f], around))
        return self._rows(list_, scene, wish, moving)

    def _rows(
        self, rows: list[tuple[str, int, int, Tensor, Tensor, Tensor]], scene: Scene, wish: Wish, moving: Tensor
    ) -> Rows:
        kinds, faces, places, canvases, views, arounds = zip(*rows, strict=True)
        n, noisy = self.config.frames, len(wish.learn)
        coords = self.coords[list(faces)].clone()
        coords[..., 0] += torch.tensor([{"ahead": n, "past": -n}.get(k, 0) for k in kinds])[:, None]
        times = torch.cat((torch.ones(len(rows) - noisy), wish.times))
        condition = {
            "face": torch.tensor([f + 6 * (k in ("given", "ahead")) for k, f in zip(kinds, faces, strict=True)]),
            "view": torch.stack(views),
            "around": torch.stack(arounds),
            "place": torch.full((len(rows),), scene.place),
        }
        visible = torch.tensor(
            [
                [self._sees(a, b) for b in zip(kinds, faces, places, strict=True)]
                for a in zip(kinds, faces, places, strict=True)
            ]
        )
        target = torch.stack(canvases[-noisy:])
        weight = 1 + 3 * torch.stack([moving[:, f] for f in faces[-noisy:]])
        clean = fold_pixels(torch.stack(canvases), self.config.fold)
        return Rows(clean, times, condition, coords, visible, noisy, target, weight)

    def _sees(self, row: tuple[str, int, int], other: tuple[str, int, int]) -> bool:
        """Whether a row (kind, face, place in the order) may attend to another: the plan's rules."""
        (kind, face, place), (what, whose, when) = row, other
        if kind == "noisy":
            return (
                what == "past"
                or (what == "made" and when < place)
                or (what == "given" and when >= place)
                or (what == "ahead" and whose in (face, *self.beside[face]))
            )
        return kind == what and kind in ("past", "made") and when < place

    def _around(self, face: int, made_faces: tuple[int, ...], made: Tensor, last: Tensor | None) -> Tensor:
        """The canvas (T, 4, P, P) of what is made around a face: see docs/panorama-model.md."""
        owner = self.owner[face]
        there = torch.isin(owner, torch.tensor(made_faces, dtype=torch.long))
        before = torch.zeros_like(made[:, face]) if last is None else last[face][None].expand_as(made[:, face])
        return torch.where(there, made[:, face], before)


def masked(faces_T6CSS: Tensor, mark: float) -> Tensor:
    """Faces with a fourth channel that says ``mark``."""
    return torch.cat((faces_T6CSS, torch.full_like(faces_T6CSS[:, :, :1], mark)), 2)


def predict(net: PanoramaNet, rows: Rows, states: Tensor) -> Tensor:
    """Clean predictions (noisy, T, 3, P, P) of the noisy rows, whose states (noisy, T, 48, H, W) are given."""
    sizes = (len(rows.clean) - rows.noisy, rows.noisy)
    with torch.no_grad():
        known = what_is_known(rows.condition["view"], rows.condition["around"])
        everything = torch.cat((rows.clean.split(sizes)[0], states))
    encoded = net.encode(everything, rows.times, rows.condition, known)
    view = SparseView(rows.coords, rows.visible, net.rope)
    tokens = net.trunk(encoded.tokens_RLD, encoded.cond_RD, view)
    noisy = Encoded(*(part.split(sizes)[1] for part in encoded))
    told = Known(*(part[sizes[0] :] for part in known))
    return net.decode(tokens.split(sizes)[1], noisy, states, rows.times[sizes[0] :], told)


def roughened(faces_T6CSS: Tensor, generator: torch.Generator) -> Tensor:
    """Faces as a network might have made them: often as they are, else with a little noise, blur, or other colours."""
    kind = float(torch.rand((), generator=generator))
    if kind < 0.5:
        return faces_T6CSS
    out = faces_T6CSS
    if kind < 0.8:
        amount = 0.12 * float(torch.rand((), generator=generator)) ** 2
        out = out + amount * torch.randn(out.shape, generator=generator)
    if kind > 0.65:
        share = 0.7 * float(torch.rand((), generator=generator))
        soft = F.avg_pool2d(out.flatten(0, 1), 3, stride=1, padding=1, count_include_pad=False).view_as(out)
        out = out + share * (soft - out)
    if kind > 0.9:
        out = out + 0.04 * torch.randn(1, 1, 3, 1, 1, generator=generator)
    return out.clamp(-1, 1)
