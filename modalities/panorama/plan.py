"""The plan of a panorama: six faces a window, window after window; what is known of the world goes in first.

Faces of a window are ordered by falling coverage of the given view (CubeComposer, arXiv 2603.04291), but the face that
somebody looks at comes first. What a face may look at is CubeComposer's too: everything generated that is still kept,
the given view of faces not made yet, and the nearest part of the view to come ("future fragments") of the face itself
and its four neighbours; what is computed for the context looks at its own window only. Unlike there, windows arrive
one by one, so a stream can be endless, and no tail is dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import pixel_unshuffle

from unreel.engine.errors import UserError
from unreel.engine.interfaces import Memory
from unreel.engine.state import Held, Past
from unreel.engine.types import Chunk
from unreel.modalities.panorama.controls import GazeControl, ViewControl, faced
from unreel.modalities.panorama.cube import FACES
from unreel.modalities.panorama.draft import draft, drafted, joined
from unreel.modalities.panorama.surround import around, beside
from unreel.modalities.panorama.view import Seen, ahead, look, stitch

GIVEN = "*"  # ends the region of a chunk that is given: "F*"


@dataclass(frozen=True)
class CubePlan:
    """``frames`` a window; faces of ``size`` pixels, on a canvas with ``pad`` more on every side, folded by ``fold``.

    ``sparse`` is what the class's module says; without it everything sees all that came before. Of every face, the
    nearest of the next ``lookahead`` windows in which the view covers ``future`` of it is looked at (and stands one
    window ahead, however far it is). ``length`` counts faces: whole windows are made. Without ``surround`` a face is
    not told what its neighbours show in its padding: for measuring what that is worth.
    """

    frames: int = 4
    size: int = 128
    pad: int = 8
    fold: int = 4
    sparse: bool = True
    future: float = 0.1
    lookahead: int = 64
    length: int | None = None
    surround: bool = True

    controls: ClassVar[Mapping[str, Any]] = {"view": ViewControl(), "camera": GazeControl()}
    regions: ClassVar[int] = len(FACES)

    def __post_init__(self) -> None:
        if min(self.frames, self.size, self.pad, self.fold) < 1 or (self.size + 2 * self.pad) % self.fold:
            raise UserError(
                f"a cube plan needs frames, size, pad and fold of 1 or more, and fold {self.fold} to divide "
                f"size + 2 * pad = {self.size + 2 * self.pad}"
            )

    @property
    def recall(self) -> int:
        """Latent frames of the past that ``told`` needs: one window."""
        return self.frames

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """A chunk's state: (T, C, H, W)."""
        cells = (self.size + 2 * self.pad) // self.fold
        return self.frames, 3 * self.fold**2, cells, cells

    # ---- order -------------------------------------------------------------------------------------------

    def boundary(self, index: int, route: Memory) -> bool:
        return not route or index >= route["first"] + len(route["regions"])

    def chunk(self, index: int, route: Memory | None = None) -> Chunk | None:
        """Chunk ``index``; beyond what ``route`` has decided, the first face of the window to come."""
        if route and index < route["first"] + len(route["regions"]):
            start, region = route["regions"][index - route["first"]]
            return Chunk(index, start, self.frames, self.shape, region, region.endswith(GIVEN))
        window = route["window"] + 1 if route else index // self.regions
        if self.length is not None and window * self.regions >= self.length:
            return None
        return Chunk(index, window * self.frames, self.frames, self.shape, FACES[0])

    def decide(self, index: int, route: Memory, held: Mapping[str, Held]) -> Memory:
        """What is given of this window and of those to come, then the six faces in their order."""
        window = route["window"] + 1 if route else 0
        start, view = window * self.frames, held.get("view")
        now = self._look(view, start)
        coming = ahead(view, start, self.frames, self.lookahead, self.future)
        later = {first: self._look(view, first).canvas for first in set(coming.values())}
        fragments = {face: later[first][FACES.index(face)] for face, first in coming.items()}  # type: ignore[index]
        order = self.order(now, held["camera"].value if "camera" in held else None)
        regions = [(start, face + GIVEN) for face in FACES if now.covers(face) > 0]
        regions += [(start + self.frames, face + GIVEN) for face in fragments]
        regions += [(start, face) for face in order]
        guess = None if window > 0 else self._draft(now, view)  # later everything is made: there is nothing to draft
        return {
            "first": index, "window": window, "regions": regions, "order": order, "before": route.get("order", ""),
            "view": now.canvas, "fragments": fragments, "pose": now.pose, "draft": guess,
        }  # fmt: skip

    def after(self, past: Past, route: Memory) -> Memory:
        """What was made changes nothing: the order follows what is sent."""
        return route

    def _look(self, view: Held | None, start: int) -> Seen:
        return look(view, start, self.frames, self.size, self.pad)

    def _draft(self, now: Seen, view: Held | None) -> Tensor | None:
        """A guess of the whole world: what the clip will show, and where that is nothing, its first frames mirrored."""
        if now.canvas is None or view is None:
            return None
        coming = stitch(view, view.since, self.frames, self.lookahead, self.size, self.pad)
        return joined(coming, draft(now.canvas[:, -1], now.pose, self.pad)).half()

    @staticmethod
    def order(seen: Seen, gaze: list[float] | None) -> str:
        """Faces in the order they are made; equal ones in the order F R B L U D, the one opposite the first last, so
        that there is something made beside every one.
        """
        first = None if gaze is None else faced(gaze)
        near = FACES if first is None else {first, *beside(first)}
        return "".join(sorted(FACES, key=lambda face: (face != first, -seen.covers(face), face not in near)))

    # ---- what sees what ----------------------------------------------------------------------------------

    def sees(self, chunk: Chunk, earlier: Chunk, clean: bool, route: Memory) -> bool:
        if not self.sparse:
            return True
        if clean:
            return not chunk.given and not earlier.given and earlier.start == chunk.start
        if not earlier.given:
            return True
        face = earlier.region[0]
        if earlier.start > chunk.start:
            return face in (chunk.region, *beside(chunk.region))
        if earlier.start < chunk.start:
            return False
        order = route["order"] if chunk.start == route["window"] * self.frames else route["before"]
        return bool(order.index(face) >= order.index(chunk.region))

    def stale(self, chunk: Chunk, route: Memory) -> bool:
        """What was given for a window gone by; the next one is given anew what is still to come."""
        return chunk.given and chunk.index < route["first"]

    # ---- what is told ------------------------------------------------------------------------------------

    def told(self, chunk: Chunk, route: Memory, past: Mapping[int, Past]) -> dict[str, Tensor]:
        """``face``, ``view`` and ``around`` (T, 4, P, P) as the network takes them, and the view's ``pose`` (5,)."""
        number = FACES.index(chunk.region[0])
        side = self.size + 2 * self.pad
        blank = torch.zeros(self.frames, 4, side, side, dtype=torch.float16)
        made = blank if chunk.given else self._around(chunk, past).half()
        if not chunk.given and route["draft"] is not None:
            made = drafted(made, route["draft"][number])
        return {
            "face": torch.tensor(number + len(FACES) * chunk.given),
            "view": self._view(chunk, route, blank),
            "around": made,
            "pose": route["pose"],
        }

    def _around(self, chunk: Chunk, past: Mapping[int, Past]) -> Tensor:
        canvas = around(chunk, past, self.size, self.pad, self.fold)
        if self.surround:
            return canvas
        bare, inner = torch.zeros_like(canvas), slice(self.pad, self.pad + self.size)
        bare[..., inner, inner] = canvas[..., inner, inner]
        return bare

    def _view(self, chunk: Chunk, route: Memory, blank: Tensor) -> Tensor:
        canvas: Tensor | None = route["view"]
        if chunk.start > route["window"] * self.frames:
            fragment: Tensor = route["fragments"][chunk.region[0]]
            return fragment
        return blank if canvas is None else canvas[FACES.index(chunk.region[0])]

    def given(self, chunk: Chunk, told: Mapping[str, Tensor]) -> Tensor:
        """The folded view of the face; 0 where nothing is known."""
        return pixel_unshuffle(told["view"][:, :3].float(), self.fold)
