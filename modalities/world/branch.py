"""A tree of futures: every branch is a session that shares with the others what they have in common."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from unreel.engine.context.sharing import Held, held
from unreel.engine.context.storage import Storage
from unreel.engine.context.window import SinkWindow
from unreel.engine.errors import UserError
from unreel.engine.finish import next_emitted
from unreel.engine.generate import settle
from unreel.engine.session import Session


class Branch:
    """One future, at the point in time it has come to. Made by ``Forecaster.encode``; ``Forecaster.step`` moves it on.

    ``children`` are its forks.
    """

    def __init__(self, session: Session, parent: Branch | None = None) -> None:
        self.session, self.parent = session, parent
        self.children: list[Branch] = []
        settle(session)
        if parent is None:
            session.mark_history()

    @property
    def chunk(self) -> int:
        """The chunk that comes next, counted from the first observed one."""
        return next_emitted(self.session.state)

    def fork(self, seed: int | None = None) -> Branch:
        """A child that goes on from here, with the random numbers of ``seed``; None: with those of its parent."""
        settle(self.session)
        session = self.session.fork()
        if seed is not None:
            session.state.seed = seed
        child = Branch(session, self)
        self.children.append(child)
        return child

    def rewind(self, chunks: int = 1) -> None:
        """Go so many chunks back, never further than to the observations; children stay where they are.

        Raises:
            UserError: further back than the session keeps (``Forecaster.encode(rewind=...)``).
        """
        if chunks < 1:
            raise UserError(f"a branch rewinds 1 chunk or more, got {chunks}")
        self.session.rewind(self.chunk - chunks - 1)

    def snapshot(self, path: str | Path) -> None:
        """Save it (safetensors); ``Forecaster.restore`` continues bit for bit."""
        self.session.snapshot(path)

    def close(self) -> None:
        """Free it and all that was forked from it."""
        for branch in list(self.walk()):
            branch.session.close()
        if self.parent is not None:
            self.parent.children.remove(self)

    def walk(self) -> Iterator[Branch]:
        """Itself and all below it."""
        yield self
        for child in self.children:
            yield from child.walk()

    @property
    def held(self) -> Held:
        """Bytes of keys and values of itself and all below it; what several refer to is counted once."""
        return held_by([branch.session for branch in self.walk()])


def held_by(sessions: Sequence[Session]) -> Held:
    """Bytes of the contexts of some sessions, with what they could go back to; shared tensors are counted once."""
    return held(chain.from_iterable(context.tensors for context in session.contexts) for session in sessions)


def leaves(branch: Branch, seeds: Sequence[int], keep_past: bool = False) -> list[Session]:
    """Sessions that go on from a branch, one per seed, outside of the tree; they share its past and cannot go back.

    What they need besides (rotated keys) they make once for all of them and let go of when they part.
    With ``keep_past`` all chunks of the branch's context stay to the end, and one newer one beside them; keys are
    rotated in every call.
    """
    settle(branch.session)
    past = branch.session.state.copy(with_rotated=False)
    settings = replace(branch.session.settings, rewind=0)
    if keep_past:
        settings = replace(settings, storage=Storage("unrotated"))
        for context in past.contexts.values():
            assert isinstance(context.policy, SinkWindow), "the forecaster checks"
            context.policy = replace(context.policy, sink=len(context.chunks), recent=1)
            context.storage = settings.storage
    sessions = []
    for seed in seeds:
        state = past.copy()
        state.seed = seed
        session = Session(branch.session.model, settings, state)
        session.origin = state
        sessions.append(session)
    return sessions
