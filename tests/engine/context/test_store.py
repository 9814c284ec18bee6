"""The context: immutable segments, positions relative to the newest chunk, bytes."""

from __future__ import annotations

import pytest
import torch

from unreel.engine.context.store import Context
from unreel.engine.context.window import Full, SinkWindow
from unreel.engine.errors import UserError
from unreel.engine.rope import Rope
from unreel.engine.types import KV, Chunk

COORDS = torch.zeros(3, 3, dtype=torch.long)


def chunk(index: int) -> Chunk:
    return Chunk(index, index * 2, 2, (2, 1, 1, 1))


def kv(value: float, layers: int = 2) -> KV:
    return tuple((torch.full((3, 2, 6), value), torch.full((3, 2, 6), value)) for _ in range(layers))


def filled(policy: Full | SinkWindow, chunks: int) -> Context:
    context = Context.empty(policy, Rope((2, 2, 2)), layers=2, heads=2)
    for c in range(chunks):
        context.commit(chunk(c), kv(float(c)), COORDS)
    return context


def test_sink_and_window_keep_the_first_and_the_newest() -> None:
    assert filled(SinkWindow(sink=1, recent=2), 10).chunks == {0, 8, 9}
    assert filled(SinkWindow(sink=0, recent=1), 10).chunks == {9}
    assert filled(Full(), 5).chunks == {0, 1, 2, 3, 4}


def test_bytes_are_keys_plus_values() -> None:
    one_chunk = 2 * 2 * 3 * 2 * 6 * 4  # layers, k and v, tokens, heads, width, float32
    assert filled(Full(), 5).bytes == 5 * one_chunk
    assert filled(SinkWindow(1, 2), 50).bytes == 3 * one_chunk


def test_positions_are_ages_and_never_leave_the_horizon() -> None:
    context = filled(SinkWindow(sink=1, recent=2, horizon=6), 1000)
    segments = context.layers[0][0].segments
    assert [int(context.positions(s)[0, 0, 0]) for s in segments] == [-6, -4, -2]


def test_eviction_does_not_change_what_stays() -> None:
    context = filled(SinkWindow(sink=1, recent=2), 20)
    assert [float(s.k_NHD[0, 0, 0]) for s in context.layers[1][0].segments] == [0.0, 18.0, 19.0]


def test_a_fork_shares_tensors_and_grows_alone() -> None:
    context = filled(Full(), 3)
    fork = context.fork()
    fork.commit(chunk(3), kv(9.0), COORDS)
    assert context.chunks == {0, 1, 2}
    assert fork.layers[0][0].segments[0].k_NHD is context.layers[0][0].segments[0].k_NHD


def test_rotated_keys_are_made_once_per_commit() -> None:
    context = filled(Full(), 3)
    assert context.rotated(0, 0) is context.rotated(0, 0)
    before = context.rotated(0, 0)
    context.commit(chunk(3), kv(1.0), COORDS)
    assert context.rotated(0, 0).shape[0] == before.shape[0] + 3


def test_forks_share_what_either_rotates_until_one_commits() -> None:
    context = filled(Full(), 3)
    fork = context.fork()
    assert fork.rotated(0, 0) is context.rotated(0, 0)
    fork.commit(chunk(3), kv(1.0), COORDS)
    assert fork.rotated(0, 0).shape[0] > context.rotated(0, 0).shape[0]


@pytest.mark.parametrize("sizes", [(-1, 2), (0, 0)])
def test_impossible_windows_are_refused(sizes: tuple[int, int]) -> None:
    with pytest.raises(UserError):
        SinkWindow(*sizes)
