"""What a part must offer to be plugged into the engine. A new system is one file and one YAML."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from torch import Tensor

from unreel.engine.types import Chunk

if TYPE_CHECKING:
    from unreel.engine.context.store import Context
    from unreel.engine.reuse.base import Item
    from unreel.engine.rope import Rope
    from unreel.engine.state import Held, Past

Memory = dict[str, Any]  # tensors, numbers and strings only, so that a session can be saved
Noise = Callable[[], Tensor]  # fresh standard normal noise of the chunk's shape, from the chunk's own stream


class View(Protocol):
    """What one backbone call may look at. Visibility, rotation, head groups and the kernel live behind it."""

    def attend(self, layer: int, q_RLHD: Tensor, k_RLHD: Tensor, v_RLHD: Tensor) -> Tensor:
        """Attention of every row over its context and itself; q and k come unrotated. Same shape as q."""
        ...


class DrawingView(View, Protocol):
    """What a backbone gets that says ``draws = True``: it chooses tokens in the midst of its pass."""

    def draw(self, place: int, scores_RK: Tensor) -> Tensor:
        """The token (R,) of every row at a place of its state (..., K), drawn by its session; a clean row's own."""
        ...


class Backbone(Protocol):
    """A network over rows: every row is one chunk of one guidance branch of one session.

    ``layers``, ``heads`` and ``head_dim`` size the context; ``rope`` turns its keys; ``wants_previous`` asks
    for the conditions ``previous`` (the state of the chunk before, same shape) and ``previous_time``. One that says
    ``float32_on_cpu = True`` is too small to gain by bfloat16 there, and gets float32 unless a dtype is asked for.
    """

    layers: int
    heads: int
    head_dim: int
    rope: Rope
    wants_previous: bool

    def coords(self, chunk_shape: tuple[int, ...], *region: str) -> Tensor:
        """Integer coordinates (L, A) of a chunk's tokens, time from the chunk's first frame.

        A backbone that says ``regional = True`` is asked with the chunk's region as well (a cube face, a joint).
        """
        ...

    def signal(self, state: Tensor) -> Tensor:
        """The patch-embedded input of one chunk: what content-aware reuse compares from step to step."""
        ...

    def __call__(self, states: Tensor, times_R: Tensor, view: View, condition: Mapping[str, Tensor]) -> Tensor:
        """The clean prediction of every row, shaped like ``states`` (R, *chunk shape)."""
        ...


class Plan(Protocol):
    """The order of chunks and what each may see. Endless plans never return None."""

    def chunk(self, index: int, route: Memory) -> Chunk | None:
        """Chunk ``index``, or None after the last. Asked in rising order, as late as possible."""
        ...

    def sees(self, chunk: Chunk, earlier: Chunk, clean: bool, route: Memory) -> bool:
        """Whether ``chunk`` may attend to ``earlier`` (an index below its own).

        ``clean``: it is not being denoised but computed for the keys and values that others will look at.
        """
        ...


class Control(Protocol):
    """Something a user may send."""

    def check(self, value: Any) -> Any:
        """The value, normalised to plain data and tensors. Raises UserError for one that cannot be obeyed."""
        ...


class SteeredPlan(Plan, Protocol):
    """A plan that decides its order while it runs: by what it is sent (faces of a cube, the one looked at first), or
    by what was made (joints, until one says that it was the last).

    ``controls`` steer it (a class attribute); ``regions`` generated chunks share a span of time; ``recall`` is how many
    latent frames of the past ``told`` needs. What was decided is a ``route``: plain data that the session owns.
    """

    controls: Mapping[str, Control]
    regions: int
    recall: int

    def boundary(self, index: int, route: Memory) -> bool:
        """Whether something is to be decided before chunk ``index``. Controls take effect only there."""
        ...

    def decide(self, index: int, route: Memory, held: Mapping[str, Held]) -> Memory:
        """The route from chunk ``index`` on, under the controls ``held``."""
        ...

    def after(self, past: Past, route: Memory) -> Memory:
        """The route now that a generated chunk is finished: where what was made decides what comes, or that it ends."""
        ...

    def told(self, chunk: Chunk, route: Memory, past: Mapping[int, Past]) -> dict[str, Tensor]:
        """What the backbone (and the codec) is told of a chunk besides its conditions."""
        ...

    def given(self, chunk: Chunk, told: Mapping[str, Tensor]) -> Tensor:
        """The clean state of a chunk that is given, not generated."""
        ...

    def stale(self, chunk: Chunk, route: Memory) -> bool:
        """Whether no chunk to come may look at ``chunk`` any more."""
        ...


