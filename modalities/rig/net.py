"""The network of `rig`: a causal transformer over joints that looks at a shape, after RigAnything (arXiv 2502.09615).

The token of chunk i tells the joint before it (where it is, what it hangs on) and sees the tokens before it and the
shape; read off it are where joint i is (a flow: the only part that knows of noise), what it hangs on, and whether there
is one. So the keys and values that a chunk leaves behind do not depend on its own state: commit them `inline`.
The shape is encoded once per mesh, its keys and values live as long as the tensor that the mesh is held in.

Letters: R rows (one token each), B meshes, L tokens of a mesh, T tokens of its shape, K joints, D width.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.weak import WeakTensorKeyDictionary

from unreel.engine.errors import UserError
from unreel.engine.interfaces import View
from unreel.engine.rope import Rope
from unreel.modalities.rig.heads import Pointer, PositionHead, allowed_parents
from unreel.modalities.rig.joint import NEVER, SPAN
from unreel.modalities.rig.parts import ORDER, PLACE, Cross, mlp, order_features, place_features
from unreel.modalities.rig.shape import ShapeEncoder
from unreel.modalities.rig.skinhead import SkinHead, distances

Pair = tuple[Tensor, Tensor]  # keys and values (B, H, T, D / H)


@dataclass(frozen=True)
class RigConfig:
    """Sizes. ``joints``: the most a skeleton has; ``tokens`` of a shape, each of ``neighbours`` points."""

    joints: int = 96
    tokens: int = 256
    neighbours: int = 16
    width: int = 192
    shape_depth: int = 4
    depth: int = 5
    heads: int = 6

    def __post_init__(self) -> None:
        if min(self.joints, self.tokens, self.neighbours, self.shape_depth, self.depth, self.heads) < 1:
            raise UserError(f"every size of a rig network is 1 or more, got {self}")
        if self.width % self.heads or self.width // self.heads % 2:
            raise UserError(f"rig needs width {self.width} to be an even multiple of heads {self.heads}")


@dataclass(frozen=True, slots=True)
class Shape:
    """What is made of one or more meshes: ``tokens`` (B, T, D), and keys and values for each trunk layer, for the head
    of positions and for the skin."""

    surface: Tensor
    tokens: Tensor
    layers: tuple[Pair, ...]
    look: Pair
    skin: Pair

    def row(self, index: int) -> Shape:
        """That mesh alone."""

        def one(pair: Pair) -> Pair:
            return pair[0][index : index + 1], pair[1][index : index + 1]

        here = slice(index, index + 1)
        return Shape(
            self.surface[here], self.tokens[here], tuple(map(one, self.layers)), one(self.look), one(self.skin)
        )


@dataclass(frozen=True, slots=True)
class Shapes:
    """The different meshes of one call; ``rows[r]`` is row r's."""

    shapes: tuple[Shape, ...]
    rows: tuple[int, ...]

    def pairs(self, pick: Callable[[Shape], Pair]) -> Pair:
        """Keys and values (R, H, T, D / H), row by row."""
        found = [pick(shape) for shape in self.shapes]
        if len(found) == 1:
            k, v = (x.expand(len(self.rows), -1, -1, -1) for x in found[0])
            return k, v
        return torch.cat([found[r][0] for r in self.rows]), torch.cat([found[r][1] for r in self.rows])


class Block(nn.Module):
    """Attention to earlier joints, to the shape, and an MLP."""

    def __init__(self, width: int, heads: int, layer: int) -> None:
        super().__init__()
        self.layer, self.heads = layer, heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.cross = Cross(width, heads)
        self.mlp = mlp(width, 4 * width, width)

    def forward(self, x_BLD: Tensor, kv: Pair, view: View) -> Tensor:
        q, k, v = self.qkv(self.norm1(x_BLD)).unflatten(-1, (3, self.heads, -1)).unbind(2)
        x_BLD = x_BLD + self.out(view.attend(self.layer, q, k, v).flatten(-2))
        x_BLD = x_BLD + self.cross(x_BLD, kv)
        out: Tensor = x_BLD + self.mlp(self.norm2(x_BLD))
        return out


