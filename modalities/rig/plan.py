"""The plan of a skeleton: joints breadth first, one after the other, until one says that there are no more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from unreel.engine.errors import UserError
from unreel.engine.interfaces import Memory
from unreel.engine.state import Held, Past
from unreel.engine.types import Chunk
from unreel.modalities.rig.controls import MeshControl
from unreel.modalities.rig.joint import FIXED, SPAN, is_end
from unreel.modalities.rig.subject import POINTS


@dataclass(frozen=True)
class JointPlan:
    """At most ``joints`` joints, fewer with a ``length``; of the mesh, ``points`` points are told.

    Every joint is told all earlier ones: where they are and what they hang on.
    """

    joints: int = 96
    points: int = POINTS
    length: int | None = None

    controls: ClassVar[Mapping[str, Any]] = {"mesh": MeshControl()}
    regions: ClassVar[int] = 1
    choosy: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if self.joints < 1 or not 1 <= self.points <= POINTS:
            raise UserError(f"a joint plan needs 1 joint or more and 1 to {POINTS} points, got {self}")

    @property
    def recall(self) -> int:
        """All joints of the skeleton are told."""
        return self.joints

    def chunk(self, index: int, route: Memory | None = None) -> Chunk | None:
        most = self.joints if self.length is None else min(self.joints, self.length)
        if index >= most or (route and route["ended"]):
            return None
        return Chunk(index, index, 1, (1, FIXED + self.joints))

    def sees(self, chunk: Chunk, earlier: Chunk, clean: bool, route: Memory) -> bool:
        return True

    def boundary(self, index: int, route: Memory) -> bool:
        """A skeleton is of one mesh: what is sent meanwhile waits for a reset."""
        return index == 0

    def decide(self, index: int, route: Memory, held: Mapping[str, Held]) -> Memory:
        if "mesh" not in held:
            raise UserError("there is no mesh to be rigged: send one first, as in -i mesh=creature.glb")
        mesh = held["mesh"].value
        return {"mesh": mesh["surface"][: self.points].contiguous(), "box": mesh["box"], "ended": False}

    def after(self, past: Past, route: Memory) -> Memory:
        return {**route, "ended": True} if is_end(past.clean) else route

    def told(self, chunk: Chunk, route: Memory, past: Mapping[int, Past]) -> dict[str, Tensor]:
        """``mesh`` (N, 6) and ``box`` (4,); ``index``; of all earlier joints ``joints`` (K, 3) in the unit box and
        ``parents`` (K,), the root's 0, -1 where there is none yet."""
        if chunk.index and chunk.index - 1 not in past:
            raise UserError("joints are made one after the other: leave the option offset out")
        joints, parents = torch.zeros(self.joints, 3), torch.full((self.joints,), -1)
        if chunk.index:
            states = torch.stack([past[index].clean[0] for index in range(chunk.index)]).cpu()
            joints[: chunk.index] = states[:, :3] / SPAN
            parents[: chunk.index] = states[:, FIXED:].argmax(1)
        return {
            "mesh": route["mesh"],
            "box": route["box"],
            "index": torch.tensor(chunk.index),
            "joints": joints,
            "parents": parents,
        }

    def given(self, chunk: Chunk, told: Mapping[str, Tensor]) -> Tensor:
        raise AssertionError("no joint is given")

    def stale(self, chunk: Chunk, route: Memory) -> bool:
        return False