class Sampler(Protocol):
    """Turns a clean prediction into the next state of a chunk. ``memory`` is the chunk's own, never shared."""

    def step(self, state: Tensor, clean: Tensor, t_from: float, t_to: float, memory: Memory, noise: Noise) -> Tensor:
        """State at ``t_to`` from the state and clean prediction at ``t_from``; must not write into its inputs."""
        ...


class ContextPolicy(Protocol):
    """What is kept of the finished chunks. Called once per commit, never inside a step."""

    horizon: int | None  # positions further back than this (latent frames) are all called this far; None: no limit
    queries: int  # how many query tokens per layer and chunk `compact` wants to see; 0: none

    def groups(self, layer: int, heads: int) -> Sequence[tuple[int, ...]]:
        """Head groups of a layer that are kept alike: a partition of ``range(heads)``."""
        ...

    def compact(self, context: Context) -> None:
        """Drop, merge or quantise what is beyond the budget, by replacing immutable segments."""
        ...


class ReusePolicy(Protocol):
    """Whether a chunk's prediction of an earlier step may stand in for this one. All state is in the items."""

    def split(self, items: Sequence[Item]) -> tuple[list[Item], list[Item]]:
        """The items to compute and the items to skip. May read and write ``item.memory``."""
        ...

    def record(self, item: Item, clean: Tensor) -> None:
        """Remember a computed prediction. Called for every computed item."""
        ...

    def replay(self, item: Item) -> Tensor:
        """The prediction that stands in for a skipped item."""
        ...


class Ending(Protocol):
    """Says when a world is over. It holds nothing that changes: what it has to remember is the session's."""

    def judge(self, frames: Any, judged: tuple[int, ...]) -> tuple[tuple[int, ...], bool]:
        """What to remember after the frames (T, H, W, 3) of a chunk, and whether the world is over.

        Called with every chunk in the order in which they are emitted; ``judged`` is what was to be remembered after
        the chunk before, empty where a world begins.
        """
        ...


class Codec(Protocol):
    """Latents to media and back, incrementally. Its state is a dict of tensors that the session owns."""

    def latent_shape(self, frames: int, height: int, width: int) -> tuple[int, ...]: ...

    def encode(self, media: Any) -> Tensor: ...

    def new_state(self) -> dict[str, Tensor]: ...

    def decode(self, latents: Tensor, state: dict[str, Tensor]) -> tuple[Any, dict[str, Tensor]]:
        """The media of one clean chunk and the state after it; ``state`` itself is left as it was.

        A codec whose chunks mend each other (the faces of a cube) has ``emit(chunk, latents, told, state)`` instead,
        which returns a list of ``Emission`` and the state after it.

        Two more are there where they are needed. ``told(words, state)``, called when a chunk begins, may say what its
        conditions mean where the codec has come to (a path, seen from where somebody stands), and returns both anew.
        ``remembers = True``: what a session starts from is decoded too, and not only where its first latent is special.
        """
        ...


class Condition(Protocol):
    """Turns control values into what the backbone is told of one chunk."""

    def check(self, value: Any) -> Any:
        """The value, normalised. Raises UserError for one that the model cannot obey."""
        ...

    def encode(self, value: Any, chunk: Chunk, since: int) -> Tensor:
        """The condition tensor of ``chunk`` under a checked ``value`` in force since latent frame ``since``."""
        ...

    def null(self, chunk: Chunk) -> Tensor:
        """What a guidance branch without this condition is told."""
        ...