class RigNet(nn.Module):
    """States (R, 1, 4 + K) in, the clean prediction out: a position, logits of the end and of every parent.

    Conditions: ``mesh`` (points and normals), ``index``, ``joints`` and ``parents`` as `JointPlan.told` has them.
    """

    wants_previous = False

    def __init__(
        self,
        joints: int = 96,
        tokens: int = 256,
        neighbours: int = 16,
        width: int = 192,
        shape_depth: int = 4,
        depth: int = 5,
        heads: int = 6,
    ) -> None:
        super().__init__()
        c = self.config = RigConfig(joints, tokens, neighbours, width, shape_depth, depth, heads)
        self.layers, self.heads, self.head_dim = c.depth, c.heads, c.width // c.heads
        self.rope = Rope((self.head_dim,), theta=1000.0)
        self.shape = ShapeEncoder(c.width, c.shape_depth, c.heads, c.tokens, c.neighbours)
        self.joint = mlp(3 * PLACE + 2 * ORDER, 2 * c.width, c.width)
        self.begin = nn.Parameter(torch.randn(c.width) * 0.02)
        self.blocks = nn.ModuleList(Block(c.width, c.heads, layer) for layer in range(c.depth))
        self.norm = nn.LayerNorm(c.width)
        self.position = PositionHead(c.width, c.heads)
        self.pointer = Pointer(c.width)
        self.end = mlp(c.width, c.width, 1)
        self.skin = SkinHead(c.width, c.heads)
        self._known: Any = WeakTensorKeyDictionary()  # a mesh's points -> its Shape, while they live

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> RigNet:
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        self._known.clear()
        return self

    # ---- the interface -----------------------------------------------------------------------------------

    def coords(self, chunk_shape: tuple[int, ...]) -> Tensor:
        """One token, at the chunk's own start."""
        return torch.zeros(1, 1, dtype=torch.long)

    def signal(self, state_1C: Tensor) -> Tensor:
        """The position as its head takes it (1, D)."""
        told = place_features(state_1C[:, :3] / SPAN)
        out: Tensor = self.position.enter(told.to(self.begin.dtype))
        return out

    def together(self, name: str, values: Sequence[Tensor]) -> Any:
        """Rows that are told the same mesh tensor share its shape."""
        if name != "mesh":
            return torch.stack(list(values)).to(self.begin.device)
        different: dict[int, Tensor] = {}
        for value in values:
            different.setdefault(id(value), value)
        order = {key: index for index, key in enumerate(different)}
        return Shapes(tuple(map(self.shape_of, different.values())), tuple(order[id(value)] for value in values))

    def forward(self, states_R1C: Tensor, times_R: Tensor, view: View, condition: Mapping[str, Any]) -> Tensor:
        shapes, joints, parents = condition["mesh"], condition["joints"], condition["parents"]
        index = condition["index"]
        table = self.table(joints, parents)
        rows = torch.arange(len(index), device=index.device)
        before = (index - 1).clamp(min=0)
        first = (index == 0)[:, None]
        x = torch.where(first, self.begin, table[rows, before])[:, None]
        x = self.trunk(x, [shapes.pairs(lambda s, i=i: s.layers[i]) for i in range(self.layers)], view)
        noisy = states_R1C.float()[:, None, :, :3]
        look = shapes.pairs(lambda s: s.look)
        flow = self.position(noisy, times_R.float()[:, None, None], x, look)
        clean = (noisy + (1 - times_R.float())[:, None, None, None] * flow)[:, 0]
        end = self.end(x).float().masked_fill(first[:, None], NEVER)
        last = torch.where(first, 0, parents[rows, before][:, None])
        number = torch.arange(self.config.joints, device=index.device)
        allowed = (number >= last) & (number <= before[:, None])
        links = self.pointer(x, clean / SPAN, table, allowed[:, None])
        return torch.cat((clean, end, links), -1)

    # ---- parts -------------------------------------------------------------------------------------------

    def shape_of(self, surface_N6: Tensor) -> Shape:
        """The shape of a mesh's points, made once as long as ``surface`` is held."""
        known: Shape | None = self._known.get(surface_N6)
        if known is None:
            known = self.encode(surface_N6[None].to(self.begin.device))
            self._known[surface_N6] = known
        return known

    def encode(self, surface_BN6: Tensor) -> Shape:
        """Shapes of points and normals in the unit box, farthest first."""
        tokens = self.shape(surface_BN6)
        layers = tuple(block.cross.told(tokens) for block in self.blocks)  # type: ignore[union-attr, operator]
        return Shape(surface_BN6, tokens, layers, self.position.look.told(tokens), self.skin.look.told(tokens))

    def table(self, joints_BK3: Tensor, parents_BK: Tensor) -> Tensor:
        """Tokens (B, K, D) that tell joints: where they are, what they hang on, and in which place they come."""
        above = parents_BK.clamp(min=0)
        held = joints_BK3.gather(1, above[..., None].expand(-1, -1, 3))
        number = torch.arange(joints_BK3.shape[1], device=joints_BK3.device).expand_as(above)
        parts = [place_features(x) for x in (joints_BK3, held, joints_BK3 - held)]
        told = torch.cat((*parts, order_features(number), order_features(above)), -1)
        out: Tensor = self.joint(told.to(self.begin.dtype))
        return out

    def trunk(self, x_BLD: Tensor, pairs: Sequence[Pair], view: View) -> Tensor:
        for block, kv in zip(self.blocks, pairs, strict=True):
            x_BLD = block(x_BLD, kv, view)
        out: Tensor = self.norm(x_BLD)
        return out

    def links(self, tokens_BLD: Tensor, places_BL3: Tensor, table_BKD: Tensor, parents_BK: Tensor) -> Tensor:
        """For training: parent logits (B, L, K) of whole skeletons, L being K + 1 with the end."""
        allowed = allowed_parents(parents_BK, table_BKD.shape[1])
        logits: Tensor = self.pointer(tokens_BLD, places_BL3, table_BKD, allowed)
        return logits

    def weigh(
        self, shape: Shape, points_BQ6: Tensor, joints_BJ3: Tensor, parents_BJ: Tensor, none_BJ: Tensor
    ) -> Tensor:
        """Logits (B, Q, J) of the weights of points (in the unit box, with normals) in whole skeletons; ``none`` are
        places in the list that hold no joint."""
        felt = self.shape.at(points_BQ6[..., :3], shape.surface, shape.tokens)
        apart = distances(points_BQ6[..., :3], joints_BJ3, parents_BJ, none_BJ)
        logits: Tensor = self.skin(points_BQ6, felt, self.table(joints_BJ3, parents_BJ), apart, none_BJ, shape.skin)
        return logits
