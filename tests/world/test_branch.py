"""modalities/world/branch.py: a tree of futures that shares its past, goes back, and comes back from a file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from unreel import Forecaster, UserError
from unreel.engine.model import Model

CLIP = np.random.default_rng(0).integers(0, 255, (8, 8, 8, 3), dtype=np.uint8)


def test_rewinding_goes_back_to_what_was_and_no_further_than_the_observations(fake: Model) -> None:
    forecaster = Forecaster(fake)
    branch = forecaster.encode(CLIP)
    first = forecaster.step(branch, "w").latents
    forecaster.step(branch, "d")
    assert branch.chunk == 6
    branch.rewind(2)
    assert branch.chunk == 4
    assert torch.equal(forecaster.step(branch, "w").latents, first)
    with pytest.raises(UserError, match="cannot rewind"):
        branch.rewind(2)
    with pytest.raises(UserError, match="1 chunk or more"):
        branch.rewind(0)


def test_forks_go_their_own_way_and_leave_the_parent_where_it_was(fake: Model) -> None:
    forecaster = Forecaster(fake)
    root = forecaster.encode(CLIP)
    forecaster.step(root, "w")
    same, other = root.fork(), root.fork(seed=9)
    made = forecaster.step([same, other], ["w", "w"]).latents
    assert (made[0] - made[1]).abs().max() > 0.01
    assert (root.chunk, same.chunk) == (5, 6)
    assert torch.allclose(forecaster.step(root, "w").latents[0], made[0], atol=1e-5)


def test_a_tree_counts_shared_bytes_once_and_frees_what_is_closed(fake: Model) -> None:
    forecaster = Forecaster(fake)
    root = forecaster.encode(CLIP, rewind=0)
    alone = root.held
    leaves = [root.fork(n) for n in range(4)]
    assert root.held.total == alone.total
    assert root.held.apart == 5 * alone.total
    forecaster.step(leaves, "w")  # nothing of it is committed yet
    assert root.held.own == 0
    forecaster.step(leaves, "w")
    grown = root.held.total
    assert alone.total < grown < root.held.apart
    leaves[0].close()
    assert len(root.children) == 3
    assert root.held.total < grown
    root.close()
    assert root.session.closed
    assert all(leaf.session.closed for leaf in leaves)


def test_a_snapshot_continues_bit_for_bit(fake: Model, tmp_path: Path) -> None:
    forecaster = Forecaster(fake)
    branch = forecaster.encode(CLIP)
    forecaster.step(branch, "w")
    branch.snapshot(tmp_path / "branch.safetensors")
    again = forecaster.restore(tmp_path / "branch.safetensors")
    assert torch.equal(forecaster.step(again, "a").latents, forecaster.step(branch, "a").latents)
